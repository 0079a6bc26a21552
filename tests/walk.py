"""A tiny environment for tests of the host loop: quick to compile, and it can spoil its rewards."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jaxrl_envs
from jaxrl_envs.contract import Env, EnvStep
from jaxrl_envs.spaces import Box, Discrete
from jaxrl_evolve.compilation import forget_programs
from jaxrl_evolve.training.config import EvaluationConfig, TrainConfig

NAME = "tiny/Walk"
LENGTH = 8
traces: list[str] = []
"""One entry for every time that `step` was traced."""


def forget() -> None:
    """Begin as a fresh process does: no program is kept, and nothing was traced."""
    forget_programs()
    traces.clear()


class State(NamedTuple):
    place: jax.Array
    time: jax.Array
    spoiled: jax.Array


def make(nan_rate: float = 0.0) -> Env:
    """Eight steps to the left or right, and a reward of the place arrived at.

    An episode is spoiled with probability ``nan_rate``: its rewards are NaN. The draw is made at any rate, so
    that runs without spoiled episodes are the same at every rate.
    """

    def observe(state: State) -> jax.Array:
        return jnp.stack([state.place, state.time]) / LENGTH

    def reset(key: jax.Array, params: Any) -> tuple[jax.Array, State]:
        start, spoil = jax.random.split(key)
        place = jax.random.uniform(start, (), jnp.float32, -1.0, 1.0)
        state = State(place, jnp.float32(0), jax.random.uniform(spoil, (), jnp.float32) < params["nan_rate"])
        return observe(state), state

    def step(key: jax.Array, state: State, action: jax.Array, params: Any) -> EnvStep:
        traces.append("step")
        place = state.place + 2.0 * action.astype(jnp.float32) - 1.0
        after = State(place, state.time + 1.0, state.spoiled)
        reward = jnp.where(after.spoiled, jnp.float32(jnp.nan), place)
        return EnvStep(observe(after), after, reward, after.time >= LENGTH, jnp.bool_(False), {})

    params = {"nan_rate": jnp.float32(nan_rate)}
    return Env(NAME, reset, step, params, Box(-2.0, 2.0, (2,)), Discrete(2))


def config(algorithm: str = "ppo", updates: int = 10, **changes: Any) -> TrainConfig[Any, Any]:
    """A run of a second or two."""
    values: dict[str, Any] = {
        "num_envs": 4,
        "rollout_length": 16,
        "rows": 5,
        "checkpoints": 5,
        "learner": {"minibatches": 2, "epochs": 2, "network": {"hidden": (8,)}},
        "evaluation": EvaluationConfig(times=2, episodes=4, final_episodes=6, max_steps=20),
    } | changes
    return TrainConfig.preset(algorithm, NAME, steps=updates * 64, **values)


def words(out: Any, updates: int = 10, **options: Any) -> list[str]:
    """The same on the command line, after the command's name."""
    values = {
        "env": NAME,
        "steps": updates * 64,
        "num-envs": 4,
        "rollout-length": 16,
        "rows": 5,
        "learner.minibatches": 2,
        "learner.network.hidden": 8,
        "evaluation.times": 2,
        "evaluation.episodes": 4,
        "evaluation.final-episodes": 6,
        "evaluation.max-steps": 20,
        "out": out,
    } | options
    return ["ppo", *(word for name, value in values.items() for word in (f"--{name}", *str(value).split()))]


jaxrl_envs.register(NAME, make)
