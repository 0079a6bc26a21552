"""How an agent moves between cells."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

_FIVE = ((-1, 0), (1, 0), (0, -1), (0, 1), (0, 0))
_NINE = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1), (0, 0))


def moves_table(moves: int) -> np.ndarray:
    """Steps ``(rows, columns)``, int32 ``[moves, 2]``: 5 are up, down, left, right, stay; 9 the neighbours and stay.

    Raises:
        ValueError: for another number.
    """
    tables = {5: _FIVE, 9: _NINE}
    if moves not in tables:
        raise ValueError(f"moves is {moves!r}; it must be 5 or 9")
    return np.asarray(tables[moves], np.int32)


def next_cell(cell: jax.Array, step: jax.Array, walls: jax.Array) -> jax.Array:
    """The cell after a step; the cell itself if a wall or the edge is in the way.

    Args:
        cell: int32, any shape.
        step: int32 ``[..., 2]``, broadcast against ``cell``.
        walls: bool ``[H, W]``.
    """
    rows, columns = walls.shape
    row, column = cell // columns + step[..., 0], cell % columns + step[..., 1]
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    target = jnp.where(inside, row * columns + column, cell)
    return jnp.where(walls.reshape(-1)[target], cell, target)
