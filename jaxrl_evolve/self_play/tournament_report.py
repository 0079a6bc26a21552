"""What a tournament has found, as files: rates, the winner, and how surely each run beats the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxrl_evolve.preferences.head_to_head import interval
from jaxrl_evolve.preferences.minimax import Winner
from jaxrl_evolve.results.meetings import mean_of_meetings
from jaxrl_evolve.results.panels import panels_figure
from jaxrl_evolve.results.report.text import csv_text, markdown_table, with_bounds
from jaxrl_evolve.results.statistics import Estimate, caution
from jaxrl_evolve.self_play.tournament_config import TournamentConfig
from jaxrl_evolve.storage.provenance import provenance

COLUMNS = ("entry", "other", "win_rate", "low", "high", "queries")


class Matrix(NamedTuple):
    """Who is preferred to whom.

    Attributes:
        labels: of the entries.
        rate: float64 ``[k, k]``, the row's win rate against the column; 1/2 on the diagonal, and mirrored exactly.
        error: its standard errors.
        queries: int ``[k, k]``, what the meeting took.
    """

    labels: tuple[str, ...]
    rate: np.ndarray
    error: np.ndarray
    queries: np.ndarray


def method_of(label: str) -> str:
    """The run folder of an entry, and its checkpoint: what its seeds have in common."""
    name, _, of = label.rpartition(":")
    _, at, step = of.partition("@")
    return f"{name}{at}{step}"


def against_others(found: Matrix) -> dict[str, Estimate]:
    """Of each run folder (of each checkpoint, where these take part), the mean win rate of its seeds against all of the others, with its interval over the
    seeds of both sides.
    """
    methods = [method_of(label) for label in found.labels]
    told = {}
    for one in dict.fromkeys(methods):
        own = [i for i, method in enumerate(methods) if method == one]
        others = [i for i, method in enumerate(methods) if method != one]
        if others:
            rates = found.rate[np.ix_(own, others)]
            told[one] = mean_of_meetings(rates, [methods[i] for i in others])
    return told


def summary_of(
    config: TournamentConfig, found: Matrix, winner: Winner, judge: str, dropped: Sequence[str] = ()
) -> dict[str, Any]:
    """The contents of ``result.json``; ``dropped`` are entries that diverged."""
    uniform = np.full(len(found.labels), 1 / len(found.labels))
    return {
        "entries": list(found.labels),
        "dropped": list(dropped),
        "preference": judge,
        "episodes": config.episodes,
        "queries": int(np.triu(found.queries).sum()),
        "win_rate": found.rate,
        "minimax_winner": winner.policy,
        "unique": winner.unique,
        "vertices": winner.vertices,
        # In advantage units: by how much the best entry is preferred to the mixture, or to each.
        "exploitability": winner.exploitability,
        "exploitability_uniform": float(((2 * found.rate - 1) @ uniform).max()),
        "exploitability_each": (2 * found.rate - 1).max(0),
        "against_others": {
            name: {"win_rate": told.value, "ci95": [told.low, told.high]}
            for name, told in against_others(found).items()
        },
        **provenance(),
    }


def rows_csv(found: Matrix) -> str:
    """One line for each ordered pair."""
    lines = []
    for i, entry in enumerate(found.labels):
        for j, other in enumerate(found.labels):
            rate = float(found.rate[i, j])
            bounds = interval(rate, float(found.error[i, j]))
            lines.append([entry, other, rate, *bounds, int(found.queries[i, j])])
    return csv_text(COLUMNS, lines)


def markdown(summary: Mapping[str, Any], found: Matrix) -> str:
    """The table for readers, the strongest first."""
    mean = (found.rate.sum(1) - 0.5) / max(len(found.labels) - 1, 1)  # nobody is compared with itself
    order = np.argsort(-mean, kind="stable")
    share, worst = np.asarray(summary["minimax_winner"]), np.asarray(summary["exploitability_each"])
    lines = [
        [found.labels[i], f"{mean[i]:.3f}", f"{share[i]:.3f}", f"{worst[i]:+.3f}", *(f"{found.rate[i, j]:.3f}" for j in order)]
        for i in order
    ]  # fmt: skip
    unique = (
        "" if summary["unique"] else " It is not the only one: `result.json` has the corners that were found."
    )
    dropped = summary.get("dropped", ())
    lost = f" Diverged, and left out: {', '.join(dropped)}." if dropped else ""
    head = ["", "Mean", "Share in the winner", "Beaten by, advantage", *(found.labels[i] for i in order)]
    return "\n\n".join(
        [
            "# Tournament",
            f"Win rates of rows against columns by {summary['preference']}, {summary['episodes']} episodes each, all pairs, {summary['queries']:,} queries; means are against the others. No entry beats the "
            f"Minimax Winner of this matrix, a mixture of entries (exploitability {summary['exploitability']:.1e}; of the uniform mixture "
            f"{summary['exploitability_uniform']:.3f}).{unique}{lost}",
            markdown_table(head, lines),
            *_runs(found),
            "![Win rates](tournament.png)",
        ]
    ) + "\n"  # fmt: skip


def _runs(found: Matrix) -> list[str]:
    """The table of run folders, where there are several."""
    told = against_others(found)
    seeds = [method_of(label) for label in found.labels]
    lines = [[name, str(seeds.count(name)), with_bounds(rate)] for name, rate in told.items()]
    if not lines:
        return []
    few = caution(min(seeds.count(name) for name in told))
    rough = f" Intervals are rough or missing: {few}." if few else ""
    said = f"Means of all seeds of a run against all of the others, with 95 % bootstrap intervals over the seeds of both sides.{rough}"
    return [said, markdown_table(["", "Seeds", "Mean against the others"], lines)]


def draw(path: Path, found: Matrix) -> None:
    number = len(found.labels)
    size = 1.6 + 0.32 * number
    with panels_figure(path, 1, size + 1.2, size) as (figure, (axis,)):
        image = axis.imshow(found.rate, cmap="RdBu", vmin=0, vmax=1)
        axis.set_xticks(range(number), found.labels, rotation=90)
        axis.set_yticks(range(number), found.labels)
        axis.grid(visible=False)
        if number <= 12:
            for i in range(number):
                for j in range(number):
                    dark = abs(found.rate[i, j] - 0.5) > 0.3
                    text = f"{found.rate[i, j]:.2f}"
                    axis.text(j, i, text, ha="center", va="center", fontsize=7, color="w" if dark else "k")
        figure.colorbar(image, ax=axis, label="Win rate of the row against the column")
