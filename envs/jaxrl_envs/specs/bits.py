"""Sets of cells as bits, a row of the map in one number: what compares whole maps takes as many operations as there are rows, not cells.

A set is uint32 ``[..., S]``, one number a row, in which bit ``c`` is the cell in column ``c``; sides are at most 32. A map of types is
five such sets, the binary digits of its types (`digits`), from which any type's cells come in as many operations (`cells_of`).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.specs.caps import VOID

_DIGITS = 5  # of a type: there are fewer than 32


def full(side: int) -> np.uint32:
    """All columns of a row."""
    return np.uint32(2**side - 1)


def packed(flags: jax.Array) -> jax.Array:
    """The set of flags ``[..., S, S]``."""
    columns = jnp.arange(flags.shape[-1], dtype=jnp.uint32)
    return jnp.sum(flags.astype(jnp.uint32) << columns, axis=-1, dtype=jnp.uint32)


def flags_of(cells: jax.Array) -> jax.Array:
    """Flags ``[..., S, S]`` of a set."""
    columns = jnp.arange(cells.shape[-1], dtype=jnp.uint32)
    return (cells[..., None] >> columns) & jnp.uint32(1) != 0


def digits(grid: jax.Array) -> jax.Array:
    """Sets ``[5, S]``: cells whose type, int8 ``[S, S]`` and not negative, has this binary digit."""
    places = jnp.arange(_DIGITS, dtype=grid.dtype)[:, None, None]
    return packed((grid[None] >> places) & 1)


def cells_of(digits: jax.Array, types: jax.Array) -> jax.Array:
    """Of each of types ``[...]`` its cells ``[..., S]``; of a negative one none.

    Args:
        digits: of the map.
        types: int32.
    """
    side = digits.shape[-1]
    types = types[..., None]
    found = jnp.where(types >= 0, full(side), jnp.uint32(0))
    for place in range(_DIGITS):
        digit = (types >> place) & 1 != 0
        found &= jnp.where(digit, digits[place], ~digits[place])
    return found


def column_bit(column: jax.Array) -> jax.Array:
    """A row with this cell alone; none where the column is not from 0 to 31."""
    inside = (column >= 0) & (column < 32)
    return jnp.where(inside, jnp.uint32(1) << jnp.where(inside, column, 0).astype(jnp.uint32), jnp.uint32(0))


def cell(side: int, row: jax.Array, column: jax.Array) -> jax.Array:
    """One cell, ``[..., S]`` for rows and columns ``[...]``; none where it lies beyond the map."""
    there = jnp.arange(side, dtype=jnp.int32) == row[..., None]
    return jnp.where(there, column_bit(column)[..., None], jnp.uint32(0)) & full(side)


def shifted(cells: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Cells that have one of these above, to the right, below, and to the left of them; nothing lies beyond the map."""
    side = cells.shape[-1]
    none = jnp.zeros_like(cells[..., :1])
    above = jnp.concatenate([none, cells[..., :-1]], axis=-1)
    below = jnp.concatenate([cells[..., 1:], none], axis=-1)
    return above, cells >> jnp.uint32(1), below, (cells << jnp.uint32(1)) & full(side)


def beside(cells: jax.Array) -> jax.Array:
    """Cells with one of these above, below, left or right of them."""
    above, right, below, left = shifted(cells)
    return above | right | below | left


def beside_types(digits: jax.Array, types: jax.Array) -> jax.Array:
    """Of each of types ``[...]`` the cells beside one of it, ``[..., S]``; beyond the map lies void.

    Args:
        digits: of the map.
        types: int32.
    """
    side = digits.shape[-1]
    edge = np.full(side, 2 ** (side - 1) | 1, np.uint32)
    edge[[0, -1]] = full(side)
    return beside(cells_of(digits, types)) | jnp.where(types[..., None] == VOID, edge, jnp.uint32(0))


def anywhere(cells: jax.Array) -> jax.Array:
    """Whether there is a cell, bool ``[...]``."""
    return (cells != 0).any(-1)


def number(cells: jax.Array) -> jax.Array:
    """How many cells, int32 ``[...]``."""
    return jax.lax.population_count(cells).astype(jnp.int32).sum(-1)


def within(side: int, row: jax.Array, column: jax.Array, steps: jax.Array) -> jax.Array:
    """Cells that so many steps lead to from one, ``[..., S]`` for numbers of steps ``[...]``, int32."""
    left = steps[..., None] - jnp.abs(jnp.arange(side, dtype=jnp.int32) - row)
    first = jnp.maximum(column - left, 0).astype(jnp.uint32)
    last = jnp.minimum(column + left, side - 1).astype(jnp.uint32)
    return jnp.where(left < 0, jnp.uint32(0), (jnp.uint32(2) << last) - (jnp.uint32(1) << first))
