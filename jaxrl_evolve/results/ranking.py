"""Points of a sweep in order of merit: as CSV, as a Markdown table and as a figure of intervals."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxrl_evolve.results import figures, statistics
from jaxrl_evolve.storage import folder as folders

_DRAWN_POINTS = 30  # in the figure; the table has all


class Measure(NamedTuple):
    """What points are ranked by. Each is a mapping with ``settings``, ``iqm``, ``ci95``, ``env_steps``, ``folder``
    and the two fields named here.

    Attributes:
        scores: field with one number per seed, None where the seed was lost.
        lost: field with the number of seeds lost.
        label: under the figure.
    """

    scores: str
    lost: str
    label: str


def write_ranking(
    folder: folders.RunFolder, points: Sequence[Mapping[str, Any]], measure: Measure, title: str
) -> tuple[str, Mapping[str, Any]]:
    """Write ``sweep.csv`` (points as they come), ``sweep.md`` and ``sweep.png`` (best first).

    Args:
        folder: the sweep's.
        points: see `Measure`.
        measure: what they are ranked by.
        title: a sentence above the table; names the single point of a sweep that varies nothing.

    Returns:
        The table as Markdown, and the best point.
    """
    ranked = sorted(points, key=lambda point: _rank(point, measure))
    table = f"{title}\n\n{_markdown(ranked, measure)}"
    folders.write_text(folder.path / "sweep.csv", _csv(points, measure))
    folders.write_text(folder.path / "sweep.md", table)
    _figure(ranked, measure, folder.path / "sweep.png")
    return table, ranked[0]


def placed(table: str, out: str | os.PathLike[str]) -> str:
    """A table and where it lies, for whoever started the sweep; nothing of a process that has no table."""
    return f"{table}\nresults in {os.fspath(out)}" if table else ""


def _rank(point: Mapping[str, Any], measure: Measure) -> tuple[int, float]:
    """Best first: points that lost no seed before those that did, then by interquartile mean."""
    return point[measure.lost], math.inf if point["iqm"] is None else -point["iqm"]


def _csv(points: Sequence[Mapping[str, Any]], measure: Measure) -> str:
    names, seeds = list(points[0]["settings"]), len(points[0][measure.scores])
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    head = ["iqm", "ci95_low", "ci95_high", measure.lost, "env_steps", "folder"]
    writer.writerow([*names, *head, *(f"seed_{i}" for i in range(seeds))])
    for point in points:
        numbers = [point["iqm"], *point["ci95"], point[measure.lost], point["env_steps"], point["folder"]]
        writer.writerow([*point["settings"].values(), *numbers, *point[measure.scores]])
    return text.getvalue()


def _markdown(ranked: Sequence[Mapping[str, Any]], measure: Measure) -> str:
    names = list(ranked[0]["settings"])
    lines = [
        "| " + " | ".join([*names, "IQM", "95 % interval", measure.lost]) + " |",
        "|" + " --- |" * len(names) + " ---: |" * 3,
    ]
    for point in ranked:
        low, high = point["ci95"]
        interval = "" if low is None else f"{low:.4g} to {high:.4g}"
        iqm = "" if point["iqm"] is None else f"{point['iqm']:.4g}"
        lost = f"{point[measure.lost]} of {len(point[measure.scores])}" if point[measure.lost] else ""
        cells = [*map(_short, point["settings"].values()), iqm, interval, lost]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _figure(ranked: Sequence[Mapping[str, Any]], measure: Measure, path: Path) -> None:
    """The best points with their intervals; none if every point was lost."""
    shown = {}
    for point in ranked[:_DRAWN_POINTS]:
        if point["iqm"] is not None:
            label = ", ".join(
                f"{name.rpartition('.')[2]}={_short(x)}" for name, x in point["settings"].items()
            )
            low, high = (math.nan if x is None else x for x in point["ci95"])
            shown[label or "all seeds"] = statistics.Estimate(point["iqm"], low, high)
    if shown:
        figures.comparison({"": shown}, path, xlabel=measure.label)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
