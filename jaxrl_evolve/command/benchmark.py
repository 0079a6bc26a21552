"""`jaxrl-evolve benchmark`."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import tyro

from jaxrl_evolve.command.arguments import Command, Devices, parser
from jaxrl_evolve.command.start import start


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Train presets on the games of a benchmark and report them: minatar-100k, atari-100k."""

    name: tyro.conf.Positional[str]
    """Which benchmark: minatar-100k, MinAtar's five games in 100,000 steps; atari-100k, 26 Atari games in as many."""
    out: str
    """Folder of results. What is there already is not trained again; what was interrupted goes on; all of it is reported."""
    preset: Annotated[tuple[str, ...], tyro.conf.arg(metavar="'ALGORITHM FIELD=VALUE …'")] = ()
    """Algorithms by name, each with changes of its settings or none: `--preset spr rainbow 'spr learner.shift=0'`. Without
    it the benchmark's own."""
    games: tuple[str, ...] = ()
    """Some of its games, such as `Breakout Freeway`; all by default."""
    seeds: int = 5
    """Seeds of each preset and game, side by side."""
    seed: int = 0
    """Root seed; all presets share it."""
    steps: int | None = None
    """Environment steps per seed instead of the benchmark's."""
    evaluation: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FIELD=VALUE")] = ()
    """Changes of the benchmark's evaluation, for all: `--evaluation final_episodes=5`."""
    quiet: bool = False
    """Print nothing but the report."""
    devices: Devices = dataclasses.field(default_factory=Devices)


def _run(arguments: Any) -> str:
    from jaxrl_evolve.training.benchmark import REPORT, benchmark

    start(arguments.devices, shared=True)
    made = benchmark(
        arguments.name,
        arguments.out,
        presets=arguments.preset,
        games=arguments.games,
        seeds=arguments.seeds,
        seed=arguments.seed,
        steps=arguments.steps,
        evaluation=arguments.evaluation,
        quiet=arguments.quiet,
    )
    return f"{made.markdown}\nreport in {arguments.out}/{REPORT}" if made else ""


COMMAND = Command(
    usage="benchmark NAME --out FOLDER",
    summary="train presets on a benchmark's games and report them",
    parse=parser(Arguments, "benchmark"),
    run=_run,
)
