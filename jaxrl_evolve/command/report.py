"""`jaxrl-evolve report`."""

from __future__ import annotations

import dataclasses

import tyro

from jaxrl_evolve.command.arguments import Command, parser


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Compare finished runs: a table, figures and statistics."""

    folders: tyro.conf.Positional[tuple[str, ...]]
    """Run folders."""
    out: str = "report"
    """Folder to write."""


def _run(arguments: Arguments) -> str:
    from jaxrl_evolve.results.report import report

    return report(arguments.folders, arguments.out).markdown


COMMAND = Command(
    usage="report FOLDER… --out FOLDER",
    summary="compare finished runs",
    parse=parser(Arguments, "report"),
    run=_run,
)
