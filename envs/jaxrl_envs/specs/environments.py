"""Environments that interpret specs: of a file, of a spec in hand, the family of tech trees, puzzles, and Craftax-Classic's worlds."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxrl_envs.contract import Arms, Env
from jaxrl_envs.keywords import near, reject_unknown
from jaxrl_envs.names import SPECS
from jaxrl_envs.spaces import Discrete
from jaxrl_envs.specs.arrays import GridParams
from jaxrl_envs.specs.caps import MOST_STEPS, PRESETS
from jaxrl_envs.specs.craftax.model import SIZES, CraftaxSpec
from jaxrl_envs.specs.encoding import params_of
from jaxrl_envs.specs.engine import actions_of, engine
from jaxrl_envs.specs.files import language_of, read, read_file
from jaxrl_envs.specs.language import Spec
from jaxrl_envs.specs.model import GridSpec
from jaxrl_envs.specs.picture import render
from jaxrl_envs.specs.puzzles.collection import SIZE, collection, drawn, of_number
from jaxrl_envs.specs.tech_tree import family
from jaxrl_envs.specs.text import shown


def make(name: str, **kwargs: Any) -> Env:
    """A spec environment of the registry.

    Args:
        name: ``tech-tree``, ``craftax``, ``puzzles``, or ``file`` for the spec in a file.
        **kwargs: of grid specs ``view``, cells that the agent sees a side; of ``tech-tree`` and ``craftax`` ``max_steps``; of ``craftax``
            the ``size`` of the map and ``rarities`` (`craftax.biomes.RARITIES`); of ``puzzles`` ``game``, the name of the one that it begins
            with; of ``file`` ``size`` as in `from_spec`, and ``path`` and ``level`` as in `read_file`, or what a run recorded in its place
            (`record.with_spec`): ``spec``, ``identity``, ``source``.

    Raises:
        ValueError: for an unknown option, or a value that an option does not take.
        SpecError: the file holds no sound spec; a sentence for each fault.
        OSError: it cannot be read.
        ModuleNotFoundError: craftax is not installed, and is asked for.
    """
    full = f"specs/{name}"
    own = {
        "tech-tree": ["view", "max_steps"],
        "file": ["view", "path", "level", "size", "spec", "identity", "source"],
        "craftax": ["size", "max_steps", "rarities"],
        "puzzles": ["view", "game"],
    }
    reject_unknown(full, kwargs, own.get(name, []))
    if name not in own:
        raise ValueError(f"there is no spec {name!r}{near(name, SPECS) or '.'} Known: {', '.join(SPECS)}")
    view = kwargs.get("view")
    if name == "file":
        size = kwargs.get("size")
        if not isinstance(size, str | None):
            raise ValueError(f"size of {full} is {shown(size)}; it must be one of {', '.join(PRESETS)}")
        return from_spec(_of_options(full, kwargs), full, view, size)
    if name == "puzzles":
        return _puzzles(full, kwargs.get("game"), view)
    usual = {"tech-tree": 160, "craftax": MOST_STEPS}[name]
    limit = _whole(full, "max_steps", kwargs.get("max_steps", usual), 1, MOST_STEPS)
    if name == "craftax":
        return _craftax(full, kwargs.get("size", "large"), limit, kwargs.get("rarities", "clean"))
    made = family(limit)
    env = from_params(made.params, full, "small", view)
    return dataclasses.replace(env, sample_params=made.sample, edit_params=made.edited, arms=made.arms)


def _of_options(full: str, options: Mapping[str, Any]) -> Spec:
    """The spec in a file, or the one that stands in the options."""
    if "path" in options:
        path = options["path"]
        if not isinstance(path, str | os.PathLike):
            raise ValueError(f"path of {full} is {shown(path)}; it must be the path of a file, as text")
        return read_file(path, _whole(full, "level", options.get("level", 1), 1, MOST_STEPS))
    if "spec" not in options:
        raise ValueError(f"{full} needs the option path, the file of a spec")
    if not isinstance(options["spec"], str | bytes):
        raise ValueError(
            f"spec of {full} is {shown(options['spec'])}; it must be JSON text, such as json.dumps makes of data"
        )
    spec = read(options["spec"])
    found = language_of(spec).identity(spec)
    known = options.get("identity", found)
    if known != found:
        raise ValueError(
            f"identity of {full} is {known!r}, but its spec has {found!r}; they must be the same"
        )
    return spec


def _craftax(name: str, size: Any, limit: int, rare: Any) -> Env:
    from jaxrl_envs.specs.craftax.family import family as of_worlds

    if size not in tuple(SIZES):  # whatever it is, hashable or not
        raise ValueError(f"size of {name} is {size!r}; it must be one of {', '.join(SIZES)}")
    return of_worlds(CraftaxSpec(size=size, time_limit=limit), name, rare)


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


def from_spec(
    spec: GridSpec | CraftaxSpec,
    name: str = "specs/own",
    view: int | None = None,
    size: str | None = None,
) -> Env:
    """The environment of one spec. It interprets every other of its size as well: `params_of` gives their parameters.

    Args:
        spec: as `Language.read` gives it.
        name: of the environment.
        view: of a grid spec, cells that the agent sees a side, odd; the preset's own if None.
        size: of a grid spec, a preset no smaller than its own, whose arrays are taken; its own if None.

    Raises:
        ValueError: a value that does not fit.
    """
    if isinstance(spec, CraftaxSpec):
        for option, value in (("view", view), ("size", size)):
            if value is not None:
                raise ValueError(f"{option} of {name} is {value!r}; a Craftax spec takes no such option")
        from jaxrl_envs.specs.craftax.engine import from_spec as of_world

        return of_world(spec, name)
    if not isinstance(spec, GridSpec):
        raise ValueError(
            f"spec is a {type(spec).__name__}; it must be a GridSpec or CraftaxSpec, as Language.read gives it"
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
        Discrete(len(actions_of(params))),
        render=render,
        metrics=("success", "skills"),
    )


def _whole(name: str, option: str, value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
        raise ValueError(f"{option} of {name} is {value!r}; it must be a whole number from {low} to {high}")
    return int(value)
