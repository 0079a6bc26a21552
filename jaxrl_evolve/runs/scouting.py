"""Rollouts that nothing is learned from: a curriculum's scouts find out what levels are worth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array

from jaxrl_envs.contract import Env
from jaxrl_envs.vector import vectorize
from jaxrl_evolve.learners.learner import Learner
from jaxrl_evolve.random import KeyTag
from jaxrl_evolve.runs.lived import Lived
from jaxrl_evolve.runs.rollout import rollout_on_tasks
from jaxrl_evolve.runs.tasks import Scouts


def scouted(
    rollout_length: int,
    told: Callable[..., Lived],
    acting: tuple[Array, Learner, Any, Env],
    scouts: Scouts,
    state: Any,
    lived: Lived,
) -> Any:
    """The curriculum's state after its scouts.

    Args:
        rollout_length: steps of the rollout that was trained on.
        told: makes an outcome of what scouts were given, and have seen, and of metrics.
        acting: key of the run, the learner whose policy plays, its state; the environment.
        scouts: what they do.
        state: the curriculum's.
        lived: outcome of the rollout that was trained on.
    """
    key, learner, acted, env = acting
    # Apart from the agent's randomness, and from the choices of what it plays.
    key_propose, key_reset, key_act = jax.random.split(jax.random.fold_in(key, KeyTag.SCOUTS), 3)
    state, given = scouts.propose(key_propose, state, lived)
    slots = vectorize(env, scouts.count, params_per_slot=True)
    memory = learner.initial_memory(scouts.count)
    start = (slots.reset(key_reset, given.params), memory, given, given)
    seen = rollout_on_tasks(key_act, learner, acted, slots, *start, scouts.steps or rollout_length)
    return scouts.record(state, told(given, jax.lax.stop_gradient(seen[3]), {}))
