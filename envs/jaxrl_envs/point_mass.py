"""A point mass on a plane, pushed about for a few steps: what counts is the sector in which it ends.

There is no reward. Who judges the ends decides what is good, and may go in circles: with `sector_rps` of `jaxrl_evolve` the Minimax Winner is
known, so it can be told whether a method reaches it.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxrl_envs.contract import Env, EnvStep
from jaxrl_envs.keywords import reject_unknown
from jaxrl_envs.parameters import like_default
from jaxrl_envs.spaces import Box

NAMES = ("sectors",)
"""Registry names after ``point/``."""


@struct.dataclass
class PointParams:
    """Traced data.

    Attributes:
        push: float32, by how much one step at full push changes the speed along an axis.
        drag: float32 in [0, 1], the share of its speed that the point loses each step.
        start: float32, standard deviation of the place where it starts, at rest; 0 is always the origin.
        max_steps_in_episode: int32, steps of an episode.
    """

    push: jax.Array
    drag: jax.Array
    start: jax.Array
    max_steps_in_episode: jax.Array


@struct.dataclass
class PointState:
    """``position`` and ``velocity``, float32 ``[2]``; ``time``: int32, steps taken."""

    position: jax.Array
    velocity: jax.Array
    time: jax.Array


def sector(place: jax.Array, number: int = 3) -> jax.Array:
    """Which of ``number`` sectors of the plane ``[..., 2]`` lies in, counted from the first axis on; int32."""
    turn = jnp.arctan2(place[..., 1], place[..., 0]) / (2.0 * math.pi) % 1.0
    return jnp.minimum((turn * number).astype(jnp.int32), number - 1)


def make(name: str, **kwargs: Any) -> Env:
    """The point mass: observations are position and velocity, float32 ``[4]``; actions the push along both axes, clipped to [-1, 1].

    Args:
        name: one of `NAMES`.
        **kwargs: ``sectors`` (3), of which ``info["sector"]`` tells the one that the point is in as float32 ``[sectors]`` of 0 and 1; fields of
            `PointParams`.

    Raises:
        ValueError: for an unknown option, or a value that an option does not take.
    """
    full = f"point/{name}"
    reject_unknown(full, kwargs, ["sectors", *PointParams.__dataclass_fields__])
    number = kwargs.pop("sectors", 3)
    if isinstance(number, bool) or not isinstance(number, int) or number < 2:
        raise ValueError(f"sectors of {full} is {number!r}; it must be a whole number of at least 2")
    push, drag, start = (jnp.asarray(x, jnp.float32) for x in (0.1, 0.5, 0.0))
    params = PointParams(push, drag, start, jnp.asarray(20, jnp.int32))
    for field, value in kwargs.items():
        params = dataclasses.replace(
            params, **{field: like_default(full, field, getattr(params, field), value)}
        )
    _check(full, params)
    return Env(
        full,
        _reset,
        lambda key, state, action, params: _step(state, action, params, number),
        params,
        Box(-np.inf, np.inf, (4,)),
        Box(-1.0, 1.0, (2,)),
        metrics=("sector",),
        check_params=lambda params: _check(full, params),
    )


def _check(name: str, params: PointParams) -> None:
    if not 0 <= float(params.drag) <= 1:
        raise ValueError(f"drag of {name} is {float(params.drag):g}; it must be between 0 and 1")
    if not float(params.start) >= 0:
        raise ValueError(f"start of {name} is {float(params.start):g}; it must be at least 0")


def _reset(key: jax.Array, params: PointParams) -> tuple[jax.Array, PointState]:
    position = params.start * jax.random.normal(key, (2,), jnp.float32)
    state = PointState(position, jnp.zeros((2,), jnp.float32), jnp.zeros((), jnp.int32))
    return _observed(state), state


def _step(state: PointState, action: Any, params: PointParams, number: int) -> EnvStep:
    pushed = params.push * jnp.clip(action, -1.0, 1.0)
    velocity = (1.0 - params.drag) * state.velocity + pushed
    state = PointState(state.position + velocity, velocity, state.time + 1)
    return EnvStep(
        obs=_observed(state),
        state=state,
        reward=jnp.zeros((), jnp.float32),
        terminated=jnp.zeros((), bool),
        truncated=state.time >= params.max_steps_in_episode,
        info={"sector": jax.nn.one_hot(sector(state.position, number), number, dtype=jnp.float32)},
    )


def _observed(state: PointState) -> jax.Array:
    return jnp.concatenate([state.position, state.velocity])
