"""A comparison as text: Markdown for people, CSV for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxrl_evolve.results.report.compare import Comparison, Row
from jaxrl_evolve.results.report.runs import Run
from jaxrl_evolve.results.scores import SCALES
from jaxrl_evolve.results.statistics import Estimate


def markdown(comparison: Comparison, notes: Sequence[str], drawn: Sequence[str], resamples: int) -> str:
    """The whole report.

    Args:
        comparison: the numbers.
        notes: sentences to print.
        drawn: names of the figures that exist beside it.
        resamples: of the bootstrap, to be told.
    """
    rows, aggregates, improvement = comparison.rows, comparison.aggregates, comparison.improvement
    parts = [
        "# Report",
        "Final returns are those of `result.json`: whole evaluation episodes after training, one number per "
        f"seed. Intervals are 95 % percentile bootstrap intervals over seeds ({resamples:,} resamples), "
        "stratified by environment where several are pooled.",
        "## Final returns",
        markdown_table(
            ["Environment", "Algorithm", "Seeds", "Steps per seed", "IQM", "95 % interval", "Mean", "Median",
             "Normalised IQM", "Steps/s", "Compile s", "Run s"],
            [
                [
                    row.run.task, row.label, len(row.run.returns), f"{row.run.env_steps:,}",
                    _number(row.iqm.value), _bounds(row.iqm), _number(row.mean), _number(row.median),
                    with_bounds(row.normalised),
                    *(_number(row.run.result.get(f)) for f in ("steps_per_second", "compile_seconds", "run_seconds")),
                ]
                for row in rows
            ],
        ),
        _image("Final returns", "final_returns.png"),
    ]  # fmt: skip
    if "learning_curves.png" in drawn:
        parts += ["## Learning curves", _image("Learning curves", "learning_curves.png")]
    if aggregates:
        one = next(iter(aggregates.values()))
        parts += [
            "## Across environments",
            f"Normalised scores (0 is a random policy, 1 the reference) over {one.tasks} environments.",
            markdown_table(
                ["Algorithm", "Runs per environment", "IQM", "Median", "Mean", "Optimality gap"],
                [
                    [label, a.runs, *map(with_bounds, (a.iqm, a.median, a.mean, a.optimality_gap))]
                    for label, a in aggregates.items()
                ],
            ),
            _image("Aggregates", "aggregates.png"),
        ]
    if improvement:
        parts += [
            "## Probability of improvement",
            markdown_table(
                ["Pair", "P"], [[f"{x} over {y}", with_bounds(p)] for (x, y), p in improvement.items()]
            ),
            _image("Probability of improvement", "probability_of_improvement.png"),
        ]
    if notes:
        parts += ["## Notes", "\n".join(f"- {note}" for note in notes)]
    scales = {row.run.task: SCALES[row.run.task] for row in rows if row.run.task in SCALES}
    if scales:
        parts += [
            "## Normalisation",
            markdown_table(
                ["Environment", "0", "1", "Reference", "Source"],
                [
                    [t, _number(s.random), _number(s.reference), s.meaning, s.source]
                    for t, s in scales.items()
                ],
            ),
        ]
    parts += [
        "## Runs",
        markdown_table(["Folder", "Seed", "Git", "Device", "jax"], [_origin(row.run) for row in rows]),
    ]
    return "\n\n".join(parts) + "\n"


def _origin(run: Run) -> list[Any]:
    result = run.result
    git, device, versions = (result.get(name) for name in ("git", "device", "versions"))
    if isinstance(git, Mapping):
        git = f"{str(git.get('commit', '–'))[:10]}{' (changed)' if git.get('dirty') else ''}"
    if isinstance(device, Mapping):
        device = device.get("kind", device.get("platform"))
    jax = versions.get("jax") if isinstance(versions, Mapping) else None
    return [
        run.folder,
        *("–" if value is None else value for value in (result.get("seed"), git, device, jax)),
    ]


def results_csv(rows: Sequence[Row]) -> str:
    """One line per run, what the main table shows."""
    header = [
        "env", "algorithm", "seeds", "env_steps", "iqm", "iqm_low", "iqm_high", "mean", "median",
        "normalised_iqm", "normalised_low", "normalised_high",
        "steps_per_second", "compile_seconds", "run_seconds", "folder",
    ]  # fmt: skip
    lines = []
    for row in rows:
        timing = [row.run.result.get(field) for field in header[12:15]]
        normalised = row.normalised or (None, None, None)
        count, steps = len(row.run.returns), row.run.env_steps
        lines.append(
            [
                row.run.task,
                row.label,
                count,
                steps,
                *row.iqm,
                row.mean,
                row.median,
                *normalised,
                *timing,
                row.run.folder,
            ]
        )
    return csv_text(header, lines)


def returns_csv(rows: Sequence[Row]) -> str:
    """One line per seed: its final return and normalised score."""
    lines = []
    for row in rows:
        scale = SCALES.get(row.run.task)
        for index, value in enumerate(row.run.returns):
            lines.append([row.run.task, row.label, index, value, scale(value) if scale else None])
    return csv_text(["env", "algorithm", "run", "eval_return", "normalised"], lines)


def csv_text(header: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    """Full precision; an empty cell where there is no number."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for line in lines:
        writer.writerow(["" if cell is None or cell != cell else cell for cell in line])
    return text.getvalue()


def markdown_table(header: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    """A Markdown table."""
    cells = [[str(cell).replace("|", "\\|") for cell in line] for line in lines]
    rule = "|" + "---|" * len(header)
    return "\n".join([f"| {' | '.join(header)} |", rule, *(f"| {' | '.join(line)} |" for line in cells)])


def _image(title: str, name: str) -> str:
    return f"![{title}]({name})"


def _number(value: Any) -> str:
    if not isinstance(value, int | float) or not np.isfinite(value):
        return "–"
    size = abs(value)
    return f"{value:,.0f}" if size >= 1000 else f"{value:.1f}" if size >= 100 else f"{value:#.3g}"


def _bounds(estimate: Estimate) -> str:
    if not np.isfinite([estimate.low, estimate.high]).all():
        return "–"
    return f"[{_number(estimate.low)}, {_number(estimate.high)}]"


def with_bounds(estimate: Estimate | None) -> str:
    """A value and its interval, as far as they are there."""
    return "–" if estimate is None else f"{_number(estimate.value)} {_bounds(estimate)}".removesuffix(" –")
