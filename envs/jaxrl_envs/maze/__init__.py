"""Mazes for curricula: levels as data, an egocentric view, exact optima; the layouts and families that policies are tested on.

Nothing but jax is needed.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.contract import Arms, Env
from jaxrl_envs.drawing import grid_world
from jaxrl_envs.keywords import near, reject_unknown
from jaxrl_envs.maze.builder import maze_builder
from jaxrl_envs.maze.engine import ACTIONS, OBSERVATIONS, MazeState, engine
from jaxrl_envs.maze.families import corridors, crossing, four_rooms, perfect_maze
from jaxrl_envs.maze.generators import edited, random_maze, strewn_maze
from jaxrl_envs.maze.layouts import LAYOUTS
from jaxrl_envs.maze.level import DIRECTIONS, Maze, make_maze, read_maze
from jaxrl_envs.maze.planning import optimal_return, shortest_path, solvable
from jaxrl_envs.parameters import like_default
from jaxrl_envs.seeds import key_of
from jaxrl_envs.spaces import Discrete

__all__ = [
    "FAMILIES",
    "LAYOUTS",
    "NAMED",
    "NAMES",
    "Maze",
    "MazeState",
    "edited",
    "from_maze",
    "make",
    "make_maze",
    "optimal_return",
    "random_maze",
    "read_maze",
    "shortest_path",
    "solvable",
]

LARGEST = 101
WALLS = 60
"""Unless another number is asked for."""


class Family(NamedTuple):
    """Mazes that are drawn.

    Attributes:
        sample: ``(key, **sizes, max_steps) -> Maze``.
        size: rows and columns unless others are asked for.
        max_steps: the time limit unless another is; None for twice the number of cells, border and all.
        odd: whether only odd sizes will do.
    """

    sample: Callable[..., Maze]
    size: int
    max_steps: int | None = None
    odd: bool = True


FAMILIES = {
    "random": Family(random_maze, 13, 250, odd=False),
    "perfect-maze": Family(perfect_maze, 13),
    "perfect-maze-medium": Family(perfect_maze, 19),
    "perfect-maze-xl": Family(perfect_maze, LARGEST),
    "small-corridor": Family(corridors, 13),
    "large-corridor": Family(corridors, 19),
    "four-rooms": Family(four_rooms, 17, 250),
    "crossing": Family(crossing, 9, 484),
}
"""Families of mazes, by name."""

NAMED = tuple(f"maze/{name}" for name in LAYOUTS)
"""Registry names of the layouts that stay as they are."""
NAMES = (*FAMILIES, *LAYOUTS)
"""Registry names after ``maze/``."""


def make(name: str, **kwargs: Any) -> Env:
    """A maze of the registry.

    Args:
        name: one of `NAMES`.
        **kwargs: ``view``, ``observation`` and ``actions`` as in `from_maze`; ``max_steps``; where mazes are drawn, ``size``
            (5 to 101) and ``level_seed``, from which the environment's one maze is drawn (0 by default); of ``random``
            ``walls``, ``fewest_walls`` and ``distinct`` as in `random_maze`; of ``crossing``, ``crossings``.

    Raises:
        ValueError: for an unknown option, or a value that an option does not take.
    """
    full = f"maze/{name}"
    own = {"random": ["walls", "fewest_walls", "distinct"], "crossing": ["crossings"]}.get(name, [])
    drawn = ["size", "level_seed", *own] if name in FAMILIES else []
    reject_unknown(full, kwargs, ["view", "observation", "actions", "max_steps", *drawn])
    if name not in NAMES:
        raise ValueError(f"there is no maze {name!r}{near(name, NAMES) or '.'} Known: {', '.join(NAMES)}")
    look = {option: kwargs.pop(option) for option in ("view", "observation", "actions") if option in kwargs}
    limit = kwargs.pop("max_steps", None)
    if limit is not None:
        limit = _whole(full, "max_steps", limit, 1, 2**31 - 1)
    if name in LAYOUTS:
        maze = read_maze(LAYOUTS[name], *(() if limit is None else (limit,)))
        return from_maze(maze, full, **look)
    seed = like_default(full, "level_seed", np.int32(0), kwargs.pop("level_seed", 0))
    sample = _sampler(name, full, limit, kwargs)
    env = from_maze(jax.jit(sample)(key_of(seed)), full, **look)
    env = dataclasses.replace(env, sample_params=sample)
    if name != "random":
        return env
    sizes = sample.keywords
    builder = maze_builder(full, env.params.walls.shape, sizes["walls"], sizes["max_steps"])
    return dataclasses.replace(env, arms=_by_walls(**sizes), builder=builder)


def _by_walls(size: int, walls: int, fewest: int, distinct: bool, max_steps: int) -> Arms:
    """Arms by how many walls are drawn: five numbers as evenly spaced as can be, from none where the number is fixed."""
    low = fewest if fewest < walls else 0
    numbers = list(dict.fromkeys(np.linspace(low, walls, 5).round().astype(int).tolist()))

    def sample(key: jax.Array, arm: jax.Array) -> Maze:
        return strewn_maze(key, jnp.asarray(numbers, jnp.int32)[arm], size, walls, distinct, max_steps)

    return Arms(tuple(f"{number} walls" for number in numbers), sample)


def _sampler(name: str, full: str, limit: int | None, options: Mapping[str, Any]) -> functools.partial[Maze]:
    """``key -> Maze`` of a family, with sizes that fit each other."""
    family = FAMILIES[name]
    size = _whole(full, "size", options.get("size", family.size), 5, LARGEST)
    if family.odd and size % 2 == 0:
        raise ValueError(f"size of {full} is {size}; it must be odd")
    sizes: dict[str, Any] = {"size": size}
    if name == "random":
        most = size * size - 2  # agent and goal have a cell each
        sizes["walls"] = _whole(full, "walls", options.get("walls", min(WALLS, most)), 0, most)
        sizes["fewest"] = _whole(
            full, "fewest_walls", options.get("fewest_walls", sizes["walls"]), 0, sizes["walls"]
        )
        sizes["distinct"] = options.get("distinct", False)
        if not isinstance(sizes["distinct"], bool):
            raise ValueError(f"distinct of {full} is {sizes['distinct']!r}; it must be True or False")
    elif name == "crossing":
        most = 2 * (size // 2)
        sizes["crossings"] = _whole(full, "crossings", options.get("crossings", min(5, most)), 1, most)
    steps = limit or family.max_steps or 2 * (size + 2) ** 2
    return functools.partial(family.sample, **sizes, max_steps=steps)


def from_maze(
    maze: Maze, name: str = "maze/own", view: int = 5, observation: str = "vector", actions: int = 3
) -> Env:
    """An environment for every maze that has the array shapes of ``maze``, which is its default.

    Args:
        maze: one maze; `make_maze` and `read_maze` make some.
        name: of the environment.
        view: cells that the agent sees a side, odd.
        observation: ``"vector"`` or ``"planes"``, see `engine.engine`.
        actions: 3, or 7 of which the last four do nothing.

    Raises:
        ValueError: a value that an option does not take.
    """
    if _whole(name, "view", view, 1, 2 * LARGEST + 1) % 2 == 0:
        raise ValueError(f"view of {name} is {view}; it must be odd")
    if observation not in OBSERVATIONS:
        raise ValueError(f"observation of {name} is {observation!r}; it must be one of {OBSERVATIONS}")
    if actions not in ACTIONS:
        raise ValueError(f"actions of {name} is {actions!r}; it must be 3 or 7")
    made = engine(view, observation)
    return Env(
        name,
        made.reset,
        made.step,
        maze,
        made.observation_space,
        Discrete(actions),
        render=_render,
        optimal_return=optimal_return,
        edit_params=edited,
        solvable=solvable,
        metrics=("success",),
        builder=maze_builder(name, maze.walls.shape, min(WALLS, maze.walls.size - 2), maze.max_steps),
    )


def _whole(name: str, option: str, value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
        raise ValueError(f"{option} of {name} is {value!r}; it must be a whole number from {low} to {high}")
    return int(value)


def _render(state: MazeState, maze: Maze) -> np.ndarray:
    place = lambda cell: divmod(int(cell), maze.walls.shape[1])
    facing = DIRECTIONS[int(state.heading)]
    return grid_world(
        np.asarray(maze.walls),
        [(*place(maze.goal), 1.0)],
        place(state.agent),
        facing=(int(facing[0]), int(facing[1])),
    )
