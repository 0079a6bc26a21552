"""One generation as one compiled program: draw tasks, live, compare, step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from jaxrl_envs import make
from jaxrl_envs.contract import Env
from jaxrl_envs.vector import resets_from_name, vectorize
from jaxrl_evolve.algorithms import find_algorithm, find_objective
from jaxrl_evolve.experiment import literal, traced
from jaxrl_evolve.meta.config import MetaTrainConfig
from jaxrl_evolve.meta.evolution import (
    EvolutionState,
    ascent,
    evolve,
    init_evolution,
    pair_weights,
    sigma_of,
)
from jaxrl_evolve.meta.horizons import sample_horizons
from jaxrl_evolve.meta.lifetimes import live_pairs, make_lifetime
from jaxrl_evolve.objectives import Objective
from jaxrl_evolve.objectives.stored import KINDS
from jaxrl_evolve.training.chunk import make_chunk
from jaxrl_evolve.training.programs import sequential_lanes

HORIZON_BINS = 4
"""Fitness is reported for this many parts of the range of horizons, equal in their logarithm."""


class MetaExperiment(NamedTuple):
    """What a configuration means.

    Attributes:
        env: the environment, or one level of the family.
        objective: what is meta-trained.
        lifetime: one agent's life.
        start: ``key -> eta``.
    """

    env: Env
    objective: Objective
    lifetime: Callable[..., tuple[Array, dict[str, Array]]]
    start: Callable[[Array], Any]


def build_meta(config: MetaTrainConfig[Any, Any, Any]) -> MetaExperiment:
    """Look everything up and check that it fits together; compiles nothing.

    Raises:
        ValueError: a name is not known, sizes don't fit, or the objective to start from is another's.
    """
    settings = config.complete_settings()
    objective = KINDS[config.family.kind].make(settings)
    env = make(config.env, **{name: literal(text) for name, text in config.env_options.items()})
    algorithm = find_algorithm(config.family.algorithm)
    learner = algorithm.make(
        env, config.num_envs, config.rollout_length, config.learner, traced(config.hp), objective
    )
    chunk = make_chunk(
        learner, vectorize(env, config.num_envs, resets_from_name(config.resets)), config.rollout_length
    )
    lifetime = make_lifetime(env, learner, chunk, config.fitness)
    start = objective.init if not config.start else _started_from(config.start, objective)
    return MetaExperiment(env, objective, lifetime, start)


def _started_from(name: str, objective: Objective) -> Callable[[Array], Any]:
    """The parameters of a stored objective, zeros for the time inputs it does not have."""
    other = find_objective(name)
    key = jax.random.key(0)
    there, wanted = other.init(key), jax.eval_shape(objective.init, key)
    missing = set(wanted) - set(there) if isinstance(there, dict) else set()
    fits = isinstance(there, dict) and all("time" in leaf for leaf in missing) and set(there) <= set(wanted)
    if not fits or any(there[leaf].shape != wanted[leaf].shape for leaf in there):
        raise ValueError(
            f"start is {name!r}, an objective {other.name!r} whose parameters are not those of this "
            f"{objective.name!r}; only time inputs may be missing"
        )
    eta = {**there, **{leaf: jnp.zeros(wanted[leaf].shape, jnp.float32) for leaf in missing}}
    return lambda key: eta


def tasks(env: Env, keys: Array) -> Any:
    """Parameters of one task per key, leaves ``[keys, ...]``."""
    if env.sample_params is not None:
        return jax.vmap(env.sample_params)(keys)
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (keys.shape[0], *jnp.shape(x))), env.params)


class Programs(NamedTuple):
    """Compilable functions of a meta-training.

    Attributes:
        init: ``key -> EvolutionState``.
        generation: ``(state, hp) -> (state, metrics)``, float32 scalars but for ``fitness_by_horizon`` ``[bins]``.
        test: ``(mean, hp) -> (fitness [tests], horizons [tests], optimum [tests])`` on held-out tasks; the optimum
            is NaN where the environment does not know it.
    """

    init: Callable[[Array], EvolutionState]
    generation: Callable[[EvolutionState, Any], tuple[EvolutionState, dict[str, Array]]]
    test: Callable[[Any, Any], tuple[Float[Array, " tests"], Int[Array, " tests"], Float[Array, " tests"]]]


def make_programs(
    config: MetaTrainConfig[Any, Any, Any],
    experiment: MetaExperiment,
    root: Array,
    mesh: Mesh | None = None,
) -> Programs:
    """The functions of a meta-training by evolution strategies.

    Args:
        config: its configuration.
        experiment: what that means.
        root: root key of the held-out tasks.
        mesh: devices to deal the pairs over, see `live_pairs`.
    """
    env, strategy, horizons = experiment.env, config.evolution, config.horizons
    lanes = config.lanes
    if lanes < 0:  # of pairs, so half of what one core takes of single runs
        on_cpu = jax.default_backend() == "cpu"
        lanes = max(1, sequential_lanes(config.steps_per_update) // 2) if on_cpu else 0
    live = live_pairs(experiment.lifetime, lanes, mesh)
    test_each = live_pairs(experiment.lifetime, lanes, None, signs=(0.0,))
    low, high = horizons.range
    edges = jnp.asarray(
        [low * (high / low) ** (i / HORIZON_BINS) for i in range(1, HORIZON_BINS)], jnp.float32
    )

    def init(key: Array) -> EvolutionState:
        key, key_start = jax.random.split(key)
        return init_evolution(strategy, key, experiment.start(key_start))

    def generation(state: EvolutionState, hp: Any) -> tuple[EvolutionState, dict[str, Array]]:
        key, key_tasks, key_noise, key_lives, key_horizons = jax.random.split(state.key, 5)
        split = lambda k: jax.random.split(k, strategy.pairs)
        progress = state.generation.astype(jnp.float32) / max(config.generations - 1, 1)
        lengths = sample_horizons(horizons, key_horizons, strategy.pairs, progress)
        sigma, noise_keys = sigma_of(strategy, state.generation), split(key_noise)
        lives = live(
            state.mean, sigma, noise_keys, split(key_lives), hp, tasks(env, split(key_tasks)), lengths
        )
        weights, failed = pair_weights(lives.fitness, strategy.shaping)
        gradient = ascent(weights, noise_keys, state.mean, sigma)
        state, metrics = evolve(strategy, state, gradient, key)
        updates = lengths[:, None].astype(jnp.float32)
        metrics |= {
            # Weighted by the lengths of the lives: what an average update of this generation looked like.
            f"agent_{name}": _mean(values * updates) / updates.mean()
            for name, values in lives.metrics.items()
            if name not in ("episode_return", "episode_length", "episodes", "final_return")
        }
        metrics |= {
            "fitness": _mean(lives.fitness),
            "fitness_spread": _mean(jnp.abs(lives.fitness[:, 0] - lives.fitness[:, 1])),
            "fitness_by_horizon": _mean_by(lives.fitness, jnp.digitize(lengths, edges), HORIZON_BINS),
            "failed": failed.astype(jnp.float32),
            "ties": (weights == 0).sum().astype(jnp.float32),
            "updates": 2.0 * updates.sum(),
        }
        return state, metrics

    def test(mean: Any, hp: Any) -> tuple[Array, Array, Array]:
        key_tasks, key_lives = jax.random.split(root)
        count = config.tests
        params = tasks(env, jax.random.split(key_tasks, count))
        spread = jnp.linspace(jnp.log(float(low)), jnp.log(float(high)), count)
        lengths = jnp.round(jnp.exp(spread)).astype(jnp.int32)
        keys = jax.random.split(key_lives, count)
        lives = test_each(mean, jnp.float32(0.0), keys, keys, hp, params, lengths)
        best = jnp.full((count,), jnp.nan)
        if env.optimal_return is not None:
            best = jax.lax.map(env.optimal_return, params)
        return lives.fitness[:, 0], lengths, best

    return Programs(init, generation, test)


def _mean(x: Array) -> Array:
    """Mean of the finite numbers; NaN where there is none."""
    fine = jnp.isfinite(x)
    return jnp.where(fine, x, 0.0).sum() / fine.sum()


def _mean_by(fitness: Float[Array, "pairs 2"], bins: Int[Array, " pairs"], count: int) -> Array:
    """Mean of the finite fitnesses of each bin; NaN for an empty one."""
    fine = jnp.isfinite(fitness)
    total = jax.ops.segment_sum(jnp.where(fine, fitness, 0.0).sum(1), bins, count)
    return total / jax.ops.segment_sum(fine.sum(1).astype(jnp.float32), bins, count)
