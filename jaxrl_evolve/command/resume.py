"""`jaxrl-evolve resume`: a folder says what kind of run it holds, and the kind says how it goes on."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import tyro

from jaxrl_evolve.command.arguments import Command, Devices, parser
from jaxrl_evolve.command.start import start


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Continue an interrupted run, sweep, meta-training or meta-test."""

    folder: tyro.conf.Positional[str]
    """Run folder."""
    step: int = -1
    """Checkpoint to go on from, by its number of updates (of generations, in a meta-training); -1 for the newest
    (and always, for a sweep)."""
    quiet: bool = False
    """Show no progress and no summary."""
    devices: Annotated[Devices, tyro.conf.arg(name="")] = dataclasses.field(default_factory=Devices)


def _run(arguments: Arguments) -> str:
    from jaxrl_evolve.command.kinds import kind_in

    start(arguments.devices)
    step = None if arguments.step < 0 else arguments.step
    said = kind_in(arguments.folder).resume(arguments.folder, step, arguments.quiet)
    return "" if arguments.quiet else said


COMMAND = Command(
    usage="resume FOLDER",
    summary="continue an interrupted run, sweep, meta-training or meta-test",
    parse=parser(Arguments, "resume"),
    run=_run,
)
