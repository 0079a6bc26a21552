"""The maze as two pure functions.

The agent sees a square ahead of it, turned so that it looks up: itself in the middle of the lowest row. Walls don't block
its sight. A step costs as much in a large maze as in a small one: it reads the cells of the view and no others.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxrl_envs.contract import EnvStep
from jaxrl_envs.maze.level import DIRECTIONS, Maze
from jaxrl_envs.maze.planning import reward_after
from jaxrl_envs.spaces import Box, Space

OBSERVATIONS = ("vector", "planes")
ACTIONS = (3, 7)
"""Numbers of actions: turn left, turn right and go forward; of seven, the other four do nothing."""


@struct.dataclass
class MazeState:
    """Where the agent is: its cell, its heading, and steps taken, int32 each."""

    agent: jax.Array
    heading: jax.Array
    time: jax.Array


class Engine(NamedTuple):
    """Functions of every maze, whatever its size.

    Attributes:
        reset: ``(key, Maze) -> (obs, MazeState)``.
        step: ``(key, MazeState, action, Maze) -> EnvStep``.
        observation_space: of what they show.
    """

    reset: Callable[[jax.Array, Maze], tuple[jax.Array, MazeState]]
    step: Callable[[jax.Array, MazeState, Any, Maze], EnvStep]
    observation_space: Space


@functools.cache
def engine(view: int, observation: str) -> Engine:
    """The functions for a view of so many cells a side; mazes that are seen alike share them, and so a compiled program.

    Args:
        view: an odd number.
        observation: ``"vector"`` is float32 ``[2 * view * view + 4]``: whether each cell of the view is a wall, whether it
            is the goal (row by row, the farthest first), and the heading, one-hot. ``"planes"`` has the same as float32
            ``[view, view, 6]``, the heading as four planes that are constant.
    """
    offsets = _offsets(view)
    planes = observation == "planes"
    shape = (view, view, 6) if planes else (2 * view * view + 4,)

    def look(state: MazeState, maze: Maze) -> jax.Array:
        rows, columns = maze.walls.shape
        place = jnp.asarray(offsets)[state.heading]
        row, column = state.agent // columns + place[:, 0], state.agent % columns + place[:, 1]
        inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        cell = jnp.where(inside, row * columns + column, 0)
        wall = ~inside | maze.walls.reshape(-1)[cell]
        goal = inside & (cell == maze.goal)
        heading = state.heading == jnp.arange(4, dtype=jnp.int32)
        if not planes:
            return jnp.concatenate([wall, goal, heading]).astype(jnp.float32)
        seen = jnp.stack([wall, goal], axis=-1).reshape(view, view, 2)
        return jnp.concatenate([seen, jnp.broadcast_to(heading, (view, view, 4))], -1).astype(jnp.float32)

    def reset(key: jax.Array, maze: Maze) -> tuple[jax.Array, MazeState]:
        del key
        state = MazeState(maze.agent, maze.heading, jnp.zeros((), jnp.int32))
        return look(state, maze), state

    def step(key: jax.Array, state: MazeState, action: Any, maze: Maze) -> EnvStep:
        del key
        turn = (action == 1).astype(jnp.int32) - (action == 0).astype(jnp.int32)
        heading = (state.heading + turn) % 4
        ahead, passable = _ahead(state.agent, heading, maze)
        walks = (action == 2) & passable
        success = walks & (ahead == maze.goal)
        time = state.time + 1
        after = MazeState(jnp.where(walks & ~success, ahead, state.agent), heading, time)
        return EnvStep(
            obs=look(after, maze),
            state=after,
            reward=jnp.where(success, reward_after(time, maze.max_steps), 0.0),
            terminated=success,
            truncated=time >= maze.max_steps,
            info={"success": success},
        )

    return Engine(reset, step, Box(0.0, 1.0, shape))


def _ahead(agent: jax.Array, heading: jax.Array, maze: Maze) -> tuple[jax.Array, jax.Array]:
    """The cell before the agent, and whether it can be walked to."""
    rows, columns = maze.walls.shape
    step = jnp.asarray(DIRECTIONS)[heading]
    row, column = agent // columns + step[0], agent % columns + step[1]
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    cell = jnp.where(inside, row * columns + column, agent)
    return cell, inside & ~maze.walls.reshape(-1)[cell]


def _offsets(view: int) -> np.ndarray:
    """Rows and columns from the agent to the cells of its view, by heading, int32 ``[4, view * view, 2]``."""
    forward = (view - 1 - np.arange(view)).repeat(view)
    aside = np.tile(np.arange(view) - view // 2, view)
    right = np.roll(DIRECTIONS, -1, axis=0)
    ahead = DIRECTIONS[:, None, :] * forward[None, :, None]
    return (ahead + right[:, None, :] * aside[None, :, None]).astype(np.int32)
