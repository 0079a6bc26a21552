"""`Level`: one grid world as a pytree of fixed shapes, and the function that builds and checks one.

A level is the environment's parameters. Levels of one padded shape stack and vmap, and one compiled program serves
them all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxrl_envs.gridworlds.tables import LEVELS, Cell, Object
from jaxrl_envs.keywords import near

MAX_OBJECTS = 16
"""So many bits of a state's index say which objects exist."""


@struct.dataclass
class Level:
    """A grid world in arrays of ``[H, W]`` cells and ``K`` objects, some of which may be padding.

    A cell is one number, ``row * W + column``, in a small level too. Build levels with `make_level` or
    `families.sample_level`: ``free_cells`` and ``num_free`` follow from ``walls``, and objects are placed by them.

    Attributes:
        height: int32, the level's own; it lies in the upper left corner of the arrays.
        width: int32, the level's own.
        walls: bool ``[H, W]``, true outside the level's own size too.
        free_cells: int32 ``[H * W]``, the cells without a wall, in order, then the others.
        num_free: int32, how many there are.
        start: int32, the agent's first cell.
        object_cells: int32 ``[K]``, read where placement is fixed.
        present: bool ``[K]``, false for padding.
        reward: float32 ``[K]``.
        p_terminate: float32 ``[K]``.
        p_respawn: float32 ``[K]``.
        max_steps: int32, the time limit.
    """

    height: jax.Array
    width: jax.Array
    walls: jax.Array
    free_cells: jax.Array
    num_free: jax.Array
    start: jax.Array
    object_cells: jax.Array
    present: jax.Array
    reward: jax.Array
    p_terminate: jax.Array
    p_respawn: jax.Array
    max_steps: jax.Array


def listed_free_cells(walls: jax.Array) -> tuple[jax.Array, jax.Array]:
    """``free_cells`` int32 ``[H * W]`` and ``num_free`` int32 of ``walls`` bool ``[H, W]``."""
    flat = walls.reshape(-1)
    return jnp.argsort(flat, stable=True).astype(jnp.int32), jnp.sum(~flat, dtype=jnp.int32)


_listed = jax.jit(listed_free_cells)


def make_level(
    height: int,
    width: int,
    start: Cell,
    objects: Sequence[Object],
    max_steps: int,
    walls: Iterable[Cell] | np.ndarray = (),
    shape: tuple[int, int] | None = None,
    slots: int | None = None,
) -> Level:
    """A checked level.

    Args:
        height: its rows.
        width: its columns.
        start: ``(row, column)`` of the agent at the start of each episode.
        objects: their rewards, chances and cells. With cells None throughout the level is for random
            placement alone.
        max_steps: the time limit.
        walls: cells, or a bool array ``[height, width]``.
        shape: rows and columns of the arrays, ``(height, width)`` by default.
        slots: ``K``, the number of objects by default.

    Raises:
        ValueError: naming what does not fit, and what would.
    """
    rows, columns = shape if shape is not None else (height, width)
    for name, value, largest in (("height", height, rows), ("width", width, columns)):
        if not isinstance(value, int | np.integer) or not 1 <= value <= largest:
            raise ValueError(
                f"{name} is {value!r}; it must be a whole number from 1 to {largest}, its size in shape"
            )
    slots = len(objects) if slots is None else slots
    if not 1 <= len(objects) <= slots <= MAX_OBJECTS:
        raise ValueError(
            f"there are {len(objects)} objects for {slots} slots; a level has 1 to {MAX_OBJECTS} slots and at "
            "least one object, at most as many as slots"
        )
    if not isinstance(max_steps, int | np.integer) or max_steps < 1:
        raise ValueError(f"max_steps is {max_steps!r}; it must be a whole number of at least 1")
    blocked = np.ones((rows, columns), bool)
    blocked[:height, :width] = _wall_map(walls, height, width)
    _check_cell("start", start, blocked, height, width)
    for i, thing in enumerate(objects):
        for name in ("p_terminate", "p_respawn"):
            if not 0.0 <= getattr(thing, name) <= 1.0:
                raise ValueError(
                    f"{name} of object {i} is {getattr(thing, name)!r}; it must be between 0 and 1"
                )
        if not math.isfinite(thing.reward):
            raise ValueError(f"reward of object {i} is {thing.reward!r}; it must be finite")
        if (thing.cell is None) != (objects[0].cell is None):
            raise ValueError(f"object {i} and object 0 differ in having a cell; give cells to all or to none")
        if thing.cell is not None:
            _check_cell(f"the cell of object {i}", thing.cell, blocked, height, width)

    padding = slots - len(objects)
    number = lambda cell: cell[0] * columns + cell[1]
    put = lambda values, dtype: jax.device_put(np.asarray(values, dtype))  # which compiles nothing
    column = lambda values, fill, dtype: put([*values, *[fill] * padding], dtype)
    free_cells, num_free = _listed(blocked)
    return Level(
        height=put(height, np.int32),
        width=put(width, np.int32),
        walls=put(blocked, bool),
        free_cells=free_cells,
        num_free=num_free,
        start=put(number(start), np.int32),
        object_cells=column([number(o.cell or start) for o in objects], number(start), np.int32),
        present=column([True] * len(objects), False, bool),
        reward=column([o.reward for o in objects], 0.0, np.float32),
        p_terminate=column([o.p_terminate for o in objects], 0.0, np.float32),
        p_respawn=column([o.p_respawn for o in objects], 0.0, np.float32),
        max_steps=put(max_steps, np.int32),
    )


def hand_made_level(name: str, shape: tuple[int, int] | None = None, slots: int | None = None) -> Level:
    """A level of `tables.LEVELS`, padded to ``shape`` and ``slots`` so that several may be stacked.

    Raises:
        ValueError: for an unknown name, or if it does not fit.
    """
    if name not in LEVELS:
        raise ValueError(
            f"there is no hand-made level {name!r}{near(name, LEVELS) or '.'} Known: {', '.join(LEVELS)}"
        )
    made = LEVELS[name]
    return make_level(
        made.height, made.width, made.start, made.objects, made.max_steps, made.walls, shape, slots
    )


def _wall_map(walls: Iterable[Cell] | np.ndarray, height: int, width: int) -> np.ndarray:
    if isinstance(walls, np.ndarray | jax.Array):
        array = np.asarray(walls)
        if array.shape != (height, width) or array.dtype != bool:
            raise ValueError(
                f"walls is {array.dtype} of shape {array.shape}; it must be bool of shape {(height, width)}"
            )
        return array
    array = np.zeros((height, width), bool)
    for cell in walls:
        if not (0 <= cell[0] < height and 0 <= cell[1] < width):
            raise ValueError(f"the wall {tuple(cell)} is outside the level of {height} by {width} cells")
        array[cell] = True
    return array


def _check_cell(what: str, cell: Cell, blocked: np.ndarray, height: int, width: int) -> None:
    if not (0 <= cell[0] < height and 0 <= cell[1] < width):
        raise ValueError(f"{what} is {tuple(cell)}, outside the level of {height} by {width} cells")
    if blocked[cell]:
        raise ValueError(f"{what} is {tuple(cell)}, which is a wall; it must be a free cell")
