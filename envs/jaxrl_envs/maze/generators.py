"""Random mazes, and random changes of one."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp

from jaxrl_envs.maze.level import Maze, maze_of


def one_of(key: jax.Array, allowed: jax.Array) -> jax.Array:
    """A cell drawn uniformly from flags ``[cells]``, int32; of none, without meaning."""
    counts = jnp.cumsum(allowed, dtype=jnp.int32)
    turn = jax.random.randint(key, (), 0, jnp.maximum(counts[-1], 1), jnp.int32)
    return jnp.argmax(counts > turn).astype(jnp.int32)


def placed(key: jax.Array, walls: jax.Array, max_steps: int) -> Maze:
    """A maze of these walls, with agent and goal on two free cells and a heading, all drawn uniformly.

    Args:
        key: randomness.
        walls: bool ``[H, W]`` with two free cells at least.
        max_steps: the time limit.
    """
    key_agent, key_goal, key_heading = jax.random.split(key, 3)
    free = ~walls.reshape(-1)
    agent = one_of(key_agent, free)
    goal = one_of(key_goal, free & (jnp.arange(free.size) != agent))
    return maze_of(walls, agent, jax.random.randint(key_heading, (), 0, 4, jnp.int32), goal, max_steps)


def random_maze(key: jax.Array, size: int, walls: int, fewest: int, distinct: bool, max_steps: int) -> Maze:
    """A maze with walls strewn at random; it may have no solution. Pure, all but ``key`` is static.

    Args:
        key: randomness.
        size: rows and columns.
        walls: how many cells are drawn as walls, at most.
        fewest: at least; in between uniformly.
        distinct: whether no cell is drawn twice. Else there are fewer walls than are drawn.
        max_steps: the time limit.
    """
    key_number, key_maze = jax.random.split(key)
    number = jax.random.randint(key_number, (), fewest, walls + 1, jnp.int32)
    return strewn_maze(key_maze, number, size, walls, distinct, max_steps)


def strewn_maze(
    key: jax.Array, number: jax.Array, size: int, walls: int, distinct: bool, max_steps: int
) -> Maze:
    """A random maze with ``number`` walls drawn, int32 and at most ``walls``; else as `random_maze`."""
    key_walls, key_places = jax.random.split(key)
    cells = size * size
    if distinct:
        # The lower bits are the cell's number, so that no two are equal; the walls are the lowest.
        bits = jax.random.bits(key_walls, (cells,), jnp.uint32)
        ranked = (bits & jnp.uint32(0xFFFFC000)) | jnp.arange(cells, dtype=jnp.uint32)
        blocked = ranked < jnp.sort(ranked)[number]
    else:
        drawn = jax.random.randint(key_walls, (walls,), 0, cells, jnp.int32)
        drawn = jnp.where(jnp.arange(walls) < number, drawn, cells)  # out of bounds, where writes are dropped
        blocked = jnp.zeros((cells,), bool).at[drawn].set(True, mode="drop")
    return placed(key_places, blocked.reshape(size, size), max_steps)


def edited(key: jax.Array, maze: Maze) -> Maze:
    """One random edit: nothing, a wall flipped, or the goal moved to a free cell, a third of the time each.

    Neither agent nor goal is walled in its cell. The operator of ACCEL as minimax and JaxUED have it.
    """
    key_kind, key_cell = jax.random.split(key)
    kind = jax.random.randint(key_kind, (), 0, 3, jnp.int32)
    walls = maze.walls.reshape(-1)
    cells = jnp.arange(walls.size, dtype=jnp.int32)
    neither = (cells != maze.agent) & (cells != maze.goal)
    allowed = jnp.where(kind == 1, neither, neither & ~walls)
    cell = one_of(key_cell, allowed)
    flipped = walls ^ ((kind == 1) & allowed & (cells == cell))
    goal = jnp.where((kind == 2) & allowed.any(), cell, maze.goal)
    return replace(maze, walls=flipped.reshape(maze.walls.shape), goal=goal)
