"""Names that others add: algorithms, objectives, curricula, networks and proposers, found by entry point or registered by call."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from jaxrl_evolve.settings.foreign import called
from jaxrl_evolve.settings.names import UnknownName, suggestion
from jaxrl_evolve.settings.notices import Notice

ALGORITHMS = "jaxrl_evolve.algorithms"
"""Entry-point group whose objects are `jaxrl_evolve.Algorithm`."""
OBJECTIVES = "jaxrl_evolve.objectives"
"""Entry-point group whose objects are functions ``() -> Objective``."""
OBJECTIVE_FAMILIES = "jaxrl_evolve.objective_families"
"""Entry-point group whose objects are `jaxrl_evolve.objectives.families.ObjectiveFamily`."""
CURRICULA = "jaxrl_evolve.curricula"
"""Entry-point group whose objects are functions ``(env, num_envs, **options) -> Curriculum``."""
PROPOSERS = "jaxrl_evolve.proposers"
"""Entry-point group whose objects are functions ``(domain, file, offline) -> Proposer``."""
NETWORKS = "jaxrl_evolve.networks"
"""Entry-point group whose objects are `jaxrl_evolve.networks.network.MakeNetwork`."""

_WHAT = {
    ALGORITHMS: "algorithm",
    OBJECTIVES: "objective",
    OBJECTIVE_FAMILIES: "kind",
    CURRICULA: "curriculum",
    NETWORKS: "network.kind",
    PROPOSERS: "proposer",
}


GROUPS = {
    "algorithm": ALGORITHMS,
    "objective": OBJECTIVES,
    "objective_family": OBJECTIVE_FAMILIES,
    "curriculum": CURRICULA,
    "network": NETWORKS,
    "proposer": PROPOSERS,
}
"""Groups by what `jaxrl_evolve.register` calls one thing of them."""

_added: dict[str, dict[str, Any]] = {group: {} for group in GROUPS.values()}


def add(group: str, name: str, thing: Any) -> None:
    """Make a name known in this process, or mean another thing than before."""
    _added[group][name] = thing


def forget(group: str, name: str) -> None:
    """Take back what was added."""
    _added[group].pop(name, None)


def added(group: str) -> Mapping[str, Any]:
    """What was added in this process."""
    return _added[group]


def names(group: str, builtin: Mapping[str, Any]) -> list[str]:
    """Every name that `find` would find, sorted."""
    return sorted({*builtin, *_added[group], *(point.name for point in entry_points(group=group))})


def find(group: str, name: str, builtin: Mapping[str, Any]) -> Any:
    """The object called ``name``: a built-in one, one that was added, or one that an installed distribution offers.

    Raises:
        UnknownName: nothing is called so (the message gives near matches).
        ValueError: the other distribution can't be imported.
    """
    if name in builtin:
        if name in _added[group]:
            raise ValueError(
                f"{_WHAT[group]} {name!r} was registered, but that is one of the library's names; choose another"
            )
        if distribution := _shadowed(group).get(name):
            warnings.warn(
                f"{_WHAT[group]} {name!r} is the library's; the one that {distribution} offers by that name cannot be "
                "reached and needs another",
                Notice,
                stacklevel=2,
            )
        return builtin[name]
    if name in _added[group]:
        return _added[group][name]
    points = [point for point in entry_points(group=group) if point.name == name]
    if points:
        whose = list(dict.fromkeys(_distribution(point) for point in points))
        if len(whose) > 1:
            warnings.warn(
                f"{_WHAT[group]} {name!r} is offered by {' and by '.join(whose)}; it is that of {whose[0]}, and the other needs another name",
                Notice,
                stacklevel=2,
            )
        return called(f"{_WHAT[group]} {name!r}: its entry point", points[0].load)
    hint = suggestion(name, names(group, builtin))
    kind = next(kind for kind, of_kind in GROUPS.items() if of_kind == group)
    raise UnknownName(f"{_WHAT[group]} is {name!r}, which is not known: {hint}", kind, name)


@functools.cache
def _shadowed(group: str) -> Mapping[str, str]:
    """The names that installed distributions offer, with theirs; looked up once, since built-in names are asked for often."""
    return {point.name: _distribution(point) for point in entry_points(group=group)}


def _distribution(point: Any) -> str:
    return point.dist.name if getattr(point, "dist", None) else "a package"
