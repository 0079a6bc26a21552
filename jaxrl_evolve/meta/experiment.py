"""From the configuration of a meta-training to pure functions that every estimator shares."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxrl_envs.contract import Env
from jaxrl_envs.resets import resets_from_name
from jaxrl_envs.vector import VectorEnv, vectorize
from jaxrl_evolve.algorithms.table import find_algorithm
from jaxrl_evolve.learners.learner import Learner
from jaxrl_evolve.meta.lifetimes import EVALUATED, live_pairs, make_lifetime
from jaxrl_evolve.meta.movable import movable
from jaxrl_evolve.meta.start import started_from
from jaxrl_evolve.objectives import AnyObjective
from jaxrl_evolve.objectives.families import BUILTIN_FAMILIES, made, time_of
from jaxrl_evolve.runs.chunk import make_chunk
from jaxrl_evolve.training.config import SinkConfig
from jaxrl_evolve.training.experiment import identity_of, traced
from jaxrl_evolve.training.memory import check_agent
from jaxrl_evolve.training.parts import check_objective, make_env, make_learner
from jaxrl_evolve.training.programs import sequential_lanes

if TYPE_CHECKING:
    from jaxrl_evolve.meta.config import MetaTrainConfig


class MetaExperiment(NamedTuple):
    """What a configuration means.

    Attributes:
        env: the environment, or one level of the family.
        objective: what is meta-trained.
        learner: the agent.
        venv: its environments.
        lifetime: one agent's life, see `make_lifetime`.
        start: ``key -> eta``.
    """

    env: Env
    objective: AnyObjective
    learner: Learner
    venv: VectorEnv
    lifetime: Callable[..., tuple[Array, dict[str, Array]]]
    start: Callable[[Array], Any]


class MetaPrograms(NamedTuple):
    """Compilable functions of a meta-training.

    Attributes:
        init: ``(key, hp) -> state``; ``state.eta`` are the objective's parameters.
        generation: ``(state, hp) -> (state, metrics)``. Metrics are float32 scalars, or vectors whose size is
            fixed; ``fitness``, ``failed`` and ``updates`` (that agents made, all together) are always there.
        split: fields of the state whose leaves lead with agents, to be split over the mesh.
    """

    init: Callable[[Array, Any], Any]
    generation: Callable[[Any, Any], tuple[Any, dict[str, Array]]]
    split: tuple[str, ...] = ()


def build_meta(config: MetaTrainConfig[Any, Any, Any]) -> MetaExperiment:
    """Look everything up and check that it fits together; compiles nothing.

    Raises:
        ValueError: a name is not known, sizes don't fit, or the objective to start from is another's.
    """
    objective = made(config.family, config.complete_settings())
    env = make_env(config.env, config.env_options)
    algorithm = find_algorithm(config.family.algorithm)
    size, length = config.num_envs, config.rollout_length
    name, settings = config.family.algorithm, (config.learner, traced(config.hp))
    make = lambda objective: make_learner(name, algorithm, (env, size, length, *settings, objective))
    learner = make(objective)
    if config.family.kind not in BUILTIN_FAMILIES:
        check_objective(name, objective, make, env, size, length)
    venv = vectorize(env, size, resets_from_name(config.resets))
    chunk = make_chunk(learner, venv, length)
    check_agent(config, chunk, env)
    lifetime = make_lifetime(env, learner, chunk, config.fitness, config.step_size_spread)
    start = started_from(config, objective) if config.start else objective.init
    return MetaExperiment(env, objective, learner, venv, lifetime, start)


def identity(config: MetaTrainConfig[Any, Any, Any]) -> Hashable | None:
    """What the compiled programs of a meta-training close over, see `identity_of`: all but its seed and its keeping."""
    counts = dataclasses.replace(config, seed=0, keep=1, test_every=1, sinks=SinkConfig())
    return identity_of(counts, config.env, config.family.algorithm, config.start)


def tasks(env: Env, keys: Array) -> Any:
    """Parameters of one task per key, leaves ``[keys, ...]``."""
    if env.sample_params is not None:
        return jax.vmap(env.sample_params)(keys)
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (keys.shape[0], *jnp.shape(x))), env.params)


def mask_of(config: MetaTrainConfig[Any, Any, Any], experiment: MetaExperiment) -> Any:
    """Which of the objective's parameters evolution may move, see `meta.movable`; None for all.

    Raises:
        ValueError: ``evolution.only`` names something that is no parameter.
    """
    like = jax.eval_shape(experiment.start, jax.random.key(0))
    return movable(config.evolution.only, like, time_of(config.complete_settings()).names)


def lanes_of(config: MetaTrainConfig[Any, Any, Any], agents: int) -> int:
    """How many groups of ``agents`` agents live side by side on one device; 0 is all."""
    if config.lanes >= 0:
        return config.lanes
    on_cpu = jax.default_backend() == "cpu"
    return max(1, sequential_lanes(config.steps_per_update) // agents) if on_cpu else 0


def spread_out(low: int, high: int, count: int) -> Int[Array, " count"]:
    """Lengths of lives from the lowest to the highest, in equal steps of their logarithm; a single one is their geometric mean."""
    ends = jnp.log(float(low)), jnp.log(float(high))
    spread = jnp.linspace(*ends, count) if count > 1 else jnp.mean(jnp.stack(ends), keepdims=True)
    return jnp.round(jnp.exp(spread)).astype(jnp.int32)


def make_test(
    config: MetaTrainConfig[Any, Any, Any], experiment: MetaExperiment, root: Array
) -> Callable[
    [Any, Any], tuple[Float[Array, " tests"], Int[Array, " tests"], Float[Array, " tests"], Float[Array, ""]]
]:
    """Lives on held-out tasks, ``(eta, hp) -> (fitness, horizons, optimum, steps)``; the optimum is NaN where unknown,
    steps are those of all environments, evaluations and all.

    Args:
        config: says how many, and over which range of horizons.
        experiment: what it means.
        root: root key of the held-out tasks.
    """
    env, count = experiment.env, config.tests
    live = live_pairs(experiment.lifetime, lanes_of(config, 1), signs=(0.0,))
    low, high = config.horizons.range

    def test(eta: Any, hp: Any) -> tuple[Array, Array, Array, Array]:
        key_tasks, key_lives = jax.random.split(root)
        params = tasks(env, jax.random.split(key_tasks, count))
        lengths = spread_out(low, high, count)
        keys = jax.random.split(key_lives, count)
        lives = live(eta, jnp.float32(0.0), keys, keys, hp, params, lengths)
        best = jnp.full((count,), jnp.nan)
        if env.optimal_return is not None:
            best = jax.lax.map(env.optimal_return, params)
        lived = lengths.sum().astype(jnp.float32) * config.steps_per_update
        return lives.fitness[:, 0], lengths, best, lived + lives.metrics[EVALUATED].sum()

    return test
