"""`jaxrl-evolve sweep`."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import tyro

from jaxrl_evolve.command.arguments import Command
from jaxrl_evolve.command.request import or_dump
from jaxrl_evolve.command.start import start
from jaxrl_evolve.command.train import parse_settings


@dataclasses.dataclass(frozen=True)
class Space:
    """What a sweep varies."""

    grid: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FIELD=V1,V2,…")] = ()
    """Fields and their values, every combination: `--grid hp.learning_rate=1e-3,3e-4 num_envs=4,16`. Points that
    differ in hp alone run side by side in one program; other fields compile anew."""
    random: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FIELD=[log:]LOW:HIGH")] = ()
    """Hyperparameters and their ranges, drawn uniformly: `--random hp.learning_rate=log:1e-4:1e-2`."""
    samples: int | None = None
    """Draws from the random ranges (for each point of the grid); 8 by default."""
    part: Annotated[str, tyro.conf.arg(metavar="I/N")] = ""
    """Train the I-th of N parts of the points: with `--part $SLURM_ARRAY_TASK_ID/8`, a job array from 1 to 8 trains the
    sweep on eight machines. --out is the same for all of them: each makes a folder part_I_of_N in it, and report takes
    --out."""


def _run(arguments: Any) -> str:
    from jaxrl_evolve.results.ranking import placed
    from jaxrl_evolve.training.sweep import sweep
    from jaxrl_evolve.training.sweep_parts import part_folder

    start(arguments.devices, shared=True)
    to, space = arguments.output, arguments.space
    table = sweep(
        arguments.config,
        to.out,
        grid=space.grid,
        random=space.random,
        samples=space.samples,
        part=space.part,
        resume=to.resume,
        overwrite=to.overwrite,
        quiet=to.quiet,
    )
    return "" if to.quiet else placed(table, part_folder(space.part, to.out) if space.part else to.out)


COMMAND = Command(
    usage="sweep ALGORITHM --env NAME --out FOLDER",
    summary="train over a grid or random draws of settings",
    parse=lambda words: parse_settings("sweep", words, ("space", Space, Space())),
    run=or_dump(_run),
)
