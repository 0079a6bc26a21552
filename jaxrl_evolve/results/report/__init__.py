"""Reports: finished run folders in, tables and figures that compare them out.

A run folder holds ``config.json``, ``metrics.jsonl`` and ``result.json`` as `train` leaves them. The
report trusts ``result.json`` for final returns (one per seed) and recomputes every statistic from them.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from jaxrl_evolve.results import figures
from jaxrl_evolve.results.report.compare import Comparison, Row, compare
from jaxrl_evolve.results.report.runs import ReportError, Run, find_runs, read_run
from jaxrl_evolve.results.report.text import markdown, results_csv, returns_csv

__all__ = ["Comparison", "Report", "ReportError", "Row", "Run", "compare", "find_runs", "read_run", "report"]


@dataclasses.dataclass(frozen=True)
class Report:
    """What `report` found and wrote.

    Attributes:
        comparison: the numbers.
        markdown: the text of ``report.md``.
        notes: what a reader must know to read the numbers rightly; also in the text.
        files: everything written.
    """

    comparison: Comparison
    markdown: str
    notes: tuple[str, ...]
    files: tuple[Path, ...]


def report(
    folders: Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    labels: Sequence[str] | None = None,
    resamples: int = 10_000,
    seed: int = 0,
) -> Report:
    """Compare finished runs: ``report.md``, ``results.csv``, ``returns.csv`` and figures.

    Args:
        folders: run folders, or folders that hold some at any depth (unfinished ones in there are
            skipped with a note).
        out: folder for the report; made if need be, files of an earlier report are replaced.
        labels: a name for each run found, in order, instead of its algorithm's.
        resamples: bootstrap resamples for each interval.
        seed: of the bootstrap.

    Returns:
        The `Report`.

    Raises:
        ReportError: for a folder without results, a damaged file, labels that clash, or an ``out`` that
            cannot be written. Nothing is written before all runs are read.
    """
    paths, skipped = find_runs(folders)
    comparison = compare([read_run(path) for path in paths], labels, resamples=resamples, seed=seed)
    out = Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        drawn, about_curves = _draw(comparison, out)
        notes = (*skipped, *comparison.notes, *about_curves)
        text = markdown(comparison, notes, [path.name for path in drawn], resamples)
        tables = {
            "report.md": text,
            "results.csv": results_csv(comparison.rows),
            "returns.csv": returns_csv(comparison.rows),
        }
        written = [_write(out / name, content) for name, content in tables.items()]
    except OSError as error:
        raise ReportError(f"cannot write the report to {out}: {error.strerror or error}") from None
    return Report(comparison, text, notes, (*written, *drawn))


def _draw(comparison: Comparison, out: Path) -> tuple[list[Path], list[str]]:
    """Every figure the comparison has numbers for, and notes on learning curves that are missing."""
    rows = comparison.rows
    tasks = dict.fromkeys(row.run.task for row in rows)
    final = {task: {row.label: row.iqm for row in rows if row.run.task == task} for task in tasks}
    files = [figures.comparison(final, out / "final_returns.png")]
    notes = []
    evaluated = all(len(row.run.curves.get("eval_return", ((),))[0]) > 1 for row in rows)
    kind = "eval_return" if evaluated else "episode_return"
    curves = [figures.Curve(r.label, *r.run.curves[kind], r.run.task) for r in rows if kind in r.run.curves]
    if curves:
        ylabel = "Evaluation return" if evaluated else "Training return"
        files.append(figures.learning_curves(curves, out / "learning_curves.png", ylabel=ylabel))
    if curves and not evaluated:
        notes.append("Learning curves show training episodes: not every run was evaluated during training.")
    without = [row for row in rows if kind not in row.run.curves]
    notes += [f"{row.label} on {row.run.task} has no learning curve in its metrics.jsonl." for row in without]
    if comparison.aggregates:
        panels = {"Mean": "mean", "Median": "median", "IQM": "iqm", "Optimality gap": "optimality_gap"}
        shown = {
            panel: {label: getattr(found, field) for label, found in comparison.aggregates.items()}
            for panel, field in panels.items()
        }
        xlabel = "Normalised score (95 % interval)"
        files.append(figures.comparison(shown, out / "aggregates.png", xlabel=xlabel))
    if comparison.improvement:
        path = out / "probability_of_improvement.png"
        files.append(figures.probability_of_improvement(comparison.improvement, path))
    return files, notes


def _write(path: Path, text: str) -> Path:
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
