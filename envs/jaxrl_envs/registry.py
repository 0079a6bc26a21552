"""Names to environments: the built-in suites, what users register by call, and entry points.

A package outside the project registers an environment without importing anything:

    [project.entry-points.jaxrl_envs]
    "MyMaze-v0" = "my_package.maze:make"      # a factory (**kwargs) -> Env
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxrl_envs import names as known
from jaxrl_envs.keywords import near

if TYPE_CHECKING:
    from jaxrl_envs.contract import Env

ENTRY_POINT_GROUP = "jaxrl_envs"


class UnknownEnv(ValueError):
    """No environment is called so."""


class _Suite(NamedTuple):
    module: str  # has make(name, **kwargs)
    install: str
    prefix: str  # of the registry names
    names: tuple[str, ...]


_SUITES = {
    "gymnax": _Suite("jaxrl_envs.adapters.gymnax", "gymnax six", "", known.GYMNAX),
    "brax": _Suite("jaxrl_envs.adapters.brax", "brax", "brax/", known.BRAX),
    "craftax": _Suite("jaxrl_envs.adapters.craftax", "jaxrl_evolve[craftax]", "craftax/", known.CRAFTAX),
    "octax": _Suite("jaxrl_envs.adapters.octax", "jaxrl_evolve[octax]", "octax/", known.OCTAX),
    "atari": _Suite("jaxrl_envs.adapters.atari", "jaxrl_evolve[atari]", "atari/", known.ATARI),
    "grid": _Suite("jaxrl_envs.gridworlds", "gymnax six", "grid/", known.GRID),
    "chain": _Suite("jaxrl_envs.gridworlds.chains", "gymnax six", "chain/", known.CHAIN),
    "point": _Suite("jaxrl_envs.point_mass", "flax", "point/", known.POINT),
    "maze": _Suite("jaxrl_envs.maze", "jaxrl_evolve", "maze/", known.MAZE),
    "token": _Suite("jaxrl_envs.token", "jaxrl_evolve", "token/", known.TOKEN),
    "specs": _Suite("jaxrl_envs.specs.environments", "pydantic", "specs/", known.SPECS),
}
_OF_FILE = "specs/file"  # the one whose options name a file
_registered: dict[str, Callable[..., Env]] = {}


def register(name: str, factory: Callable[..., Env], replace: bool = False) -> None:
    """Make `name` known to `make`.

    Args:
        name: a new name; ``"suite/Name"`` groups it under ``available("suite")``.
        factory: ``(**kwargs) -> Env``.
        replace: whether a name that was registered by call may come to mean another environment.

    Raises:
        ValueError: if the name is taken or empty.
        TypeError: if the factory cannot be called.
    """
    if not isinstance(name, str) or not name:
        raise ValueError(f"an environment's name is a non-empty string, not {name!r}")
    if not callable(factory):
        raise TypeError(f"the factory of {name!r} is {factory!r}; it must be callable")
    taken = name in available() or _of_suites(
        name
    )  # a suite's names have aliases, such as gymnax/CartPole-v1
    if taken and not (replace and name in _registered):
        raise ValueError(f"an environment named {name!r} is already registered")
    _registered[name] = factory


def available(suite: str | None = None) -> list[str]:
    """Names that `make` accepts, of one suite or of all, without importing any suite.

    Built-in suites are listed whether or not they are installed.

    Raises:
        ValueError: for an unknown suite.
    """
    names = {key: [s.prefix + n for n in s.names] for key, s in _SUITES.items()}
    for name in [*_registered, *(point.name for point in _entry_points())]:
        if not any(name in group for group in names.values()):
            names.setdefault(name.split("/")[0] if "/" in name else "other", []).append(name)
    if suite is None:
        return [name for group in names.values() for name in group]
    if suite not in names:
        raise ValueError(f"there is no suite {suite!r}{near(suite, names) or '.'} Known: {', '.join(names)}")
    return names[suite]


def make(name: str, wrappers: Any = "", **kwargs: Any) -> Env:
    """The environment called `name`.

    Args:
        name: e.g. ``"CartPole-v1"``, ``"brax/ant"``, ``"craftax/Craftax-Classic-Symbolic-v1"``,
            ``"grid/dense"``; see `available`.
        wrappers: text, what to put around it, the innermost first, e.g. ``"sticky_actions:0.1+frame_stack:4"``; see
            `jaxrl_envs.wrappers`.
        **kwargs: the suite's options; an unknown one is refused.

    Raises:
        ValueError: for an unknown name, option or wrapper, or a time limit below one step.
        ImportError: if the suite is not installed.
    """
    from jaxrl_envs.contract import Env  # not above: names are listed without jax

    env = find_factory(name)(**kwargs)
    if not isinstance(env, Env):
        raise TypeError(f"the factory of {name!r} returned a {type(env).__name__}, not a jaxrl_envs.Env")
    return finished(name, env, wrappers)


def finished(name: str, env: Env, wrappers: Any = "") -> Env:
    """What a factory has made, with the wrappers that are asked for around it.

    Raises:
        ValueError: a time limit is below one step, or a wrapper is not known or does not fit.
    """
    from jaxrl_envs.parameters import check_limits
    from jaxrl_envs.wrappers.named import wrapped

    check_limits(name, env.params)
    return env if wrappers == "" else wrapped(env, wrappers)


def recorded(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of an environment as a run records them: what they name in a file stands in them itself.

    Raises:
        ValueError: the file cannot be read, or what it holds is not sound.
    """
    if name != _OF_FILE:
        return dict(options)
    from jaxrl_envs.specs.record import with_spec

    return with_spec(options)


def changed(name: str, options: Mapping[str, Any]) -> str:
    """A sentence if a file that `recorded` read is another by now; nothing if it is the same, or gone."""
    if name != _OF_FILE:
        return ""
    from jaxrl_envs.specs.record import change

    return change(options)


def _of_suites(name: str) -> list[Callable[[], Callable[..., Env]]]:
    """What gets the factories of the built-in suites that a name means."""
    found: list[Callable[[], Callable[..., Env]]] = []
    for key, suite in _SUITES.items():
        for prefix in dict.fromkeys((suite.prefix, f"{key}/")):
            short = name.removeprefix(prefix)
            if name.startswith(prefix) and short in suite.names:
                found.append(functools.partial(_from_suite, suite, short))
    return found


def find_factory(name: str) -> Callable[..., Env]:
    """What `make` calls for a name: the same object each time, as long as the name means the same.

    Raises:
        UnknownEnv: for an unknown name, a ValueError.
    """
    if not isinstance(name, str):
        raise ValueError(f"an environment's name is a string, not {name!r}")
    factories = [point.load for point in _entry_points() if point.name == name]
    factories += _of_suites(name)
    if name in _registered:
        factories.append(lambda: _registered[name])
    if not factories:
        raise UnknownEnv(
            f"there is no environment {name!r}{near(name, available()) or '.'} See jaxrl_envs.available()."
        )
    if len(factories) > 1:
        raise ValueError(
            f"{name!r} is registered {len(factories)} times; an entry point took a name already in use"
        )
    return factories[0]()


@functools.cache
def _from_suite(suite: _Suite, short: str) -> Callable[..., Env]:
    def factory(**kwargs: Any) -> Env:
        try:
            return importlib.import_module(suite.module).make(short, **kwargs)
        except ModuleNotFoundError as error:
            raise ImportError(
                f"{suite.prefix}{short} needs the module {error.name!r}: run `pip install '{suite.install}'`"
            ) from error

    return factory


def _entry_points() -> list[importlib.metadata.EntryPoint]:
    return list(importlib.metadata.entry_points(group=ENTRY_POINT_GROUP))
