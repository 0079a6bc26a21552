"""One generation of evolution strategies as one compiled program: draw tasks, live, compare, step."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from jaxrl_evolve.curricula.level_replay import Scored
from jaxrl_evolve.meta.evolution import (
    EvolutionState,
    ascent,
    evolve,
    init_evolution,
    pair_weights,
    sigma_of,
)
from jaxrl_evolve.meta.experiment import MetaExperiment, MetaPrograms, lanes_of, mask_of, tasks
from jaxrl_evolve.meta.groove import Curation, Task, curation, deal, record, regrets_of_pairs
from jaxrl_evolve.meta.horizon_arms import LivesOfArms, horizon_curriculum
from jaxrl_evolve.meta.horizons import sample_horizons
from jaxrl_evolve.meta.lifetimes import EVALUATED, Live, Lives, live_pairs
from jaxrl_evolve.random import KeyTag
from jaxrl_evolve.runs.tasks import NEW, Curriculum, Openings
from jaxrl_evolve.settings.rows import OF_CURRICULUM

if TYPE_CHECKING:
    from jaxrl_evolve.meta.config import MetaTrainConfig

HORIZON_BINS = 4
"""Fitness is reported for this many parts of the range of horizons, equal in their logarithm."""

_OF_EPISODES = ("episode_return", "episode_length", "episodes", "final_return", EVALUATED)


class _Parts(NamedTuple):
    """What the functions of a meta-training are made of; nothing of it is traced.

    Attributes:
        config: of the meta-training.
        experiment: what it means.
        live: lives of the pairs.
        curated: how levels are curated, or None.
        oppose: lives of antagonists alone, where levels are curated.
        horizons: what chooses horizons, or None. Its state has the place of the levels'.
        mask: which parameters may move, or None.
    """

    config: MetaTrainConfig[Any, Any, Any]
    experiment: MetaExperiment
    live: Live
    curated: Curation | None
    oppose: Live | None
    horizons: Curriculum | None = None
    mask: Any = None


def evolution_programs(
    config: MetaTrainConfig[Any, Any, Any], experiment: MetaExperiment, mesh: Mesh | None = None
) -> MetaPrograms:
    """The functions of a meta-training by evolution strategies.

    Args:
        config: its configuration.
        experiment: what that means.
        mesh: devices to deal the pairs over, see `live_pairs`.

    Raises:
        ValueError: ``evolution.only`` names something that is no parameter.
    """
    mask, curated = mask_of(config, experiment), curation(config, experiment)
    live = live_pairs(experiment.lifetime, lanes_of(config, 2), mesh, mask=mask)
    oppose = None
    if curated:
        oppose = live_pairs(curated.antagonist.live, lanes_of(config, 1), mesh, signs=(0.0,))
    parts = _Parts(config, experiment, live, curated, oppose, horizon_curriculum(config), mask)
    return MetaPrograms(partial(_init, parts), partial(_generation, parts))


def _init(parts: _Parts, key: Array, hp: Any) -> EvolutionState:
    del hp
    key, key_start = jax.random.split(key)
    state = init_evolution(parts.config.evolution, key, parts.experiment.start(key_start))
    curriculum = parts.curated.curriculum if parts.curated else parts.horizons
    if curriculum is None:
        return state
    return replace(state, levels=curriculum.init(jax.random.fold_in(key, KeyTag.TASKS)))


def _generation(parts: _Parts, state: EvolutionState, hp: Any) -> tuple[EvolutionState, dict[str, Array]]:
    """One generation."""
    config, strategy = parts.config, parts.config.evolution
    key, key_tasks, key_noise, key_lives, key_horizons, key_levels = jax.random.split(state.key, 6)
    split = lambda k: jax.random.split(k, strategy.pairs)
    progress = state.generation.astype(jnp.float32) / max(config.generations - 1, 1)
    lengths = sample_horizons(config.horizons, key_horizons, strategy.pairs, progress)
    sigma, noise_keys = sigma_of(strategy, state.generation), split(key_noise)
    # Every pair begins a life in every generation.
    everyone, nobody = jnp.ones((strategy.pairs,), bool), jnp.full((strategy.pairs,), NEW, jnp.int32)
    openings = Openings(Task(tasks(parts.experiment.env, split(key_tasks)), lengths), everyone, nobody)
    if parts.horizons:
        buffer, given = parts.horizons.propose(key_levels, state.levels, openings)
        task = replace(openings.drawn, horizon=given.params)
    else:
        buffer, given = deal(parts.curated, key_levels, state.levels, openings)
        task: Task = given.params
    life_keys = split(key_lives)
    if strategy.keys == "generation":
        life_keys = life_keys[jnp.zeros((strategy.pairs,), jnp.int32)]
    lives = parts.live(state.eta, sigma, noise_keys, life_keys, hp, task.params, task.horizon)
    weights, failed = pair_weights(lives.fitness, strategy.shaping)
    gradient = ascent(weights, noise_keys, state.eta, sigma, parts.mask)
    state, metrics = evolve(strategy, state, gradient, key, parts.mask)
    span = config.horizons.range
    metrics |= population_metrics(lives, weights, failed, task.horizon, task.horizon, span)
    if parts.horizons:
        buffer = parts.horizons.record(buffer, LivesOfArms(given, lives.fitness))
        metrics |= {f"{OF_CURRICULUM}{name}": x for name, x in parts.horizons.metrics(buffer).items()}
    if parts.curated and parts.oppose:
        hp = parts.curated.antagonist.hp
        alone = parts.oppose((), sigma, noise_keys, life_keys, hp, task.params, task.horizon)
        scored = Scored(given, regrets_of_pairs(lives, alone), everyone)
        buffer, facts = record(parts.curated, buffer, scored)
        spent = task.horizon.sum().astype(jnp.float32)
        metrics |= {**facts, "antagonist_updates": spent}
        metrics["updates"] += spent
        metrics[EVALUATED] += jnp.asarray(alone.metrics.get(EVALUATED, 0.0), jnp.float32).sum()
    return replace(state, levels=buffer), metrics


def population_metrics(
    lives: Lives,
    weights: Float[Array, " pairs"],
    failed: Int[Array, ""],
    horizons: Int[Array, " pairs"],
    updates: Int[Array, " pairs"],
    span: tuple[int, int],
) -> dict[str, Array]:
    """What a generation of antithetic pairs reports.

    Args:
        lives: what became of the pairs.
        weights: what their noise counted for.
        failed: members that diverged.
        horizons: updates in a whole life of each.
        updates: that each member made in this generation.
        span: shortest and longest lifetime.
    """
    low, high = span
    edges = jnp.asarray(
        [low * (high / low) ** (i / HORIZON_BINS) for i in range(1, HORIZON_BINS)], jnp.float32
    )
    share = updates[:, None].astype(jnp.float32)
    # Weighted by the lengths of the lives: what an average update of this generation looked like.
    metrics = {
        f"agent_{name}": finite_mean(values * share) / share.mean()
        for name, values in lives.metrics.items()
        if name not in _OF_EPISODES
    }
    return metrics | {
        "fitness": finite_mean(lives.fitness),
        "fitness_spread": finite_mean(jnp.abs(lives.fitness[:, 0] - lives.fitness[:, 1])),
        "fitness_by_horizon": _mean_by(lives.fitness, jnp.digitize(horizons, edges), HORIZON_BINS),
        "failed": failed.astype(jnp.float32),
        "ties": (weights == 0).sum().astype(jnp.float32),
        "updates": 2.0 * share.sum(),
        EVALUATED: jnp.asarray(lives.metrics.get(EVALUATED, 0.0), jnp.float32).sum(),
    }


def finite_mean(x: Array) -> Array:
    """Mean of the finite numbers; NaN where there is none."""
    fine = jnp.isfinite(x)
    return jnp.where(fine, x, 0.0).sum() / fine.sum()


def _mean_by(fitness: Float[Array, "pairs 2"], bins: Int[Array, " pairs"], count: int) -> Array:
    """Mean of the finite fitnesses of each bin; NaN for an empty one."""
    fine = jnp.isfinite(fitness)
    total = jax.ops.segment_sum(jnp.where(fine, fitness, 0.0).sum(1), bins, count)
    return total / jax.ops.segment_sum(fine.sum(1).astype(jnp.float32), bins, count)
