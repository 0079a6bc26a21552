"""Published scores of Atari-100k: they agree with each other, and stand beside ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jaxrl_envs.names import ATARI_100K
from jaxrl_evolve.results.atari_100k import GAMES, HUMAN, PUBLISHED, RANDOM, Published
from jaxrl_evolve.results.report import Run, compare
from jaxrl_evolve.results.report.published import human_normalised, published_section
from jaxrl_evolve.results.scores import scale_of

ENVS = {game: f"atari/{game}" for game in GAMES}
PAPERS = {paper.name: paper for paper in PUBLISHED}
BY_GAME = [paper for paper in PUBLISHED if paper.scores]


@pytest.mark.parametrize("paper", BY_GAME, ids=lambda paper: paper.name)
def test_aggregates_of_papers_follow_from_their_scores(paper: Published):
    mean, median = human_normalised(paper.scores, GAMES)
    assert (mean, median) == pytest.approx((paper.mean, paper.median), abs=1.2e-3)


def test_games_and_constants_are_those_of_atari_100k():
    assert GAMES == ATARI_100K and len(BY_GAME) == 8
    for game in GAMES:
        scale = scale_of(f"atari/{game}")
        assert scale is not None and scale(RANDOM[game]) == 0.0 and scale(HUMAN[game]) == 1.0
    assert scale_of("atari/Pong", lives=False) is None  # another task
    # Games in which the mean of SPR's runs is above the person's, as published.
    above = [g for g in GAMES if PAPERS["SPR (paper)"].scores[g] > HUMAN[g]]
    assert above == ["Boxing", "CrazyClimber", "Jamesbond", "Kangaroo", "Krull", "RoadRunner", "UpNDown"]


def _compared(games: tuple[str, ...], steps: int = 100_000) -> str:
    """Three runs of each game that score what SPR's paper says."""
    scores = PAPERS["SPR (paper)"].scores
    runs = [
        Run(Path(game), "spr", ENVS[game], np.full(3, scores[game]), steps, {}, {"algorithm": "spr"})
        for game in games
    ]
    return published_section(compare(runs, resamples=50), ENVS, PUBLISHED, 100_000)


def test_all_games_stand_beside_every_paper():
    lines = _compared(GAMES).splitlines()
    assert (
        "| Pong | -20.7 | 14.6 | -5.90 | -5.90 | -5.40 | -9.70 | -9.10 | -18.5 | 1.30 | 2.90 | 16.7 |"
        in lines
    )
    assert sum(line.split("|")[1].strip() in GAMES for line in lines if line.startswith("|")) == 26
    ours = next(line for line in lines if line.startswith("| spr (ours) | 3 "))
    assert ours.startswith("| spr (ours) | 3 | 0.703 [0.703, 0.703] | 0.415 [0.415, 0.415] |")
    assert "| Simulus | 5 | 1.65 | 0.982 | 0.990 | 0.412 | its data |" in lines
    assert "| SPR | 100 | 0.616 | 0.396 | 0.337 | 0.577 | Agarwal et al. 2021 (arXiv 2108.13264) |" in lines
    assert "no comparison" not in "\n".join(lines)


def test_some_games_are_compared_on_these_alone():
    text = _compared(("Pong", "Breakout"), 5_000)
    assert "Ours are of 5,000 steps, theirs of 100,000: no comparison." in text
    assert "over the 2 games that all of ours have" in text and "Simulus" not in text
    pong, breakout = (-5.4 + 20.7) / 35.3, (19.6 - 1.7) / 28.8
    assert f"| SPR | 100 | {(pong + breakout) / 2:#.3g} | {(pong + breakout) / 2:#.3g} | – | – |" in text
    assert "Human-normalised" not in _compared(("Pong",))
