"""Persistent evolution strategies: the objective moves while the agents live (see `meta.windows`).

Every antithetic pair lives on its own: two agents, a level, a horizon, a counter of its own. A generation
takes each of them one window further, or to the end of its life if that is nearer, and moves the mean.
Pairs whose lives are over begin another one, on a new level, and so does a pair with an agent that diverged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Bool, Float, Int

from jaxrl_evolve.meta.evolution import (
    EvolutionState,
    evolve,
    init_evolution,
    pair_weights,
    sigma_of,
)
from jaxrl_evolve.meta.experiment import MetaExperiment, MetaPrograms, lanes_of, mask_of
from jaxrl_evolve.meta.generation import population_metrics
from jaxrl_evolve.meta.horizons import sample_horizons
from jaxrl_evolve.meta.lifetimes import PAIRS, FitnessConfig, Lives, Stretch, make_stretch
from jaxrl_evolve.meta.windows import Sigma, window_ascent, window_member
from jaxrl_evolve.runs.chunk import Chunk, TrainState, make_chunk

if TYPE_CHECKING:
    from jaxrl_evolve.meta.config import MetaTrainConfig

_SIGNS = (1.0, -1.0)


@struct.dataclass
class PairLife:
    """An antithetic pair between two windows of its life.

    Attributes:
        members: the agents of plus and minus and their environments, leaves ``[2, ...]``. Their counter of
            updates is the pair's age.
        evaluated: return of their last evaluation, zeros before the first.
        params: their task.
        horizon: updates in their whole life, which their clocks show; int32.
        retire: updates after which they give way to others; int32. Less than the horizon for first lives,
            so that not all are of one age for ever.
        window: windows lived, int32.
        key: what both lives' randomness comes from.
        noise_key: what their objectives' noise comes from.
    """

    members: TrainState
    evaluated: Float[Array, " members"]
    params: Any
    horizon: Int[Array, ""]
    retire: Int[Array, ""]
    window: Int[Array, ""]
    key: Array
    noise_key: Array


@struct.dataclass
class PersistentState:
    """State between two generations.

    Attributes:
        eta: the objective's parameters, mean of the population.
        optimiser: Adam's state over them.
        lives: the pairs, leaves ``[pairs, ...]``.
        generation: generations made, int32 scalar.
        key: typed key, the source of new lives.
    """

    eta: Any
    optimiser: Any
    lives: PairLife
    generation: Int[Array, ""]
    key: Array


class _Window(NamedTuple):
    """What came of a pair's window; second axis of vectors plus and minus, NaN where an agent diverged."""

    credit: Float[Array, " members"]
    fitness: Float[Array, " members"]
    metrics: dict[str, Float[Array, " members"]]
    updates: Int[Array, ""]
    over: Bool[Array, ""]


def window_credit(
    kind: str,
    fitness: FitnessConfig,
    final: Float[Array, " *members"],
    before: Float[Array, " *members"],
    along: Float[Array, " *members"],
    share: Float[Array, " *#members"],
) -> Float[Array, " *members"]:
    """What a window is credited with.

    Args:
        kind: "change" or "level", see `meta.persistent_config`.
        fitness: weights of the two returns.
        final: return at the window's end.
        before: return at the end of the last one.
        along: return of the window's episodes.
        share: fraction of the life's updates that are the window's. Long lives have more windows, so without
            it they would count for more.
    """
    if kind == "change":
        return fitness.mix(final - before, share * along)
    return share * fitness.mix(final, along)


class _Parts(NamedTuple):
    """What the functions of a meta-training are made of; nothing of it is traced.

    Attributes:
        config: of the meta-training.
        experiment: what it means.
        chunk: makes the agents.
        stretch: takes one of them through a window, see `make_stretch`.
        lanes: pairs side by side on a device; 0 is all.
        mesh: devices over which pairs are split, or None.
        mask: which parameters may move, or None.
    """

    config: MetaTrainConfig[Any, Any, Any]
    experiment: MetaExperiment
    chunk: Chunk
    stretch: Stretch
    lanes: int
    mesh: Mesh | None
    mask: Any


def persistent_programs(
    config: MetaTrainConfig[Any, Any, Any], experiment: MetaExperiment, mesh: Mesh | None = None
) -> MetaPrograms:
    """The functions of a meta-training by evolution strategies over windows of lives.

    Args:
        config: its configuration.
        experiment: what it means.
        mesh: one-axis mesh (named `PAIRS`) over which pairs are split; its size must divide their number.

    Raises:
        ValueError: ``evolution.only`` names something that is no parameter.
    """
    chunk = make_chunk(experiment.learner, experiment.venv, config.rollout_length)
    stretch = make_stretch(experiment.env, experiment.learner, chunk, config.fitness)
    parts = _Parts(config, experiment, chunk, stretch, lanes_of(config, 2), mesh, mask_of(config, experiment))
    everyone, ascent = partial(_all_windows, parts), partial(_ascent, parts)
    if mesh is not None:
        split, whole = PartitionSpec(PAIRS), PartitionSpec()
        specs = (whole, whole, split, split, whole, whole)
        everyone = jax.shard_map(
            everyone, mesh=mesh, in_specs=specs, out_specs=(split, split), check_vma=False
        )
        specs = (whole, whole, split, split, split)
        ascent = jax.shard_map(ascent, mesh=mesh, in_specs=specs, out_specs=whole, check_vma=False)
    return MetaPrograms(
        partial(_init, parts), partial(_generation, parts, everyone, ascent), split=("lives",)
    )


def _init(parts: _Parts, key: Array, hp: Any) -> PersistentState:
    strategy = parts.config.evolution
    key, key_start, key_lives = jax.random.split(key, 3)
    start = init_evolution(strategy, key, parts.experiment.start(key_start))
    keys = jax.random.split(key_lives, strategy.pairs)
    lives = jax.vmap(lambda k: _new_life(parts, k, hp, jnp.float32(0.0), True))(keys)
    return PersistentState(start.eta, start.optimiser, lives, start.generation, key)


def _generation(
    parts: _Parts,
    everyone: Callable[..., tuple[PairLife, _Window]],
    ascent: Callable[..., Any],
    state: PersistentState,
    hp: Any,
) -> tuple[PersistentState, dict[str, Array]]:
    """Every pair one window further, and the mean after them."""
    config, strategy = parts.config, parts.config.evolution
    key, key_lives = jax.random.split(state.key)
    keys, before = jax.random.split(key_lives, strategy.pairs), state.lives
    progress = state.generation.astype(jnp.float32) / max(config.generations - 1, 1)
    lives, window = everyone(state.eta, state.generation, before, keys, hp, progress)
    weights, failed = pair_weights(window.credit, strategy.shaping)
    gradient = ascent(state.eta, state.generation, weights, before.noise_key, before.window)
    evolution = EvolutionState(state.eta, state.optimiser, state.generation, state.key)
    evolution, metrics = evolve(strategy, evolution, gradient, key, parts.mask)
    metrics |= population_metrics(
        Lives(window.fitness, window.metrics),
        weights,
        failed,
        before.horizon,
        window.updates,
        config.horizons.range,
    )
    metrics["lives_ended"] = window.over.sum().astype(jnp.float32)
    state = PersistentState(evolution.eta, evolution.optimiser, lives, evolution.generation, key)
    return state, metrics


def _all_windows(
    parts: _Parts, eta: Any, generation: Array, lives: PairLife, keys: Array, hp: Any, progress: Array
) -> tuple[PairLife, _Window]:
    """A device's pairs, each after its window."""

    def one(own: tuple[PairLife, Array]) -> tuple[PairLife, _Window]:
        return _window(parts, eta, generation, *own, hp, progress)

    if not parts.lanes or parts.lanes >= keys.shape[0]:
        return jax.vmap(one)((lives, keys))
    return jax.lax.map(one, (lives, keys), batch_size=None if parts.lanes == 1 else parts.lanes)


def _window(
    parts: _Parts, eta: Any, generation: Array, pair: PairLife, key: Array, hp: Any, progress: Array
) -> tuple[PairLife, _Window]:
    """A pair after a window, or the one that takes its place, and what came of the window."""
    c, fitness = parts.config.persistent, parts.config.fitness
    horizon, age = pair.horizon.astype(jnp.float32), pair.members.updates[0]
    updates = jnp.minimum(c.window, pair.retire - age)
    key_test = jax.random.split(pair.key)[1]
    sigma = _sigma(parts, generation)

    def one(sign: Array, state: TrainState) -> tuple[TrainState, Array, Array, dict[str, Array]]:
        own = window_member(c.noise, eta, pair.noise_key, pair.window, sigma, sign, parts.mask)
        return parts.stretch(state, key_test, hp, own, pair.params, horizon, updates)

    members, final, along, metrics = jax.vmap(one)(jnp.asarray(_SIGNS, jnp.float32), pair.members)
    share = updates / horizon
    credit = window_credit(c.credit, fitness, final, pair.evaluated, along, share)
    diverged = members.diverged >= 0
    fine = lambda x: jnp.where(diverged, jnp.nan, x)
    over = (age + updates >= pair.retire) | diverged.any()
    older = replace(pair, members=members, evaluated=final, window=pair.window + 1)
    # In sequence (lanes of 1) a new life is made only where one is due.
    after = jax.lax.cond(over, lambda: _new_life(parts, key, hp, progress, False), lambda: older)
    return after, _Window(fine(credit), fine(fitness.mix(final, along)), metrics, updates, over)


def _new_life(parts: _Parts, key: Array, hp: Any, progress: Array, staggered: bool) -> PairLife:
    """A pair before its first window; ``staggered`` ones end at the end of any of their windows."""
    env, length = parts.experiment.env, parts.config.persistent.window
    key_task, key_noise, key_life, key_horizon, key_age = jax.random.split(key, 5)
    params = env.params if env.sample_params is None else env.sample_params(key_task)
    horizon = sample_horizons(parts.config.horizons, key_horizon, 1, progress)[0]
    retire = horizon
    if staggered:
        windows = (horizon + length - 1) // length
        lived = jax.random.randint(key_age, (), 1, windows + 1, jnp.int32)
        retire = jnp.minimum(lived * length, horizon)
    agent = parts.chunk.init(jax.random.split(key_life)[0], hp, params)
    return PairLife(
        members=jax.tree.map(lambda x: jnp.stack([x, x]), agent),
        evaluated=jnp.zeros((2,), jnp.float32),
        params=params,
        horizon=horizon,
        retire=retire,
        window=jnp.zeros((), jnp.int32),
        key=key_life,
        noise_key=key_noise,
    )


def _ascent(parts: _Parts, eta: Any, generation: Array, weights: Array, keys: Array, numbers: Array) -> Any:
    """The estimated gradient, from the pairs of all devices."""
    config = parts.config
    sigma = _sigma(parts, generation)
    total = window_ascent(config.persistent.noise, weights, keys, numbers, sigma, eta, parts.mask)
    total = total if parts.mesh is None else jax.lax.psum(total, PAIRS)
    return jax.tree.map(lambda t: t / config.evolution.pairs, total)


def _sigma(parts: _Parts, generation: Array) -> Sigma:
    return lambda ago: sigma_of(parts.config.evolution, generation - ago)
