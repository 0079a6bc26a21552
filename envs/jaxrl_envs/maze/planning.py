"""Whether a maze can be solved, and in how few steps, by breadth-first search on the device.

Sets of places are arrays of flags that grow by a step at a time, so many mazes are searched side by side.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl_envs.maze.level import DOWN, LEFT, RIGHT, UP, Maze


def _moved(flags: jax.Array, heading: int) -> jax.Array:
    """Flags ``[H, W]`` one cell on in a direction; what would leave the maze is lost."""
    rows, columns = flags.shape
    padded = jnp.pad(flags, 1)
    row, column = {RIGHT: (1, 0), DOWN: (0, 1), LEFT: (1, 2), UP: (2, 1)}[heading]
    return padded[row : row + rows, column : column + columns]


def _mark(maze: Maze, cell: jax.Array) -> jax.Array:
    """Flags ``[H, W]``, set at one cell."""
    return (jnp.arange(maze.walls.size, dtype=jnp.int32) == cell).reshape(maze.walls.shape)


class _Search(NamedTuple):
    """Places reached after so many steps, and one step before, bool ``[headings, H, W]``, and whether the goal was entered."""

    reached: jax.Array
    before: jax.Array
    steps: jax.Array
    found: jax.Array


def solvable(maze: Maze) -> jax.Array:
    """Whether a way leads from the agent to the goal, bool scalar; the time limit is not asked. Pure; vmap it over mazes."""
    goal = _mark(maze, maze.goal)

    def spread(reached: jax.Array) -> jax.Array:
        beside = [_moved(reached, heading) for heading in range(4)]
        return reached | (~maze.walls & (beside[0] | beside[1] | beside[2] | beside[3]))

    def more(carry: tuple[jax.Array, jax.Array]) -> jax.Array:
        reached, before = carry
        return (reached != before).any() & ~(reached & goal).any()

    start = _mark(maze, maze.agent)
    step = lambda carry: (spread(carry[0]), carry[0])
    reached, _ = jax.lax.while_loop(more, step, (start, jnp.zeros_like(start)))
    return (reached & goal).any()


def shortest_path(maze: Maze) -> jax.Array:
    """The fewest actions that solve a maze, turns among them, int32 scalar; 0 where none do. Pure; vmap it over mazes."""
    goal = _mark(maze, maze.goal)
    free = ~maze.walls & ~goal
    start = jnp.stack([_mark(maze, maze.agent) & (maze.heading == h) for h in range(4)])

    def more(search: _Search) -> jax.Array:
        return ~search.found & (search.reached != search.before).any()

    def step(search: _Search) -> _Search:
        reached = search.reached
        ahead = jnp.stack([_moved(reached[h], h) for h in range(4)])
        turned = jnp.roll(reached, 1, axis=0) | jnp.roll(reached, -1, axis=0)
        found = (ahead & goal & ~maze.walls).any()
        return _Search(reached | turned | (ahead & free), reached, search.steps + 1, found)

    begin = _Search(start, jnp.zeros_like(start), jnp.zeros((), jnp.int32), jnp.zeros((), bool))
    end = jax.lax.while_loop(more, step, begin)
    return jnp.where(end.found, end.steps, 0)


def reward_after(steps: jax.Array, max_steps: jax.Array) -> jax.Array:
    """What solving a maze in so many steps pays: ``1 - 0.9 steps / max_steps``, float32."""
    return 1.0 - 0.9 * steps.astype(jnp.float32) / max_steps.astype(jnp.float32)


def optimal_return(maze: Maze) -> jax.Array:
    """The highest return, float32 scalar: that of the shortest path, or 0 where none is short enough. Exact."""
    steps = shortest_path(maze)
    return jnp.where((steps > 0) & (steps <= maze.max_steps), reward_after(steps, maze.max_steps), 0.0)
