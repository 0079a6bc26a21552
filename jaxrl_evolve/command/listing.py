"""`jaxrl-evolve list`."""

from __future__ import annotations

import dataclasses
from typing import Literal

import tyro

from jaxrl_evolve.command.arguments import Command, parser


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Name what there is."""

    what: tyro.conf.Positional[
        Literal["all", "environments", "algorithms", "objectives", "curricula", "networks"]
    ] = "all"
    """Which kind."""


def _run(arguments: Arguments) -> str:
    from jaxrl_envs import available
    from jaxrl_evolve.algorithms.table import BUILTIN_ALGORITHMS, find_algorithm
    from jaxrl_evolve.curricula.table import curriculum_names
    from jaxrl_evolve.networks.table import network_names
    from jaxrl_evolve.objectives.kinds import objective_names
    from jaxrl_evolve.settings import plugins

    algorithms = plugins.names(plugins.ALGORITHMS, BUILTIN_ALGORITHMS)
    sections = {
        "algorithms": [f"{name:18} {find_algorithm(name).summary}" for name in algorithms],
        "objectives": objective_names(),
        "curricula": curriculum_names(),
        "networks": network_names(),
        "environments": available(),
    }
    lines = []
    for title, names in sections.items():
        if arguments.what == "all":
            lines.append(f"{title}:")
        if arguments.what in ("all", title):
            lines += [f"  {name}" for name in names]
    return "\n".join(lines)


COMMAND = Command(
    usage="list",
    summary="name environments, algorithms, objectives, curricula and networks",
    parse=parser(Arguments, "list"),
    run=_run,
)
