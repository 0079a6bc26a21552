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
from jaxrl_evolve.runs.rollout import Played, rollout_on_tasks
from jaxrl_evolve.runs.tasks import Assignment, Scouts
from jaxrl_evolve.runs.whole_episodes import surely_whole


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
        told: makes an outcome of what scouts were given, and have seen, of metrics, and of which steps count.
        acting: key of the run, the learner whose policy plays, its state; the environment.
        scouts: what they do.
        state: the curriculum's.
        lived: outcome of the rollout that was trained on.
    """
    key, learner, acted, env = acting
    # Apart from the agent's randomness, and from the choices of what it plays.
    key_propose, key_reset, key_act = jax.random.split(jax.random.fold_in(key, KeyTag.SCOUTS), 3)
    state, given = scouts.propose(key_propose, state, lived)
    steps = scouts.steps or rollout_length
    played = from_the_start((key_reset, key_act), learner, acted, env, given, steps)
    counted = surely_whole(env, given.params, played.trajectory)
    return scouts.record(state, told(given, played, {}, counted))


def from_the_start(
    keys: tuple[Array, Array], learner: Learner, acted: Any, env: Env, given: Assignment, steps: int
) -> Played:
    """What is seen of levels, each played in a slot of its own from its beginning.

    Args:
        keys: randomness of resets, and of all else.
        learner: whose policy plays.
        acted: its state.
        env: the environment.
        given: the levels, ``n``.
        steps: on each.
    """
    count = given.number.shape[0]
    slots = vectorize(env, count, params_per_slot=True)
    start = (slots.reset(keys[0], given.params), learner.initial_memory(count), given, given)
    return jax.lax.stop_gradient(rollout_on_tasks(keys[1], learner, acted, slots, *start, steps)[3])
