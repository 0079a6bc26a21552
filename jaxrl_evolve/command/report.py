"""`jaxrl-evolve report`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import tyro

from jaxrl_evolve.command.arguments import Command, parser


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Compare finished runs, sweeps, meta-trainings and loops of generated environments: tables, figures and statistics."""

    folders: tyro.conf.Positional[tuple[str, ...]]
    """Folders of runs, sweeps, meta-trainings or loops, or folders that hold some."""
    out: str = "report"
    """Folder to write. An earlier report in it is replaced; a folder with anything else is refused."""
    label: tuple[str, ...] = ()
    """A name for each folder, in order, instead of the algorithm's."""


def _run(arguments: Arguments) -> str:
    from jaxrl_evolve.results.report import report
    from jaxrl_evolve.results.report.place import TEXT

    earlier = " (in place of an earlier one)" if (Path(arguments.out) / TEXT).exists() else ""
    made = report(arguments.folders, arguments.out, labels=arguments.label or None)
    return f"{made.markdown}\nreport in {arguments.out}{earlier}"


COMMAND = Command(
    usage="report FOLDER… --out FOLDER",
    summary="compare finished runs, sweeps, meta-trainings and loops",
    parse=parser(Arguments, "report"),
    run=_run,
)
