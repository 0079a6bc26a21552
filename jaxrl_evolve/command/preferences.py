"""`jaxrl-evolve preferences`: what is done with preferences beside training."""

from __future__ import annotations

import dataclasses
import sys
from typing import Annotated

import tyro

from jaxrl_evolve.command.actions import Action, with_actions
from jaxrl_evolve.command.arguments import Devices
from jaxrl_evolve.self_play.benchmark_config import GamesConfig
from jaxrl_evolve.self_play.exploitability_config import ExploitabilityConfig
from jaxrl_evolve.self_play.tournament_config import TournamentConfig


@dataclasses.dataclass(frozen=True)
class Games:
    """Play methods on games of preference at equal queries: how exploitable are their averages and last iterates?

    Among them SPO, self-play preference optimization (Swamy et al. 2024), not Simple Policy Optimization.
    """

    out: str
    """Folder of results. What is there already is not played again; all of it is reported."""
    methods: tuple[str, ...] = ()
    """Methods such as `hedge spo ema_spo`; all by default."""
    games: tuple[str, ...] = ()
    """Games such as `biased_rps mixed`; all by default."""
    config: Annotated[GamesConfig, tyro.conf.arg(name="")] = dataclasses.field(default_factory=GamesConfig)
    quiet: bool = False
    """Print nothing but the report."""
    devices: Annotated[Devices, tyro.conf.arg(name="")] = dataclasses.field(default_factory=Devices)


def _games(arguments: Games) -> str:
    from jaxrl_evolve.command.start import start
    from jaxrl_evolve.self_play.benchmark import play_games
    from jaxrl_evolve.self_play.benchmark_report import write_report

    start(arguments.devices)
    told = (lambda line: None) if arguments.quiet else (lambda line: print(line, file=sys.stderr, flush=True))
    try:
        play_games(arguments.config, arguments.out, arguments.methods, arguments.games, told)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted; the cells that are done are in {arguments.out}, and the same command goes on"
        ) from None
    return f"{write_report(arguments.config, arguments.out)}\nreport in {arguments.out}/games.md"


@dataclasses.dataclass(frozen=True)
class Folder:
    """Where results go."""

    out: str
    """Folder to write. One that is not empty is refused, unless --resume or --overwrite."""
    resume: bool = False
    """Go on with what is in the folder, if there is something."""
    overwrite: bool = False
    """Delete what is in the folder first."""
    quiet: bool = False
    """Show no progress and no summary."""


@dataclasses.dataclass(frozen=True)
class Exploitability:
    """Learn an answer to a frozen policy from comparisons with its episodes: with what win rate is it preferred to the policy?

    The policy's run may be of any algorithm. What is found is a lower bound: a better answer may exist.
    """

    config: Annotated[ExploitabilityConfig, tyro.conf.arg(name="")]
    output: Annotated[Folder, tyro.conf.arg(name="")]
    devices: Annotated[Devices, tyro.conf.arg(name="")] = dataclasses.field(default_factory=Devices)


@dataclasses.dataclass(frozen=True)
class Tournament:
    """Compare all policies of runs with each other: who is preferred to whom, and which mixture of them is beaten by none?"""

    config: Annotated[TournamentConfig, tyro.conf.arg(name="")]
    output: Annotated[Folder, tyro.conf.arg(name="")]
    devices: Annotated[Devices, tyro.conf.arg(name="")] = dataclasses.field(default_factory=Devices)


def _exploitability(arguments: Exploitability) -> str:
    from jaxrl_evolve.command.start import start
    from jaxrl_evolve.self_play.exploitability import exploitability, sentence

    start(arguments.devices)
    to = arguments.output
    options = {"resume": to.resume, "overwrite": to.overwrite, "quiet": to.quiet}
    found = exploitability(arguments.config, to.out, **options)
    return "" if to.quiet else sentence(found, to.out)


def _tournament(arguments: Tournament) -> str:
    from jaxrl_evolve.command.start import start
    from jaxrl_evolve.self_play.tournament import sentence, tournament

    start(arguments.devices)
    to = arguments.output
    options = {"resume": to.resume, "overwrite": to.overwrite, "quiet": to.quiet}
    found = tournament(arguments.config, to.out, **options)
    return "" if to.quiet else sentence(found, to.out)


ACTIONS = {
    "games": Action("play methods on games at equal queries", Games, _games),
    "exploitability": Action("learn an answer to a trained policy", Exploitability, _exploitability),
    "tournament": Action("compare trained policies with each other", Tournament, _tournament),
}


COMMAND = with_actions(
    "preferences ACTION … --out FOLDER",
    "methods on games of preference; how exploitable policies are; tournaments",
    ACTIONS,
)
