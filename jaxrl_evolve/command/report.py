"""`jaxrl-evolve report`."""

from __future__ import annotations

import dataclasses

import tyro

from jaxrl_evolve.command.arguments import Command, parser


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Compare finished runs, sweeps and meta-trainings: tables, figures and statistics."""

    folders: tyro.conf.Positional[tuple[str, ...]]
    """Folders of runs, sweeps or meta-trainings, or folders that hold some."""
    out: str = "report"
    """Folder to write."""
    label: tuple[str, ...] = ()
    """A name for each folder, in order, instead of the algorithm's."""


def _run(arguments: Arguments) -> str:
    from jaxrl_evolve.results.report import report

    return report(arguments.folders, arguments.out, labels=arguments.label or None).markdown


COMMAND = Command(
    usage="report FOLDER… --out FOLDER",
    summary="compare finished runs, sweeps and meta-trainings",
    parse=parser(Arguments, "report"),
    run=_run,
)
