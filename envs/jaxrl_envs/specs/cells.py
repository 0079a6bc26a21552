"""The map as an array: neighbours, places, and what lies at one."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.specs.caps import VOID

UP, RIGHT, DOWN, LEFT = range(4)
DIRECTIONS = np.asarray([(-1, 0), (0, 1), (1, 0), (0, -1)], np.int32)
"""Rows and columns of a step, by direction."""


def neighbour(cells: jax.Array, direction: int) -> jax.Array:
    """Of every cell what lies next to it in a direction; beyond the array zero, which is `VOID`.

    Args:
        cells: ``[..., S, S]``.
        direction: static.
    """
    row, column = (int(x) for x in DIRECTIONS[direction])
    rows, columns = cells.shape[-2:]
    outside = [(0, 0)] * (cells.ndim - 2)
    padded = jnp.pad(cells, [*outside, (1, 1), (1, 1)])
    return padded[..., 1 + row : 1 + row + rows, 1 + column : 1 + column + columns]


def beside(flags: jax.Array) -> jax.Array:
    """Cells with a flag above, below, left or right of them, bool ``[..., S, S]``."""
    up, right, down, left = (neighbour(flags, d) for d in range(4))
    return up | right | down | left


def rows_and_columns(side: int) -> tuple[jax.Array, jax.Array]:
    """Numbers of rows, int32 ``[S, 1]``, and of columns, ``[1, S]``."""
    numbers = jnp.arange(side, dtype=jnp.int32)
    return numbers[:, None], numbers[None]


def cell_at(side: int, row: jax.Array, column: jax.Array) -> jax.Array:
    """One cell as flags ``[S, S]``; none where it lies beyond the array."""
    rows, columns = rows_and_columns(side)
    return (rows == row) & (columns == column)


def value_at(cells: jax.Array, row: jax.Array, column: jax.Array) -> jax.Array:
    """What an array ``[S, S]`` has at a cell, int32; `VOID` beyond it."""
    side = cells.shape[0]
    inside = (row >= 0) & (row < side) & (column >= 0) & (column < side)
    found = cells.reshape(-1)[jnp.where(inside, row * side + column, 0)].astype(jnp.int32)
    return jnp.where(inside, found, VOID)


def window(cells: jax.Array, row: jax.Array, column: jax.Array, side: int) -> jax.Array:
    """A square of ``side`` cells (odd) around a cell, ``[side, side]``; beyond the array `VOID`."""
    reach = side // 2
    padded = jnp.pad(cells, reach)
    return jax.lax.dynamic_slice(padded, (row, column), (side, side))
