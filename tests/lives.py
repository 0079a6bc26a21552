"""A game of two lives of three steps each, every step a point: what ends for the learner is not what ends for the report."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl_envs import Box, Discrete, Env, EnvStep

LIVES, STEPS = 2, 3


@struct.dataclass
class Game:
    """Steps in this game, and whether it began after a life or anew."""

    time: Any
    begun: Any


def reset(key: jax.Array, params: Any) -> tuple[jax.Array, Game]:
    del key, params
    state = Game(jnp.zeros((), jnp.int32), jnp.ones((), jnp.int32))
    return _seen(state), state


def step(key: jax.Array, state: Game, action: jax.Array, params: Any) -> EnvStep:
    del key, action, params
    after = Game(state.time + 1, jnp.zeros((), jnp.int32))
    over = after.time >= LIVES * STEPS
    return EnvStep(
        _seen(after),
        after,
        jnp.ones((), jnp.float32),
        after.time % STEPS == 0,
        jnp.zeros((), bool),
        {"game_over": over, "time": after.time},
    )


def restart(key: jax.Array, state: Game, params: Any) -> tuple[jax.Array, Game]:
    fresh = reset(key, params)
    same = state.replace(begun=jnp.full((), 2, jnp.int32))
    return jax.tree.map(lambda a, b: jnp.where(state.time >= LIVES * STEPS, a, b), fresh, (_seen(same), same))


def _seen(state: Game) -> jax.Array:
    return jnp.stack([state.time, state.begun]).astype(jnp.float32)


def make() -> Env:
    space = Box(0.0, float(LIVES * STEPS), (2,))
    return Env("lives", reset, step, (), space, Discrete(2), metrics=("time",), restart=restart)
