"""`jaxrl-evolve render`."""

from __future__ import annotations

import dataclasses
from typing import Literal

import tyro

from jaxrl_evolve.command.arguments import Command, Devices, parser
from jaxrl_evolve.command.start import start


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Draw an episode of a trained agent, or of several side by side, as a GIF or an mp4."""

    folder: tyro.conf.Positional[str]
    """Run folder."""
    out: str = ""
    """File to write, .gif or .mp4 (which needs ffmpeg); empty for episode.gif in the run folder."""
    run: tuple[int | Literal["best", "all"], ...] = (0,)
    """Which run of the folder, counted from 0, or the best of its evaluation; several, or all, are a grid."""
    mode: Literal["greedy", "sample"] = "greedy"
    """Take the policy's mode, or sample from it."""
    seed: int = 0
    """Root of the episode's randomness."""
    max_steps: int = 1_000
    """Steps after which the episode is cut off."""
    fps: int = 30
    """Frames per second."""


def _run(arguments: Arguments) -> str:
    from jaxrl_evolve.training.render import render

    start(Devices())
    return render(
        arguments.folder,
        arguments.out or None,
        run=arguments.run,
        mode=arguments.mode,
        seed=arguments.seed,
        max_steps=arguments.max_steps,
        fps=arguments.fps,
    )


COMMAND = Command(
    usage="render FOLDER",
    summary="draw an episode as a GIF or an mp4",
    parse=parser(Arguments, "render"),
    run=_run,
)
