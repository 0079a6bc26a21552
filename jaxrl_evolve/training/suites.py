"""Benchmarks as data: which environments, how many steps, and how the trained agents are judged."""

from __future__ import annotations

from typing import NamedTuple

from jaxrl_evolve.results import atari_100k
from jaxrl_evolve.results.atari_100k import Published
from jaxrl_evolve.settings.names import suggestion
from jaxrl_evolve.training.config import EvaluationConfig


class Suite(NamedTuple):
    """A benchmark.

    Attributes:
        summary: one line.
        games: names of the environments by what they are called in the benchmark.
        steps: environment steps per seed.
        preset: the algorithm that is run if none is named.
        evaluation: of the trained agents.
        published: scores of papers.
    """

    summary: str
    games: dict[str, str]
    steps: int
    preset: str
    evaluation: EvaluationConfig
    published: tuple[Published, ...] = ()

    def chosen(self, games: tuple[str, ...]) -> dict[str, str]:
        """Environments of some games, all of them if none is named.

        Raises:
            ValueError: a game is not of the benchmark; with near matches.
        """
        for game in games:
            if game not in self.games:
                raise ValueError(f"games has {game!r}, which is not known: {suggestion(game, self.games)}")
        return {game: self.games[game] for game in games or self.games}


_MINATAR = ("Asterix", "Breakout", "Freeway", "Seaquest", "SpaceInvaders")

CURRICULA = "curricula"
"""The benchmark that is no table of games, see `curricula_suite`."""

SUITES = {
    "minatar-100k": Suite(
        "MinAtar's five games in 100,000 steps",
        {game: f"{game}-MinAtar" for game in _MINATAR},
        100_000,
        "spr",
        EvaluationConfig(times=1, episodes=100, final_episodes=100, mode="sample"),
    ),
    "atari-100k": Suite(
        "26 Atari games in 100,000 steps",
        {game: f"atari/{game}" for game in atari_100k.GAMES},
        100_000,
        "spr",
        # Games are dear: the one evaluation during training, at its end, plays as few as a figure needs.
        EvaluationConfig(times=1, episodes=20, final_episodes=100, mode="sample"),
        atari_100k.PUBLISHED,
    ),
}


def find_suite(name: str) -> Suite:
    """The benchmark called ``name``.

    Raises:
        ValueError: none is called so; with near matches.
    """
    if name not in SUITES:
        raise ValueError(
            f"benchmark is {name!r}, which is not known: {suggestion(name, (*SUITES, CURRICULA))}"
        )
    return SUITES[name]
