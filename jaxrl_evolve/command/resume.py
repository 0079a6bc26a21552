"""`jaxrl-evolve resume`: a folder says what kind of run it holds, and the kind says how it goes on."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import tyro

from jaxrl_evolve.command.arguments import Command, Devices, checkpoint, parser
from jaxrl_evolve.command.start import start


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Continue an interrupted run, sweep, meta-training, meta-test, tournament or search for an answer."""

    folder: tyro.conf.Positional[str]
    """Run folder."""
    step: int = -1
    """Checkpoint to go on from, by its number of updates (of generations, in a meta-training); -1 for the newest
    (and always for what has no checkpoints of its own, such as a sweep)."""
    steps: int = 0
    """More environment steps per seed for a finished training run, those made until now included: the horizon becomes
    longer from here on. 0 for those that it was started with."""
    quiet: bool = False
    """Show no progress and no summary."""
    devices: Annotated[Devices, tyro.conf.arg(name="")] = dataclasses.field(default_factory=Devices)


def _run(arguments: Arguments) -> str:
    from jaxrl_evolve.command.finished import unless_finished
    from jaxrl_evolve.command.kinds import kind_in
    from jaxrl_evolve.results.ranking import placed
    from jaxrl_evolve.storage.kinds import about

    step, kind = checkpoint(arguments.step), kind_in(arguments.folder)
    if step is not None and not kind.has_checkpoints:
        raise ValueError(
            f"step is {step}, but {arguments.folder} holds {about(kind.name).what}, which has no checkpoints of its own"
        )
    start(arguments.devices, kind.shared)
    tell = unless_finished(arguments.folder)
    if arguments.steps:
        return tell(_extended(arguments, kind.name))
    said = kind.resume(arguments.folder, step, arguments.quiet)
    if kind.word == "sweep":
        said = placed(said, arguments.folder)
    return "" if arguments.quiet else tell(said)


def _extended(arguments: Arguments, kind: str) -> str:
    from jaxrl_evolve.storage.kinds import about
    from jaxrl_evolve.training.extend import extend
    from jaxrl_evolve.training.outcome import sentence

    if kind != "train":
        raise ValueError(f"steps is {arguments.steps:,}, but {arguments.folder} holds {about(kind).what}")
    if arguments.step >= 0:
        raise ValueError(f"step is {arguments.step}, but more steps are given to a run at its end only")
    result = extend(arguments.folder, arguments.steps, quiet=arguments.quiet)
    return "" if arguments.quiet else sentence(result.summary, arguments.folder)


COMMAND = Command(
    usage="resume FOLDER",
    summary="continue an interrupted run, sweep, meta-training or meta-test",
    parse=parser(Arguments, "resume"),
    run=_run,
)
