"""Whole lives of agents under members of a population, short ones first.

Agents of different horizons cost different time. Side by side under one vmap they would all run as long as
the longest, finished ones for nothing. So pairs are sorted by horizon and worked off in groups of a few
lanes; a group's loop ends with its longest life. Within a group, whatever has finished is frozen: parameters,
optimiser, environments, counters and metrics.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, Int

from jaxrl_envs.contract import Env
from jaxrl_evolve.learners.learner import Learner
from jaxrl_evolve.meta.evolution import member
from jaxrl_evolve.meta.fitness_config import FitnessConfig
from jaxrl_evolve.random import KeyTag
from jaxrl_evolve.runs.chunk import Chunk, TrainState
from jaxrl_evolve.runs.evaluation import make_evaluation

PAIRS = "pair"
"""Name of the axis of pairs, and of the mesh axis it is split over."""


EVALUATED = "evaluation_steps"
"""The metric that counts the environment steps of evaluations, from which nobody learns."""


class Lives(NamedTuple):
    """Outcome of one generation's lives, second axis plus and minus.

    Attributes:
        fitness: NaN where an agent diverged.
        metrics: means over each life.
    """

    fitness: Float[Array, "pairs members"]
    metrics: dict[str, Float[Array, "pairs members"]]


Live = Callable[[Any, Array, Array, Array, Any, Any, Array], Lives]
"""``(mean, sigma, noise keys [pairs], life keys [pairs], hp, env_params [pairs], horizons [pairs]) -> Lives``."""


Stretch = Callable[..., tuple[TrainState, Float[Array, ""], Float[Array, ""], dict[str, Array]]]
"""``(state, evaluation key, hp, eta, env_params, horizon, updates) -> (state, final, along, metrics)``. ``final`` is
the mean return of the agent that it becomes, ``along`` of the episodes that ended meanwhile, and ``final`` again if
none did."""


def make_stretch(env: Env, learner: Learner, chunk: Chunk, config: FitnessConfig) -> Stretch:
    """A stretch of an agent's life, and what it is worth."""
    evaluate = make_evaluation(env, learner, config.episodes, config.max_steps, "sample")

    def stretch(
        state: TrainState, key: Array, hp: Any, eta: Any, env_params: Any, horizon: Array, updates: Array
    ) -> tuple[TrainState, Float[Array, ""], Float[Array, ""], dict[str, Array]]:
        state, metrics = chunk.run(state, hp, eta, env_params, horizon, updates)
        episodes = evaluate(key, state.learner, env_params)
        final, along = episodes.returns.mean(), metrics["episode_return"]
        metrics |= {"final_return": final, EVALUATED: episodes.lengths.sum().astype(jnp.float32)}
        return state, final, jnp.where(jnp.isnan(along), final, along), metrics

    return stretch


def make_lifetime(
    env: Env, learner: Learner, chunk: Chunk, config: FitnessConfig, spread: float = 1.0
) -> Callable[[Array, Any, Any, Any, Int[Array, ""]], tuple[Float[Array, ""], dict[str, Array]]]:
    """One agent's life: ``(key, eta, hp, env_params, updates) -> (fitness, metrics)``.

    Two lives with the same key differ in nothing but ``eta``. The step size of a life is that of ``hp``, times a factor
    of its own that is drawn log-uniformly from ``1 / spread`` to ``spread``.
    """
    stretch = make_stretch(env, learner, chunk, config)

    def live(
        key: Array, eta: Any, hp: Any, env_params: Any, updates: Int[Array, ""]
    ) -> tuple[Float[Array, ""], dict[str, Array]]:
        key_life, key_test = jax.random.split(key)
        if spread > 1.0:
            own, most = jax.random.fold_in(key, KeyTag.STEP_SIZES), math.log(spread)
            factor = jnp.exp(jax.random.uniform(own, (), jnp.float32, -most, most))
            hp = replace(hp, learning_rate=hp.learning_rate * factor)
        state = chunk.init(key_life, hp, env_params)
        horizon = updates.astype(jnp.float32)
        state, final, along, metrics = stretch(state, key_test, hp, eta, env_params, horizon, updates)
        return jnp.where(state.diverged >= 0, jnp.nan, config.mix(final, along)), metrics

    return live


def live_pairs(
    lifetime: Callable[..., tuple[Array, dict[str, Array]]],
    lanes: int,
    mesh: Mesh | None = None,
    signs: tuple[float, ...] = (1.0, -1.0),
    mask: Any = None,
) -> Live:
    """All pairs' lives, sorted into groups of ``lanes`` pairs of similar horizon.

    Args:
        lifetime: one agent's life, of `make_lifetime`.
        lanes: pairs side by side; 0 is all of a device's. On a CPU core 1 is best as soon as an update has a
            few thousand samples.
        mesh: one-axis mesh (named `PAIRS`) over which pairs are dealt out, so that every device gets its
            share of short and long lives. Its size must divide the number of pairs.
        signs: of the noise of the members of a "pair"; a single 0 is the mean alone.
        mask: which parameters have noise, see `meta.movable`.
    """

    def pair(mean: Any, sigma: Array, noise_key: Array, key: Array, hp: Any, params: Any, n: Array) -> Lives:
        def one(sign: Array) -> tuple[Array, dict[str, Array]]:
            return lifetime(key, member(mean, noise_key, sigma, sign, mask), hp, params, n)

        return Lives(*jax.vmap(one)(jnp.asarray(signs, jnp.float32)))

    def sequence(
        mean: Any, sigma: Array, noise_keys: Array, keys: Array, hp: Any, params: Any, horizons: Array
    ) -> Lives:
        def one(own: tuple[Array, Array, Any, Array]) -> Lives:
            noise_key, key, params, n = own
            return pair(mean, sigma, noise_key, key, hp, params, n)

        own = (noise_keys, keys, params, horizons)
        if not lanes or lanes >= horizons.shape[0]:
            return jax.vmap(one)(own)
        return jax.lax.map(one, own, batch_size=None if lanes == 1 else lanes)

    def live(
        mean: Any, sigma: Array, noise_keys: Array, keys: Array, hp: Any, params: Any, horizons: Array
    ) -> Lives:
        devices = 1 if mesh is None else mesh.size
        # Dealt like cards, round after round in turn from the first device to the last and back, so that none is
        # always dealt the longer life.
        rounds = jnp.argsort(horizons).reshape((-1, devices))
        order = rounds.at[1::2].set(rounds[1::2, ::-1]).T.reshape(-1)
        noise_keys, keys, params, horizons = jax.tree.map(
            lambda x: x[order], (noise_keys, keys, params, horizons)
        )
        run = sequence
        if mesh is not None:
            split, whole = PartitionSpec(PAIRS), PartitionSpec()
            run = jax.shard_map(
                sequence,
                mesh=mesh,
                in_specs=(whole, whole, split, split, whole, split, split),
                out_specs=split,
                check_vma=False,
            )
        lives = run(mean, sigma, noise_keys, keys, hp, params, horizons)
        return jax.tree.map(lambda x: x[jnp.argsort(order)], lives)

    return live
