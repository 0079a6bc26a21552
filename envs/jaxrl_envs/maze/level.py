"""A maze as data: the parameters of its environment."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

Cell = tuple[int, int]

RIGHT, DOWN, LEFT, UP = range(4)
DIRECTIONS = np.asarray([(0, 1), (1, 0), (0, -1), (-1, 0)], np.int32)
"""Steps ``(rows, columns)`` by heading; the next one is a turn to the right."""
_HEADINGS = {">": RIGHT, "v": DOWN, "<": LEFT, "^": UP}
_LIMIT = 250


@struct.dataclass
class Maze:
    """One maze. Cells are numbered ``row * W + column``.

    Attributes:
        walls: bool ``[H, W]``; beyond the edge is wall.
        agent: int32, cell that an episode starts in.
        heading: int32, where it looks then: 0 right, 1 down, 2 left, 3 up.
        goal: int32, cell of the goal.
        max_steps: int32, the time limit, by which the reward is measured too.
    """

    walls: jax.Array
    agent: jax.Array
    heading: jax.Array
    goal: jax.Array
    max_steps: jax.Array


def maze_of(walls: Any, agent: Any, heading: Any, goal: Any, max_steps: Any = _LIMIT) -> Maze:
    """A `Maze` of arrays with the right types; nothing is checked."""
    whole = lambda x: jnp.asarray(x, jnp.int32)
    return Maze(jnp.asarray(walls, bool), whole(agent), whole(heading), whole(goal), whole(max_steps))


def make_maze(walls: Any, agent: Cell, heading: int, goal: Cell, max_steps: int = _LIMIT) -> Maze:
    """A maze, checked.

    Args:
        walls: bool ``[H, W]``.
        agent: row and column of the start.
        heading: 0 right, 1 down, 2 left, 3 up.
        goal: row and column of the goal.
        max_steps: the time limit.

    Raises:
        ValueError: naming what does not fit, and what would.
    """
    walls = np.asarray(walls)
    if walls.ndim != 2 or walls.dtype != bool or not walls.size:
        raise ValueError(f"walls is {walls.dtype} of shape {walls.shape}; it must be bool [rows, columns]")
    for name, (row, column) in (("agent", agent), ("goal", goal)):
        if not (0 <= row < walls.shape[0] and 0 <= column < walls.shape[1]):
            raise ValueError(f"{name} is {(row, column)}, outside the maze of shape {walls.shape}")
        if walls[row, column]:
            raise ValueError(f"{name} is {(row, column)}, which is a wall; it must be a free cell")
    if tuple(agent) == tuple(goal):
        raise ValueError(f"goal is {tuple(goal)}, where the agent starts; it must be another cell")
    if heading not in range(4):
        raise ValueError(f"heading is {heading!r}; it must be 0 (right), 1 (down), 2 (left) or 3 (up)")
    if isinstance(max_steps, bool) or not isinstance(max_steps, int | np.integer) or max_steps < 1:
        raise ValueError(f"max_steps is {max_steps!r}; it must be a whole number of at least 1")
    number = lambda cell: cell[0] * walls.shape[1] + cell[1]
    return maze_of(walls, number(agent), heading, number(goal), max_steps)


def read_maze(text: str, max_steps: int = _LIMIT) -> Maze:
    """A maze as it is drawn in letters, a line for each row.

    Args:
        text: ``#`` is a wall, ``.`` free, ``G`` the goal, and ``>``, ``v``, ``<`` or ``^`` the agent with its heading.
        max_steps: the time limit.

    Raises:
        ValueError: rows of unequal length, another letter, or not one goal and one agent.
    """
    rows = text.split()
    if len({len(row) for row in rows}) != 1:
        raise ValueError(f"the rows of a maze have lengths {[len(row) for row in rows]}; they must be equal")
    letters = np.asarray([list(row) for row in rows])
    if strange := sorted(set("".join(rows)) - set("#.G><^v")):
        raise ValueError(f"a maze has the letter {strange[0]!r}; it must be of # . G > v < ^")
    agents, goals = np.argwhere(np.isin(letters, list(_HEADINGS))), np.argwhere(letters == "G")
    if len(agents) != 1 or len(goals) != 1:
        raise ValueError(f"a maze has {len(agents)} agents and {len(goals)} goals; it must have one of each")
    place = lambda found: (int(found[0][0]), int(found[0][1]))
    agent = place(agents)
    return make_maze(letters == "#", agent, _HEADINGS[letters[agent]], place(goals), max_steps)
