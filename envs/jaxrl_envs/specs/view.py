"""What the agent sees: a square around it in symbols, what it has, and what is asked of it."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.specs.arrays import GridParams
from jaxrl_envs.specs.caps import FLOOR, MOST_HEALTH, MOST_HELD, Caps
from jaxrl_envs.specs.cells import DIRECTIONS, value_at, window
from jaxrl_envs.specs.predicates import Facts, Told


@functools.cache
def _between(view: int) -> np.ndarray:
    """Of every cell of the view those on the line to its middle, both ends left out, int32 ``[view * view, most]``; the middle, which
    nothing hides, fills up.
    """
    middle = view // 2
    lines = []
    for row in range(view):
        for column in range(view):
            down, right = row - middle, column - middle
            length = max(abs(down), abs(right))
            # Halves are rounded away from the middle, the same on all sides.
            part = lambda whole, i, length=length: (
                int(np.sign(whole)) * ((2 * abs(whole) * i + length) // (2 * length))
            )
            lines.append(
                [(middle + part(down, i)) * view + middle + part(right, i) for i in range(1, length)]
            )
    most = max(1, middle - 1)
    return np.asarray([line + [middle * view + middle] * (most - len(line)) for line in lines], np.int32)


def observation_size(caps: Caps, view: int) -> int:
    """How many numbers `look` gives."""
    return view * view * caps.types + caps.types + 6 + 2 * caps.predicates + caps.clauses * caps.predicates


def look(told: Told, facing: jax.Array, seen: Facts, params: GridParams, view: int) -> jax.Array:
    """The observation, float32.

    In order: for each cell of the view, row by row, which of the types it holds, one-hot, with the ground below it, if that is not floor; all zero where something opaque lies on the
    line to it; the inventory in ninths; health in ninths; the direction faced, one-hot; the share of the time that is over; which
    predicates hold, which have held; what the clauses of success ask of each predicate (1, -1 or 0).

    Args:
        told: of the state.
        facing: int32.
        seen: what holds.
        params: the spec.
        view: cells a side, static and odd.
    """
    types = params.types.opaque.size
    cells = window(told.grid, told.row, told.column, view).reshape(-1)
    middle = view * view // 2
    opaque = params.types.opaque[cells] & (np.arange(view * view) != middle)
    hidden = opaque[_between(view)].any(1)
    shown = jnp.where(hidden, jnp.int8(-1), cells)
    below = window(told.ground, told.row, told.column, view).reshape(-1)
    below = jnp.where(hidden | (below == FLOOR), jnp.int8(-1), below)
    kinds = jnp.arange(types, dtype=jnp.int8)
    squares = (shown[:, None] == kinds) | (below[:, None] == kinds)
    return _with_rest(squares, told, facing, seen, params)


def look_ahead(told: Told, facing: jax.Array, seen: Facts, params: GridParams, view: int) -> jax.Array:
    """As `look`, of the square before the agent, turned so that it looks up from the middle of the last row; nothing hides anything.

    Args:
        told: of the state.
        facing: int32.
        seen: what holds.
        params: the spec.
        view: cells a side, static and odd.
    """
    away = jnp.arange(view - 1, -1, -1, dtype=jnp.int32)[:, None]
    right = jnp.arange(view, dtype=jnp.int32) - view // 2
    ahead, aside = jnp.asarray(DIRECTIONS)[facing], jnp.asarray(DIRECTIONS)[(facing + 1) % 4]
    row = told.row + away * ahead[0] + right * aside[0]
    column = told.column + away * ahead[1] + right * aside[1]
    cells = value_at(told.grid, row, column).reshape(-1)
    squares = cells[:, None] == jnp.arange(params.types.opaque.size, dtype=jnp.int32)
    return _with_rest(squares, told, facing, seen, params)


def _with_rest(
    squares: jax.Array, told: Told, facing: jax.Array, seen: Facts, params: GridParams
) -> jax.Array:
    scalar = lambda x, most: (x.astype(jnp.float32) / jnp.float32(most)).reshape(-1)
    parts = (
        squares.reshape(-1),
        scalar(told.inventory, MOST_HELD),
        scalar(told.health, MOST_HEALTH),
        jnp.arange(4, dtype=jnp.int32) == facing,
        jnp.minimum(told.time.astype(jnp.float32) / params.max_steps.astype(jnp.float32), 1.0).reshape(-1),
        seen.now,
        seen.ever,
        params.success.reshape(-1),
    )
    return jnp.concatenate([part.astype(jnp.float32) for part in parts])
