"""Grid worlds and delayed chains for meta-learning: levels as data, exact optima, gymnax environments.

Importing this package imports no environment suite; making an environment imports gymnax.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jaxrl_envs.contract import Env
from jaxrl_envs.drawing import grid_world
from jaxrl_envs.gridworlds.families import find_family, sample_level, sample_lifetime
from jaxrl_envs.gridworlds.level import Level, hand_made_level, make_level
from jaxrl_envs.gridworlds.planning import optimal_actions, optimal_return
from jaxrl_envs.gridworlds.tables import FAMILIES, LEVELS, Object
from jaxrl_envs.keywords import reject_unknown
from jaxrl_envs.parameters import like_default
from jaxrl_envs.seeds import key_of

if TYPE_CHECKING:
    from jaxrl_envs.gridworlds.engine import GridState, GridWorld

__all__ = [
    "FAMILIES",
    "LEVELS",
    "NAMES",
    "GridState",
    "GridWorld",
    "Level",
    "Object",
    "family_of",
    "find_family",
    "from_level",
    "hand_made_level",
    "make",
    "make_level",
    "optimal_actions",
    "optimal_return",
    "sample_level",
    "sample_lifetime",
]

_DRAWN = {f"random-{name}": name for name in ("small", "medium", "large", "all")} | {
    name: name for name in FAMILIES if name.startswith("maze-")
}
NAMES = (*LEVELS, *_DRAWN)
"""Registry names after ``grid/``."""


def family_of(name: str) -> str | None:
    """The family of levels behind a registry name (with or without ``grid/``); None for a hand-made level."""
    return _DRAWN.get(name.removeprefix("grid/"))


def make(name: str, **kwargs: Any) -> Env:
    """A grid world of the registry.

    Args:
        name: one of `NAMES`.
        **kwargs: ``placement``, ``observation`` and ``moves`` as in `GridWorld`; ``max_steps``; and, where the
            level is drawn, ``level_seed`` (0 by default).

    Raises:
        ValueError: for an unknown option, or a value that an option does not take.
    """
    full = f"grid/{name}"
    family = family_of(name)
    options = ["placement", "observation", "moves", "max_steps", *(["level_seed"] if family else [])]
    reject_unknown(full, kwargs, options)
    limit, seed = kwargs.pop("max_steps", None), kwargs.pop("level_seed", 0)
    if family:
        level = _drawn(key_of(like_default(full, "level_seed", np.int32(0), seed)), family)
    else:
        level, made = hand_made_level(name), LEVELS[name]
        if made.objects[0].cell is None and kwargs.setdefault("placement", "random") == "fixed":
            raise ValueError(
                f"placement of {full} is 'fixed'; its objects have no cells: it must be 'random'"
            )
        kinds = list(dict.fromkeys(thing[:3] for thing in made.objects))
        kwargs["types"] = [kinds.index(thing[:3]) for thing in made.objects]
    own_limit = {}
    if limit is not None:
        steps = like_default(full, "max_steps", level.max_steps, limit)
        if steps < 1:
            raise ValueError(f"max_steps of {full} is {limit}; it must be at least 1")
        own_limit = {"max_steps": steps}
    env = from_level(dataclasses.replace(level, **own_limit), full, **kwargs)
    if family is None:
        return env

    def another(key: jax.Array) -> Level:
        return dataclasses.replace(sample_level(key, family), **own_limit)

    return dataclasses.replace(env, sample_params=another)


_drawn = jax.jit(sample_level, static_argnames="family")


def from_level(level: Level, name: str = "grid/own", **kwargs: Any) -> Env:
    """An environment for every level that has the array shapes of ``level``, which is its default.

    Args:
        level: one level.
        name: of the environment.
        **kwargs: ``placement``, ``observation``, ``moves`` and ``types`` as in `GridWorld`.

    Raises:
        ValueError: for an unknown option, or a value that an option does not take.
    """
    from jaxrl_envs.adapters.gymnax import from_gymnax
    from jaxrl_envs.gridworlds.engine import GridWorld

    reject_unknown(name, kwargs, ["placement", "observation", "moves", "types"])
    world = GridWorld(level, **kwargs)
    # Objects that are placed anew have no fixed place in a list of states.
    fixed = kwargs.get("placement", "fixed") == "fixed"
    optimum = functools.partial(optimal_return, moves=world.num_actions) if fixed else None
    return dataclasses.replace(from_gymnax(world, name=name), render=_render, optimal_return=optimum)


def _render(state: Any, level: Any) -> np.ndarray:
    height, width = int(level.height), int(level.width)
    place = lambda cell: divmod(int(cell), level.walls.shape[1])
    objects = [
        (*place(cell), float(reward))
        for cell, reward, exists in zip(state.object_cells, level.reward, state.exists, strict=True)
        if exists
    ]
    return grid_world(np.asarray(level.walls)[:height, :width], objects, place(state.agent))


def __getattr__(name: str) -> Any:
    if name in ("GridState", "GridWorld"):
        from jaxrl_envs.gridworlds import engine

        return getattr(engine, name)
    raise AttributeError(f"module 'jaxrl_envs.gridworlds' has no attribute {name!r}")
