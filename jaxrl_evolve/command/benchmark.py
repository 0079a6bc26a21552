"""`jaxrl-evolve benchmark`."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import tyro

from jaxrl_evolve.command.arguments import Command, Devices, parser
from jaxrl_evolve.command.start import start


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Train presets on the games of a benchmark and report them: minatar-100k, atari-100k; or curricula on mazes: curricula."""

    name: tyro.conf.Positional[str]
    """Which benchmark: minatar-100k, MinAtar's five games in 100,000 steps; atari-100k, 26 Atari games in as many; curricula, curricula
    of arms and levels on mazes at equal steps, tested level by level."""
    out: str
    """Folder of results. What is there already is not trained again; what was interrupted goes on; all of it is reported."""
    preset: Annotated[tuple[str, ...], tyro.conf.arg(metavar="'ALGORITHM FIELD=VALUE …'")] = ()
    """Algorithms by name, each with changes of its settings or none: `--preset spr rainbow 'spr learner.shift=0'`; of `curricula`,
    curricula with options: `--preset sfl 'plr temperature=0.3'`. Without it the benchmark's own."""
    games: tuple[str, ...] = ()
    """Some of its games, such as `Breakout Freeway`; all by default. `curricula` has none."""
    protocol: str = ""
    """Of `curricula`: small (by default), mazes of 9 x 9 for two cores; published, 13 x 13 with 60 walls, for an accelerator."""
    seeds: int | None = None
    """Seeds of each preset and game, side by side; 5 by default, of `curricula` 10."""
    seed: int = 0
    """Root seed; all presets share it."""
    steps: int | None = None
    """Environment steps per seed instead of the benchmark's; of `curricula`, with those that only score levels."""
    evaluation: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FIELD=VALUE")] = ()
    """Changes of the benchmark's evaluation, for all: `--evaluation final_episodes=5`, of `curricula` `levels=500 episodes=2`."""
    quiet: bool = False
    """Print nothing but the report."""
    devices: Annotated[Devices, tyro.conf.arg(name="")] = dataclasses.field(default_factory=Devices)


def _run(arguments: Arguments) -> str:
    from jaxrl_evolve.training.benchmark import REPORT, benchmark
    from jaxrl_evolve.training.suites import CURRICULA

    if arguments.name == CURRICULA:
        return _curricula(arguments)
    if arguments.protocol:
        raise ValueError(
            f"protocol is {arguments.protocol!r}, but only the benchmark {CURRICULA} has protocols"
        )
    start(arguments.devices, shared=True)
    made = benchmark(
        arguments.name,
        arguments.out,
        presets=arguments.preset,
        games=arguments.games,
        seeds=5 if arguments.seeds is None else arguments.seeds,
        seed=arguments.seed,
        steps=arguments.steps,
        evaluation=arguments.evaluation,
        quiet=arguments.quiet,
    )
    return f"{made.markdown}\nreport in {arguments.out}/{REPORT}" if made else ""


def _curricula(arguments: Arguments) -> str:
    from jaxrl_evolve.training.curricula_benchmark import benchmark_curricula

    if arguments.games:
        raise ValueError(
            f"games is {arguments.games}, but the benchmark {arguments.name} has none: leave it out"
        )
    start(arguments.devices)
    made = benchmark_curricula(
        arguments.out,
        presets=arguments.preset,
        protocol=arguments.protocol or "small",
        seeds=10 if arguments.seeds is None else arguments.seeds,
        seed=arguments.seed,
        steps=arguments.steps,
        evaluation=arguments.evaluation,
        quiet=arguments.quiet,
    )
    return f"{made.markdown}\nreport in {made.files[0].parent}"


COMMAND = Command(
    usage="benchmark NAME --out FOLDER",
    summary="train presets on a benchmark's games, or curricula on mazes, and report them",
    parse=parser(Arguments, "benchmark"),
    run=_run,
)
