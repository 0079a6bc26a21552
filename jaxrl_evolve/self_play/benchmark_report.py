"""The table of methods and games: Markdown for people, CSV for programs."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxrl_evolve.preferences.solvers.solver import Hyperparameters
from jaxrl_evolve.preferences.solvers.table import METHODS
from jaxrl_evolve.results.report.text import csv_text, markdown_table
from jaxrl_evolve.results.statistics import caution, estimate, mean
from jaxrl_evolve.self_play.benchmark import TARGETS, all_stored
from jaxrl_evolve.self_play.benchmark_config import GamesConfig
from jaxrl_evolve.storage.folder import write_text

_TITLES = {
    "late": "Last iterates",
    "average": "Average policy",
}
_TOLD = {
    "late": "Mean exploitability of the iterates of the last fifth of a play; numbers tuned for that.",
    "average": "Exploitability of the uniform average of all iterates; numbers tuned for that, in plays of their own.",
}

Content = Mapping[str, Any]


def write_report(config: GamesConfig, out: str | os.PathLike[str]) -> str:
    """Write ``games.md`` and ``games.csv`` of all cells that are in a folder; returns the Markdown.

    Raises:
        ValueError: a cell was played with other settings than ``config``.
        OSError: a file cannot be read or written.
    """
    out = Path(out)
    found = all_stored(out, dataclasses.asdict(config))
    order = {name: i for i, name in enumerate(METHODS)}
    found.sort(key=lambda cell: order.get(cell["method"], len(order)))
    text = markdown(config, found)
    write_text(out / "games.csv", rows_csv(found))
    write_text(out / "games.md", text)
    return text


def markdown(config: GamesConfig, found: Sequence[Content]) -> str:
    """The report.

    Args:
        config: that the cells were played with.
        found: contents of cells.
    """
    seeds = max(len(cell["rows"]) // len(TARGETS) for cell in found)
    feedback = (
        f"{config.steps * config.queries:,} hard labels"
        if config.feedback == "sampled"
        else "expectations, no labels"
    )
    parts = [
        "# Methods on games of preference",
        f"Exploitability in advantage units (`max_i (A p)_i` with `A = 2 P - 1`; 0 is a Minimax Winner). Each play has {feedback}"
        f"{f', {config.queries} a step,' if config.feedback == 'sampled' else ''} and begins with normal logits of standard deviation "
        f"{config.start:g}, which are its reference too. Of its numbers each method tried {config.tune or 'none'} settings on each game, on "
        f"{config.tuning_seeds} seeds that are not reported. Means over {seeds} seeds with 95 % bootstrap intervals, and the worst seed after the stroke.",
    ]  # fmt: skip
    if few := caution(seeds):
        parts.append(f"Intervals are rough: {few}.")
    for target in TARGETS:
        parts += [f"## {_TITLES[target]}", _TOLD[target], _table(found, target)]
    parts += ["## Numbers", "What was chosen.", _chosen(found)]
    return "\n\n".join(parts) + "\n"


def _table(found: Sequence[Content], target: str) -> str:
    games = list(dict.fromkeys(cell["game"] for cell in sorted(found, key=_place)))
    by_method: dict[str, dict[str, str]] = {}
    for cell in found:
        by_method.setdefault(cell["method"], {})[cell["game"]] = _cell(cell, target)
    lines = [[method, *(row.get(game, "–") for game in games)] for method, row in by_method.items()]
    return markdown_table(["Method", *games], lines)


def _place(cell: Content) -> int:
    from jaxrl_evolve.preferences.games import GAMES

    return list(GAMES).index(cell["game"]) if cell["game"] in GAMES else len(GAMES)


def _cell(cell: Content, target: str) -> str:
    values = [row[target] for row in cell["rows"] if row["target"] == target]
    if any(value is None for value in values):
        return f"{sum(value is None for value in values)} of {len(values)} not finite"
    found = estimate(values, mean)
    bounds = f" [{found.low:.3f}, {found.high:.3f}]" if found.low == found.low else ""
    return f"{found.value:.3f}{bounds} / {max(values):.3f}"


def _chosen(found: Sequence[Content]) -> str:
    lines = [
        [cell["method"], cell["game"], *(_numbers(cell["tuned"][target]) for target in TARGETS)]
        for cell in found
    ]
    return markdown_table(
        ["Method", "Game", *(f"for {_TITLES[target].lower()}" for target in TARGETS)], lines
    )


def _numbers(tuned: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in tuned.items()) or "none to tune"


def rows_csv(found: Sequence[Content]) -> str:
    """One line for each play."""
    numbers = list(Hyperparameters.__dataclass_fields__)
    fields = ("target", "seed", "late", "average", "last", "queries")
    lines = [
        [
            cell["method"],
            cell["game"],
            *(row[field] for field in fields),
            *(cell["tuned"][row["target"]].get(n) for n in numbers),
        ]
        for cell in found
        for row in cell["rows"]
    ]
    return csv_text(["method", "game", *fields, *numbers], lines)
