"""Names that other distributions add: algorithms, objectives, curricula and networks found by entry point."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from jaxrl_evolve.settings.names import suggestion

ALGORITHMS = "jaxrl_evolve.algorithms"
"""Entry-point group whose objects are `jaxrl_evolve.Algorithm`."""
OBJECTIVES = "jaxrl_evolve.objectives"
"""Entry-point group whose objects are functions ``() -> Objective``."""
OBJECTIVE_FAMILIES = "jaxrl_evolve.objective_families"
"""Entry-point group whose objects are `jaxrl_evolve.objectives.families.ObjectiveFamily`."""
CURRICULA = "jaxrl_evolve.curricula"
"""Entry-point group whose objects are functions ``(env, num_envs, **options) -> Curriculum``."""
NETWORKS = "jaxrl_evolve.networks"
"""Entry-point group whose objects are `jaxrl_evolve.networks.network.MakeNetwork`."""

_WHAT = {
    ALGORITHMS: "algorithm",
    OBJECTIVES: "objective",
    OBJECTIVE_FAMILIES: "kind",
    CURRICULA: "curriculum",
    NETWORKS: "network.kind",
}


def names(group: str, builtin: Mapping[str, Any]) -> list[str]:
    """Every name that `find` would find, sorted."""
    return sorted({*builtin, *(point.name for point in entry_points(group=group))})


def find(group: str, name: str, builtin: Mapping[str, Any]) -> Any:
    """The object called ``name``: a built-in one, or one that an installed distribution offers.

    Raises:
        ValueError: nothing is called so; the message gives near matches.
    """
    if name in builtin:
        return builtin[name]
    for point in entry_points(group=group):
        if point.name == name:
            return point.load()
    hint = suggestion(name, names(group, builtin))
    raise ValueError(f"{_WHAT[group]} is {name!r}, which is not known: {hint}")
