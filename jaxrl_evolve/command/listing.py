"""`jaxrl-evolve list`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal

import tyro

from jaxrl_evolve.command.arguments import Command, parser


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Name what there is."""

    what: tyro.conf.Positional[
        Literal["all", "environments", "algorithms", "objectives", "curricula", "networks", "proposers"]
    ] = "all"
    """Which kind."""


def _algorithms() -> list[str]:
    from jaxrl_evolve.algorithms.table import BUILTIN_ALGORITHMS, find_algorithm
    from jaxrl_evolve.settings import plugins

    names = plugins.names(plugins.ALGORITHMS, BUILTIN_ALGORITHMS)
    return [f"{name:18} {_told(lambda name=name: find_algorithm(name).summary)}" for name in names]


def _told(summary: Callable[[], str]) -> str:
    """A summary, or why there is none: a package that is broken keeps nobody from seeing the others."""
    try:
        return summary()
    except ValueError as error:
        return f"(cannot be used: {error})"


def _objectives() -> list[str]:
    from jaxrl_evolve.objectives.kinds import objective_names

    return objective_names()


def _curricula() -> list[str]:
    from jaxrl_evolve.curricula.table import curriculum_names

    return curriculum_names()


def _networks() -> list[str]:
    from jaxrl_evolve.networks.table import network_names

    return network_names()


def _proposers() -> list[str]:
    from jaxrl_evolve.generation.config import PROPOSERS
    from jaxrl_evolve.settings import plugins

    return plugins.names(plugins.PROPOSERS, dict.fromkeys(PROPOSERS))


def _environments() -> list[str]:
    from jaxrl_envs import available

    return available()


_SECTIONS = {
    "algorithms": _algorithms,
    "objectives": _objectives,
    "curricula": _curricula,
    "networks": _networks,
    "proposers": _proposers,
    "environments": _environments,
}
"""Each imports what it lists alone."""


def _run(arguments: Arguments) -> str:
    lines = []
    for title, names in _SECTIONS.items():
        if arguments.what == "all":
            lines.append(f"{title}:")
        if arguments.what in ("all", title):
            lines += [f"  {name}" for name in names()]
    return "\n".join(lines)


COMMAND = Command(
    usage="list",
    summary="name environments, algorithms, objectives, curricula, networks and proposers",
    parse=parser(Arguments, "list"),
    run=_run,
)
