"""`jaxrl-evolve export`."""

from __future__ import annotations

import dataclasses
from typing import Literal

import tyro

from jaxrl_evolve.command.arguments import Command, Devices, checkpoint, parser
from jaxrl_evolve.command.start import start


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Write a trained policy as files that act with jax alone."""

    folder: tyro.conf.Positional[str]
    """Run folder."""
    out: str
    """Folder to write: program.jax, weights.safetensors, policy.json."""
    run: int | Literal["best"] = 0
    """Which run of the folder, counted from 0, or the best of its evaluation."""
    mode: Literal["greedy", "sample"] = "greedy"
    """Take the policy's mode, or sample from it."""
    step: int = -1
    """Checkpoint, by its number of updates; -1 for the newest."""
    platforms: tuple[str, ...] = ("cpu",)
    """Where the program is to run: cpu, cuda, rocm, tpu."""
    overwrite: bool = False
    """Replace an earlier export in the folder."""


def _run(arguments: Arguments) -> str:
    from jaxrl_evolve.training.export import export

    step = checkpoint(arguments.step)
    start(Devices())
    return export(
        arguments.folder,
        arguments.out,
        run=arguments.run,
        mode=arguments.mode,
        step=step,
        platforms=arguments.platforms,
        overwrite=arguments.overwrite,
    )


COMMAND = Command(
    usage="export FOLDER --out FOLDER",
    summary="write a policy that acts with jax alone",
    parse=parser(Arguments, "export"),
    run=_run,
)
