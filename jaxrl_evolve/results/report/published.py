"""Scores of papers beside ours: a table by game, and human-normalised aggregates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxrl_evolve.results import statistics
from jaxrl_evolve.results.atari_100k import Published
from jaxrl_evolve.results.report.compare import Comparison
from jaxrl_evolve.results.report.text import markdown_table, number, with_bounds
from jaxrl_evolve.results.scores import SCALES


def published_section(
    comparison: Comparison, games: Mapping[str, str], published: Sequence[Published], steps: int
) -> str:
    """Markdown.

    Args:
        comparison: ours.
        games: environments of the benchmark by what they are called in it.
        published: scores of papers.
        steps: environment steps of the benchmark.
    """
    rows = [row for row in comparison.rows if row.run.task in games.values()]
    labels = list(dict.fromkeys(row.label for row in rows))
    mine = {(row.label, row.run.task): row for row in rows}
    played = {game: env for game, env in games.items() if any((label, env) in mine for label in labels)}
    columns = [paper for paper in published if paper.scores]
    lengths = sorted({row.run.env_steps for row in rows})
    told = ", ".join(f"{n:,}" for n in lengths)
    about = "" if lengths == [steps] else f" Ours are of {told} steps, theirs of {steps:,}: no comparison."
    mean = lambda label, env: number(mine[label, env].mean) if (label, env) in mine else "–"
    table = markdown_table(
        ["Game", "Random", "Human", *(f"{label} (ours)" for label in labels), *(c.name for c in columns)],
        [
            [
                *(game, number(SCALES[env].random), number(SCALES[env].reference)),
                *(mean(label, env) for label in labels),
                *(number(column.scores[game]) for column in columns),
            ]
            for game, env in played.items()
        ],
    )
    parts = ["## Beside published scores", f"Means over runs, in points.{about}", table]
    whole = [game for game, env in played.items() if all((label, env) in mine for label in labels)]
    if len(whole) > 1:
        parts += _aggregates(comparison, published, whole, len(games))
    return "\n\n".join(parts)


def _aggregates(
    comparison: Comparison, published: Sequence[Published], shared: Sequence[str], games: int
) -> list[str]:
    ours = [
        [f"{label} (ours)", a.runs, *map(with_bounds, (a.mean, a.median, a.iqm, a.optimality_gap)), "here"]
        for label, a in comparison.aggregates.items()
    ]
    if len(shared) == games:
        says = f"Human-normalised scores over all {games} games; – where nothing was published."
        theirs = [
            [p.name, p.runs or "–", *map(number, (p.mean, p.median, p.iqm, p.optimality_gap)), p.source]
            for p in published
        ]
    else:
        says = (
            f"Human-normalised scores over the {len(shared)} games that all of ours have, of papers computed from their scores "
            f"by game: means over runs, of which IQM and optimality gap cannot be. Their aggregates over all {games} games are "
            "others."
        )
        theirs = [
            [p.name, p.runs or "–", *map(number, human_normalised(p.scores, shared)), "–", "–", p.source]
            for p in published
            if p.scores
        ]
    header = ["Agent", "Runs", "Mean", "Median", "IQM", "Optimality gap", "Source"]
    return [says, markdown_table(header, [*ours, *theirs])]


def human_normalised(scores: Mapping[str, float], games: Sequence[str]) -> tuple[Any, Any]:
    """Mean and median of human-normalised scores over games of Atari-100k."""
    normalised = np.array([[SCALES[f"atari/{game}"](scores[game]) for game in games]])
    return float(statistics.mean(normalised)), float(statistics.median(normalised))
