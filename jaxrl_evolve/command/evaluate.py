"""`jaxrl-evolve evaluate`."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Literal

import tyro

from jaxrl_evolve.command.arguments import Command, Devices, parser
from jaxrl_evolve.command.start import start


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Evaluate trained agents."""

    folder: tyro.conf.Positional[str]
    """Run folder."""
    episodes: int = 128
    """Whole episodes per seed."""
    mode: Literal["greedy", "sample"] = "greedy"
    """Take the policy's mode, or sample from it."""
    seed: int = 0
    """Root of the episodes' randomness."""
    step: int = -1
    """Checkpoint, by its number of updates; -1 for the newest."""
    max_steps: int | None = None
    """Steps after which an episode is cut off; None for the environment's own limit, and 10,000 where it has none or a
    shorter one."""
    devices: Annotated[Devices, tyro.conf.arg(name="")] = dataclasses.field(default_factory=Devices)


def _run(arguments: Arguments) -> str:
    from jaxrl_evolve.storage.folder import plain
    from jaxrl_evolve.training.restore import evaluate_folder

    start(arguments.devices)
    outcome = evaluate_folder(
        arguments.folder,
        arguments.episodes,
        mode=arguments.mode,
        seed=arguments.seed,
        step=None if arguments.step < 0 else arguments.step,
        max_steps=arguments.max_steps,
    )
    return json.dumps(plain(outcome), indent=2)


COMMAND = Command(
    usage="evaluate FOLDER",
    summary="evaluate trained agents",
    parse=parser(Arguments, "evaluate"),
    run=_run,
)
