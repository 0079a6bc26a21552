"""The compiled part of training: ``K`` updates of one run, from state to state.

Everything a run is lies in one pytree, `TrainState`. Everything that can differ between runs is an
argument, so seeds, hyperparameters, objectives and environment parameters are axes to vmap over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Int

from jaxrl_envs.vector import VectorEnv, VectorState
from jaxrl_evolve.clock import Clock
from jaxrl_evolve.learners.learner import Learner
from jaxrl_evolve.runs.rollout import EpisodeSums, rollout


@struct.dataclass
class TrainState:
    """A whole training run between two updates.

    Attributes:
        learner: the learner's state.
        envs: the slots' state.
        memory: the policy's memory before the current observations.
        key: typed PRNG key; the only source of the run's randomness.
        updates: updates made, int32 scalar. Environment steps are counted by the host, in Python integers.
        diverged: int32 scalar, the update at which the loss was first not finite, or -1. From then on the
            learner keeps its last good state.
    """

    learner: Any
    envs: VectorState
    memory: Any
    key: Array
    updates: Int[Array, ""]
    diverged: Int[Array, ""]


class Chunk(NamedTuple):
    """Compilable functions of one run; wrap them with `over_runs` to vmap, then jit once.

    Attributes:
        init: ``(key, hp, env_params) -> TrainState``.
        run: ``(state, hp, eta, env_params, horizon, updates) -> (state, metrics)``. ``horizon`` is the run's
            length in updates (float32 scalar), ``updates`` how many to make now (int32 scalar, traced: any
            number runs in the same compiled program). Metrics are float32 scalars: means over the updates,
            and ``episode_return``, ``episode_length`` (means over the episodes that ended; NaN if none did),
            ``episodes``.
        steps_per_update: environment steps of one update.
    """

    init: Callable[[Array, Any, Any], TrainState]
    run: Callable[[TrainState, Any, Any, Any, Array, Array], tuple[TrainState, dict[str, Array]]]
    steps_per_update: int


def make_update(
    learner: Learner, venv: VectorEnv, rollout_length: int
) -> Callable[[TrainState, Any, Any, Any, Array], tuple[TrainState, dict[str, Array], EpisodeSums]]:
    """One update of one run, ``(state, hp, eta, env_params, horizon) -> (state, metrics, ended episodes)``.

    It can be differentiated with respect to ``eta`` and to the learner's state: through the learner's
    update, not through what happened, which is a fact.

    Args:
        learner: built for ``venv.num_envs`` environments.
        venv: the environments.
        rollout_length: steps per environment ``T``.
    """
    steps_per_update = venv.num_envs * rollout_length

    def one_update(
        state: TrainState, hp: Any, eta: Any, env_params: Any, horizon: Array
    ) -> tuple[TrainState, dict[str, Array], EpisodeSums]:
        key, key_pool, key_rollout, key_update = jax.random.split(state.key, 4)
        envs = venv.refresh(key_pool, state.envs, env_params)
        envs, memory, trajectory, episodes = jax.lax.stop_gradient(
            rollout(key_rollout, learner, state.learner, venv, envs, state.memory, env_params, rollout_length)
        )
        clock = Clock.at(state.updates * float(steps_per_update), horizon * float(steps_per_update))
        updated, metrics = learner.update(key_update, state.learner, trajectory, hp, eta, clock)
        good = jnp.isfinite(metrics["loss"]) & (state.diverged < 0)
        kept = jax.tree.map(lambda new, old: jnp.where(good, new, old), updated, state.learner)
        diverged = jnp.where(good | (state.diverged >= 0), state.diverged, state.updates)
        return TrainState(kept, envs, memory, key, state.updates + 1, diverged), metrics, episodes

    return one_update


def make_chunk(learner: Learner, venv: VectorEnv, rollout_length: int) -> Chunk:
    """Tie a learner to its environments.

    Args:
        learner: built for ``venv.num_envs`` environments.
        venv: the environments.
        rollout_length: steps per environment and update ``T``.
    """
    steps_per_update = venv.num_envs * rollout_length

    def init(key: Array, hp: Any, env_params: Any) -> TrainState:
        key, key_learner, key_envs = jax.random.split(key, 3)
        return TrainState(
            learner=learner.init(key_learner, hp),
            envs=venv.reset(key_envs, env_params),
            memory=learner.initial_memory(venv.num_envs),
            key=key,
            updates=jnp.zeros((), jnp.int32),
            diverged=jnp.full((), -1, jnp.int32),
        )

    # Traced once though called twice below: for its shapes, then in the loop.
    one_update = jax.jit(make_update(learner, venv, rollout_length))

    def run(
        state: TrainState, hp: Any, eta: Any, env_params: Any, horizon: Array, updates: Array
    ) -> tuple[TrainState, dict[str, Array]]:
        shapes = jax.eval_shape(one_update, state, hp, eta, env_params, horizon)[1]
        zeros = {name: jnp.zeros(x.shape, x.dtype) for name, x in shapes.items()}

        def body(_: Array, carry: Any) -> Any:
            state, sums, episodes = carry
            state, metrics, ended = one_update(state, hp, eta, env_params, horizon)
            return state, jax.tree.map(jnp.add, sums, metrics), episodes + ended

        state, sums, episodes = jax.lax.fori_loop(0, updates, body, (state, zeros, EpisodeSums.none()))
        metrics = {name: total / updates for name, total in sums.items()}
        metrics["episodes"] = episodes.episodes
        # 0 / 0 is NaN on purpose: no episode ended, so there is no mean.
        metrics["episode_return"] = episodes.returns / episodes.episodes
        metrics["episode_length"] = episodes.lengths / episodes.episodes
        return state, metrics

    return Chunk(init, run, steps_per_update)
