"""Whole lives of agents, judged by their ends, with what happened on the way.

One compiled program per arm and environment: parameters of the objective, hyperparameters, level, random
numbers and horizon are all its arguments. Each call lives one horizon, so no agent waits for a longer-lived one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float, Int

from jaxrl_envs.contract import Env
from jaxrl_evolve.compilation import kept
from jaxrl_evolve.learners.learner import Learner
from jaxrl_evolve.meta_test.agents import Agents
from jaxrl_evolve.runs.axes import mesh_for
from jaxrl_evolve.runs.chunk import Chunk, make_chunk
from jaxrl_evolve.runs.evaluation import make_evaluation

LIFE = "life"
"""Name of the axis of lives, and of the mesh axis it is split over."""

SCHEDULES = ("policy_target", "update_norm", "entropy", "drift", "approx_kl", "episode_return")
"""What is recorded along a life, where the objective has it."""


class Life(NamedTuple):
    """Outcome of lives, leaves with their leading axes.

    Attributes:
        score: mean return of the finished agent's evaluation episodes; NaN where it diverged.
        average: mean return of the episodes of the life itself; NaN where none ended.
        schedules: by name, means over each part of the life; NaN where a part has no update.
        evaluated: steps of those evaluation episodes, int32.
    """

    score: Float[Array, "*lives"]
    average: Float[Array, "*lives"]
    schedules: dict[str, Float[Array, "*lives bins"]]
    evaluated: Any = ()


class LifeInputs(NamedTuple):
    """What differs between the lives of one call, leaves ``[L, ...]``.

    Attributes:
        which: index of the objective's parameters, int32.
        key: typed keys.
        hp: hyperparameters, float32.
        params: of the environment.
    """

    which: Int[Array, " L"]
    key: Array
    hp: Any
    params: Any


def with_update_norm(learner: Learner) -> Learner:
    """A learner that also reports ``update_norm``, the Euclidean length of each change of its parameters."""
    learn: Any = learner.update

    def update(key: Array, state: Any, trajectory: Any, hp: Any, eta: Any, clock: Any) -> Any:
        after, metrics = learn(key, state, trajectory, hp, eta, clock)
        squares = jax.tree.map(lambda new, old: jnp.square(new - old).sum(), after.params, state.params)
        return after, {**metrics, "update_norm": jnp.sqrt(sum(jax.tree.leaves(squares), jnp.float32(0.0)))}

    return learner._replace(update=update)


def never_learning(learner: Learner) -> Learner:
    """A learner that keeps its first state."""

    def update(key: Array, state: Any, trajectory: Any, hp: Any, eta: Any, clock: Any) -> Any:
        del key, trajectory, hp, eta, clock
        return state, {"loss": jnp.float32(0.0), "update_norm": jnp.float32(0.0)}

    return learner._replace(update=update)


def make_life(
    env: Env, learner: Learner, chunk: Chunk, episodes: int, max_steps: int, bins: int
) -> Callable[[Array, Any, Any, Any, Int[Array, ""]], Life]:
    """One agent's life, ``(key, eta, hp, env_params, updates) -> Life``.

    Its random numbers are those of `jaxrl_evolve.meta.lifetimes.make_lifetime`: cut into parts, it is the same life.
    """
    evaluate = make_evaluation(env, learner, episodes, max_steps, "sample")

    def live(key: Array, eta: Any, hp: Any, env_params: Any, updates: Int[Array, ""]) -> Life:
        key_life, key_test = jax.random.split(key)
        state = chunk.init(key_life, hp, env_params)
        ends = (jnp.arange(1, bins + 1, dtype=jnp.int32) * updates) // bins
        parts = jnp.diff(ends, prepend=0)

        def part(state: Any, length: Array) -> Any:
            return chunk.run(state, hp, eta, env_params, updates.astype(jnp.float32), length)

        state, metrics = jax.lax.scan(part, state, parts)
        tested = evaluate(key_test, state.learner, env_params)
        ended = metrics["episodes"]
        returns = jnp.where(ended > 0, metrics["episode_return"] * ended, 0.0).sum()
        schedules = {name: metrics[name] for name in SCHEDULES if name in metrics}
        score = jnp.where(state.diverged >= 0, jnp.nan, tested.returns.mean())
        return Life(score, returns / ended.sum(), schedules, tested.lengths.sum())

    return live


def compile_lives(
    agents: Agents,
    env: Env,
    rollout_length: int,
    episodes: int,
    max_steps: int,
    bins: int,
    lanes: int,
    key: Hashable | None = None,
) -> Callable[[LifeInputs, Int[Array, ""]], Life]:
    """A jitted ``(inputs, updates) -> Life`` of one arm in one environment, leaves ``[L, ...]``.

    Args:
        agents: who lives.
        env: where.
        rollout_length: steps per update.
        episodes: of the final evaluation.
        max_steps: of each of these.
        bins: parts of each life.
        lanes: lives side by side on one device; 0 is all.
        key: all that determines the agents and their environment, by which the program is kept; None compiles anew.
    """
    settings = (rollout_length, episodes, max_steps, bins, lanes, jax.default_backend())
    run = kept("lives", key and (key, settings), lambda: _jit(agents, env, *settings[:-1]))
    return lambda inputs, updates: run(agents.arm.eta, inputs, updates)


def _jit(
    agents: Agents, env: Env, rollout_length: int, episodes: int, max_steps: int, bins: int, lanes: int
) -> Callable[[Any, LifeInputs, Int[Array, ""]], Life]:
    learner = with_update_norm(agents.learner) if agents.arm.learns else never_learning(agents.learner)
    life = make_life(
        env, learner, make_chunk(learner, agents.venv, rollout_length), episodes, max_steps, bins
    )

    def sequence(etas: Any, inputs: LifeInputs, updates: Array) -> Life:
        def one(own: LifeInputs) -> Life:
            eta = jax.tree.map(lambda x: x[own.which], etas)
            return life(own.key, eta, own.hp, own.params, updates)

        if not lanes or (lanes >= inputs.which.shape[0] > 1):
            return jax.vmap(one)(inputs)
        return jax.lax.map(one, inputs, batch_size=None if lanes == 1 else lanes)

    def everybody(etas: Any, inputs: LifeInputs, updates: Array) -> Life:
        mesh = mesh_for(LIFE, inputs.which.shape[0])
        if mesh is None:
            return sequence(etas, inputs, updates)
        split, whole = PartitionSpec(LIFE), PartitionSpec()
        over_devices = jax.shard_map(
            sequence, mesh=mesh, in_specs=(whole, split, whole), out_specs=split, check_vma=False
        )
        return over_devices(etas, inputs, updates)

    return jax.jit(everybody)


def crossed(keys: Array, params: Any, hps: list[Any], meta_seeds: int) -> LifeInputs:
    """Every agent seed's life under every meta-seed with all hyperparameters, these outermost, agent seeds innermost.

    Args:
        keys: of the lives, ``[S]``.
        params: of their environments, leaves ``[S, ...]``.
        hps: hyperparameters ``[C]``, floats.
        meta_seeds: ``M``.
    """
    seeds = keys.shape[0]
    times = len(hps) * meta_seeds
    tiled = lambda x: jnp.tile(x, (times, *([1] * (x.ndim - 1))))
    return LifeInputs(
        which=jnp.tile(jnp.repeat(jnp.arange(meta_seeds, dtype=jnp.int32), seeds), len(hps)),
        key=jax.random.wrap_key_data(tiled(jax.random.key_data(keys)), impl=jax.random.key_impl(keys)),
        hp=jax.tree.map(lambda *x: jnp.repeat(jnp.asarray(x, jnp.float32), meta_seeds * seeds), *hps),
        params=jax.tree.map(tiled, params),
    )


def reshaped(life: Life, *axes: int) -> Life:
    """Leaves ``[*axes, S, ...]`` again."""
    return jax.tree.map(lambda x: x.reshape(*axes, -1, *x.shape[1:]), life)
