"""Environments that interpret grid specs: of a file, of a spec in hand, the family of tech trees, and a collection of puzzles."""

from __future__ import annotations

import dataclasses
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl_envs.contract import Arms, Env
from jaxrl_envs.keywords import near, reject_unknown
from jaxrl_envs.names import SPECS
from jaxrl_envs.spaces import Discrete
from jaxrl_envs.specs.arrays import GridParams
from jaxrl_envs.specs.caps import MOST_STEPS, PRESETS
from jaxrl_envs.specs.encoding import params_of
from jaxrl_envs.specs.engine import ACTIONS, engine
from jaxrl_envs.specs.grid import GRID
from jaxrl_envs.specs.model import GridSpec
from jaxrl_envs.specs.picture import render
from jaxrl_envs.specs.puzzles.collection import SIZE, collection, drawn, of_number
from jaxrl_envs.specs.puzzles.translation import ENDINGS, translate
from jaxrl_envs.specs.tech_tree import family
from jaxrl_envs.specs.text import MOST_BYTES, refuse


def make(name: str, **kwargs: Any) -> Env:
    """A spec environment of the registry.

    Args:
        name: ``tech-tree``, ``puzzles``, or ``file`` for the spec in a file.
        **kwargs: ``view``, cells that the agent sees a side; of ``tech-tree`` ``max_steps``; of ``puzzles`` ``game``, the name of the
            one that it begins with; of ``file`` ``path``, ``level`` as in `read_file`, and ``size`` as in `from_spec`.

    Raises:
        ValueError: for an unknown option, or a value that an option does not take.
        SpecError: the file holds no sound spec; a sentence for each fault.
        OSError: it cannot be read.
    """
    full = f"specs/{name}"
    own = {"tech-tree": ["max_steps"], "file": ["path", "level", "size"], "puzzles": ["game"]}
    reject_unknown(full, kwargs, ["view", *own.get(name, [])])
    if name not in own:
        raise ValueError(f"there is no spec {name!r}{near(name, SPECS) or '.'} Known: {', '.join(SPECS)}")
    view = kwargs.get("view")
    if name == "file":
        if "path" not in kwargs:
            raise ValueError(f"{full} needs the option path, the file of a spec")
        level = _whole(full, "level", kwargs.get("level", 1), 1, MOST_STEPS)
        return from_spec(read_file(kwargs["path"], level), full, view, kwargs.get("size"))
    if name == "puzzles":
        return _puzzles(full, kwargs.get("game"), view)
    limit = _whole(full, "max_steps", kwargs.get("max_steps", 160), 1, MOST_STEPS)
    made = family(limit)
    env = from_params(made.params, full, "small", view)
    return dataclasses.replace(env, sample_params=made.sample, edit_params=made.edited, arms=made.arms)


def _puzzles(full: str, game: str | None, view: int | None) -> Env:
    """Any of the collection; its parameters are those of one game, the first unless another is named."""
    names = tuple(puzzle.name for puzzle in collection())
    if game is not None and game not in names:
        raise ValueError(
            f"game of {full} is {game!r}; it must be one of {', '.join(names)}{near(str(game), names)}"
        )
    first = collection()[names.index(game) if game else 0]
    env = from_params(params_of(first.spec, SIZE), full, SIZE, view)
    return dataclasses.replace(env, sample_params=drawn, arms=Arms(names, of_number))


def read_file(path: str | os.PathLike[str], level: int = 1) -> GridSpec:
    """The spec in a file: as JSON, or, where its name ends in .txt or .puzzle, as a game of PuzzleScript.

    Args:
        path: of the file.
        level: of a game, from 1.

    Raises:
        SpecError: it is none; a sentence for each fault.
        OSError: it cannot be read.
    """
    if not stat.S_ISREG(os.stat(path).st_mode) and not Path(path).is_dir():
        raise refuse("it is no regular file")
    with open(path, "rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        size = os.stat(path).st_size
        raise refuse(f"it has {size:,} bytes, more than the {MOST_BYTES:,} that are read")
    if Path(path).suffix.lower() not in ENDINGS:
        return GRID.read(content)
    levels = translate(content)
    if not 1 <= level <= len(levels):
        raise ValueError(
            f"level is {level}; the game has {len(levels)}, so it must be from 1 to {len(levels)}"
        )
    return levels[level - 1]


def from_spec(
    spec: GridSpec, name: str = "specs/own", view: int | None = None, size: str | None = None
) -> Env:
    """The environment of one spec. It interprets every other of its size as well: `params_of` gives their parameters.

    Args:
        spec: as `Language.read` gives it.
        name: of the environment.
        view: cells that the agent sees a side, odd; the preset's own if None.
        size: a preset no smaller than the spec's, whose arrays are taken; the spec's own if None.

    Raises:
        ValueError: a value that does not fit.
    """
    if not isinstance(spec, GridSpec):
        raise ValueError(
            f"spec is a {type(spec).__name__}; it must be a GridSpec, as language('grid').read gives it"
        )
    return from_params(params_of(spec, size), name, size or spec.size, view)


def from_params(params: GridParams, name: str, size: str, view: int | None = None) -> Env:
    """The environment of arrays.

    Args:
        params: of the caps of ``size``.
        name: of the environment.
        size: a preset.
        view: as in `from_spec`.
    """
    caps = PRESETS[size]
    seen = caps.view if view is None else _whole(name, "view", view, 1, 2 * caps.side + 1)
    if seen % 2 == 0:
        raise ValueError(f"view of {name} is {seen}; it must be odd")
    made = engine(caps, seen)
    return Env(
        name,
        made.reset,
        made.step,
        params,
        made.observation_space,
        Discrete(len(ACTIONS)),
        render=render,
        metrics=("success", "skills"),
    )


def _whole(name: str, option: str, value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
        raise ValueError(f"{option} of {name} is {value!r}; it must be a whole number from {low} to {high}")
    return int(value)
