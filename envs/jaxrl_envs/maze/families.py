"""Families of mazes that policies are tested on though they were trained on random walls.

All are pure functions of a key; sizes are static.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.maze.generators import one_of, placed
from jaxrl_envs.maze.level import RIGHT, Maze, maze_of


def perfect_maze(key: jax.Array, size: int, max_steps: int) -> Maze:
    """A maze with one way between any two cells: passages from a depth-first search with backtracking.

    Rooms lie in even rows and columns, so ``size`` is odd.
    """
    key_start, key_walls, key_places = jax.random.split(key, 3)
    rooms = size // 2 + 1
    steps = np.asarray([(0, 1), (1, 0), (0, -1), (-1, 0)], np.int32)
    # Each room is entered once and left backwards once.
    bits = jax.random.bits(key_walls, (2 * rooms * rooms, 4), jnp.uint32)
    start = jax.random.randint(key_start, (2,), 0, rooms, jnp.int32)

    def advance(i: jax.Array, carry: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, ...]:
        free, came_by, room = carry
        near = room + steps
        inside = ((near >= 0) & (near < rooms)).all(1)
        fresh = inside & ~free[2 * near[:, 0], 2 * near[:, 1]]
        way = jnp.argmax(jnp.where(fresh, bits[i] >> 1, 0) + fresh)
        goes = fresh.any()
        step = jnp.where(goes, jnp.asarray(steps)[way], -jnp.asarray(steps)[came_by[room[0], room[1]]])
        # At the first room the search is over, and stays.
        over = ~goes & (room == start).all()
        then = jnp.where(over, room, room + step)
        between = room + then
        free = free.at[between[0], between[1]].set(True).at[2 * then[0], 2 * then[1]].set(True)
        old = came_by[then[0], then[1]]
        return free, came_by.at[then[0], then[1]].set(jnp.where(goes, way.astype(jnp.int32), old)), then

    free = jnp.zeros((size, size), bool).at[2 * start[0], 2 * start[1]].set(True)
    carry = (free, jnp.zeros((rooms, rooms), jnp.int32), start)
    free, _, _ = jax.lax.fori_loop(0, bits.shape[0], advance, carry)
    return placed(key_places, ~free, max_steps)


def corridors(key: jax.Array, size: int, max_steps: int) -> Maze:
    """A ring along the edge and blind alleys from above and below, at the end of one of which the goal is.

    The agent starts in the middle of the left edge and looks right. ``size`` is odd.
    """
    middle = size // 2
    alleys = np.arange(2, size - 2, 2)
    free = np.zeros((size, size), bool)
    free[[0, -1]] = free[:, [0, -1]] = True
    free[:middle, alleys] = free[middle + 1 :, alleys] = True
    ends = np.concatenate([(middle - 1) * size + alleys, (middle + 1) * size + alleys])
    which = jax.random.randint(key, (), 0, len(ends), jnp.int32)
    return maze_of(~free, middle * size, RIGHT, jnp.asarray(ends, jnp.int32)[which], max_steps)


def four_rooms(key: jax.Array, size: int, max_steps: int) -> Maze:
    """Four rooms with a door in each of the walls between them; agent, heading and goal anywhere. ``size`` is odd."""
    key_doors, key_places = jax.random.split(key)
    middle = size // 2
    walls = np.zeros((size, size), bool)
    walls[middle] = walls[:, middle] = True
    low, high = jax.random.randint(key_doors, (2, 2), 0, middle, jnp.int32)
    high = high + middle + 1
    blocked = jnp.asarray(walls)
    for door in (low[0], high[0]):
        blocked = blocked.at[middle, door].set(False)
    for door in (low[1], high[1]):
        blocked = blocked.at[door, middle].set(False)
    return placed(key_places, blocked, max_steps)


def crossing(key: jax.Array, size: int, crossings: int, max_steps: int) -> Maze:
    """Walls across the whole maze, with openings that leave a way from the upper left to the lower right corner.

    The walls lie in odd rows and columns, ``crossings`` of them. A staircase of them is crossed one after the other, through an
    opening between the two that were crossed last and those that come next. The agent looks right. ``size`` is odd.
    """
    key_lines, key_order, key_gaps = jax.random.split(key, 3)
    lines = size // 2
    chosen = jnp.argsort(jax.random.bits(key_lines, (2 * lines,), jnp.uint32))[:crossings]
    flags = jnp.zeros((2 * lines,), bool).at[chosen].set(True).reshape(2, lines)
    spread = jnp.zeros((2, size), bool).at[:, 1 : 2 * lines : 2].set(flags)
    rows, columns = spread
    blocked = rows[:, None] | columns[None, :]
    # Which walls are crossed in which order: those in columns are crossed by a step to the right.
    number = flags[1].sum()
    rank = jnp.argsort(jnp.argsort(jax.random.bits(key_order, (crossings,), jnp.uint32)))
    rightwards = rank < number
    keys = jax.random.split(key_gaps, crossings)
    cells = jnp.arange(size, dtype=jnp.int32)

    def cross(i: jax.Array, carry: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, ...]:
        blocked, above, left = carry  # the last wall crossed in a row, in a column; -1 before any
        next_row = jnp.min(jnp.where(rows & (cells > above), cells, size))
        next_column = jnp.min(jnp.where(columns & (cells > left), cells, size))
        right = rightwards[i]
        low, high = jnp.where(right, above, left), jnp.where(right, next_row, next_column)
        gap = one_of(keys[i], (cells > low) & (cells < high))
        row, column = jnp.where(right, gap, next_row), jnp.where(right, next_column, gap)
        blocked = blocked.at[row, column].set(False)
        return blocked, jnp.where(right, above, next_row), jnp.where(right, next_column, left)

    outside = jnp.full((), -1, jnp.int32)
    blocked, _, _ = jax.lax.fori_loop(0, crossings, cross, (blocked, outside, outside))
    return maze_of(blocked, 0, RIGHT, size * size - 1, max_steps)
