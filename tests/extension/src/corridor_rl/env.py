"""A corridor: walk to its far end before time runs out."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl_envs import Box, Discrete, Env, EnvStep


@struct.dataclass
class CorridorParams:
    """Traced data: a sweep or a curriculum may vary them without compiling anew."""

    length: jax.Array
    max_steps_in_episode: jax.Array


@struct.dataclass
class CorridorState:
    """Cells from the start, and steps taken."""

    position: jax.Array
    time: jax.Array


def observe(state: CorridorState, params: CorridorParams) -> jax.Array:
    """The fraction of the way that is done, float32 ``[1]``."""
    return (state.position / params.length).astype(jnp.float32)[None]


def reset(key: jax.Array, params: CorridorParams) -> tuple[jax.Array, CorridorState]:
    position = jax.random.randint(key, (), 0, params.length, jnp.int32)
    state = CorridorState(position, jnp.zeros((), jnp.int32))
    return observe(state, params), state


def step(key: jax.Array, state: CorridorState, action: jax.Array, params: CorridorParams) -> EnvStep:
    del key
    position = jnp.clip(state.position + 2 * action - 1, 0, params.length)
    state = CorridorState(position, state.time + 1)
    arrived = position == params.length
    return EnvStep(
        obs=observe(state, params),
        state=state,
        reward=jnp.where(arrived, 1.0, -0.1).astype(jnp.float32),
        terminated=arrived,
        truncated=state.time >= params.max_steps_in_episode,
        info={},
    )


def make(length: int = 8) -> Env:
    """The factory that the registry calls; ``--env_options length 12`` becomes ``make(length=12)``."""
    if length < 1:
        raise ValueError(f"length is {length}; it must be at least 1")
    params = CorridorParams(jnp.asarray(length, jnp.int32), jnp.asarray(4 * length, jnp.int32))
    return Env("corridor/Corridor-v0", reset, step, params, Box(0.0, 1.0, (1,)), Discrete(2))
