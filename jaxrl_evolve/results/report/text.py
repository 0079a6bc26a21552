"""A comparison as text: Markdown for people, CSV for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl_evolve.results.report.compare import Comparison, Row
from jaxrl_evolve.results.report.meta import MetaRow
from jaxrl_evolve.results.report.place import TITLE
from jaxrl_evolve.results.scores import SCALES
from jaxrl_evolve.results.statistics import ENOUGH, FEWEST, Estimate, caution


def markdown(
    comparison: Comparison,
    metas: Sequence[MetaRow],
    notes: Sequence[str],
    drawn: Sequence[str],
    resamples: int,
    more: str = "",
    others: Sequence[tuple[Path, Mapping[str, Any]]] = (),
) -> str:
    """The whole report.

    Args:
        comparison: the numbers of training runs.
        metas: meta-trainings.
        notes: sentences to print.
        drawn: names of the figures that exist beside it.
        resamples: of the bootstrap, to be told.
        more: a section of the caller's, behind the comparisons.
        others: folders of other kinds that are told of there, and their ``result.json``.
    """
    rows = comparison.rows
    parts = [
        TITLE,
        f"Intervals are 95 % percentile bootstrap intervals over seeds ({resamples:,} resamples), stratified by "
        f"environment where several are pooled. Below {FEWEST} seeds there is none, below {ENOUGH} it is too narrow.",
    ]
    if rows:
        parts += _final_returns(rows)
    if "learning_curves.png" in drawn:
        parts += ["## Learning curves", image("Learning curves", "learning_curves.png")]
    parts += _across(comparison)
    parts += [more] * bool(more)
    if metas:
        parts += _meta_trainings(metas)
    if notes:
        parts += ["## Notes", "\n".join(f"- {note}" for note in notes)]
    scales = {row.run.task: SCALES[row.run.task] for row in rows if row.run.task in SCALES}
    if scales:
        parts += [
            "## Normalisation",
            markdown_table(
                ["Environment", "0", "1", "Reference", "Source"],
                [[t, number(s.random), number(s.reference), s.meaning, s.source] for t, s in scales.items()],
            ),
        ]
    origins = [_origin(run.folder, run.result) for row in rows for run in row.run.parts or (row.run,)]
    origins += [_origin(row.folder, row.result) for row in metas]
    origins += [_origin(folder, result) for folder, result in others]
    parts += [
        "## Runs",
        markdown_table(["Folder", "Seed", "Git", "Device", "jax"], dict.fromkeys(map(tuple, origins))),
    ]
    return "\n\n".join(parts) + "\n"


def _final_returns(rows: Sequence[Row]) -> list[str]:
    timings = ("steps_per_second", "compile_seconds", "run_seconds")
    return [
        "## Final returns",
        "Those of `result.json`: whole evaluation episodes after training, one number per seed.",
        markdown_table(
            ["Environment", "Algorithm", "Seeds", "Steps per seed", "IQM", "95 % interval", "Mean", "Median",
             "Normalised IQM", "Steps/s", "Compile s", "Run s"],
            [
                [
                    row.run.task, _marked(row), len(row.run.returns), f"{row.run.env_steps:,}",
                    number(row.iqm.value), _interval(row.iqm, len(row.run.returns)), number(row.mean),
                    number(row.median), with_bounds(row.normalised),
                    *(number(row.run.result.get(f)) for f in timings),
                ]
                for row in rows
            ],
        ),
        image("Final returns", "final_returns.png"),
    ]  # fmt: skip


def _marked(row: Row) -> str:
    return f"{row.label} ({row.run.marks})" if row.run.marks else row.label


def _across(comparison: Comparison) -> list[str]:
    """What is said of several environments, and of pairs of algorithms."""
    aggregates, improvement, parts = comparison.aggregates, comparison.improvement, list[str]()
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
            image("Aggregates", "aggregates.png"),
        ]
    if improvement:
        parts += [
            "## Probability of improvement",
            markdown_table(
                ["Pair", "P"], [[f"{x} over {y}", with_bounds(p)] for (x, y), p in improvement.items()]
            ),
            image("Probability of improvement", "probability_of_improvement.png"),
        ]
    return parts


def _meta_trainings(rows: Sequence[MetaRow]) -> list[str]:
    whole = lambda x: "–" if x is None else f"{x:,}"
    return [
        "## Meta-trainings",
        "Held-out fitness of the last test, one number per meta-seed.",
        markdown_table(
            ["Environment", "Objective", "Meta-seeds", "Generations", "Environment steps", "IQM", "95 % interval", "Of"],
            [
                [
                    row.task, row.label, len(row.fitness), whole(row.generations), whole(row.env_steps),
                    number(row.iqm.value), _interval(row.iqm, len(row.fitness)), row.measure,
                ]
                for row in rows
            ],
        ),
    ]  # fmt: skip


def _origin(folder: Path, result: Mapping[str, Any]) -> list[Any]:
    git, device, versions = (result.get(name) for name in ("git", "device", "versions"))
    if isinstance(git, Mapping):
        git = f"{str(git.get('commit', '–'))[:10]}{' (changed)' if git.get('dirty') else ''}"
    if isinstance(device, Mapping):
        device = device.get("kind", device.get("platform"))
    jax = versions.get("jax") if isinstance(versions, Mapping) else None
    return [
        folder,
        *("–" if value is None else value for value in (result.get("seed"), git, device, jax)),
    ]


def results_csv(rows: Sequence[Row]) -> str:
    """One line per run, what the main table shows."""
    header = [
        "env", "algorithm", "seeds", "env_steps", "iqm", "iqm_low", "iqm_high", "mean", "median",
        "normalised_iqm", "normalised_low", "normalised_high",
        "steps_per_second", "compile_seconds", "run_seconds", "folder", "settings",
        "extended_after", "start",
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
                _settings(row.run.settings),
                json.dumps(row.run.extended) if row.run.extended else "",
                row.run.start,
            ]
        )
    return csv_text(header, lines)


def meta_csv(rows: Sequence[MetaRow]) -> str:
    """One line per meta-training, or point of a sweep of them: what their table shows."""
    header = [
        "env",
        "objective",
        "meta_seeds",
        "generations",
        "env_steps",
        "measure",
        "iqm",
        "iqm_low",
        "iqm_high",
    ]
    lines = []
    for r in rows:
        facts = [r.task, r.label, len(r.fitness), r.generations, r.env_steps, r.measure]
        lines.append([*facts, *r.iqm, r.folder, _settings(r.settings)])
    return csv_text([*header, "folder", "settings"], lines)


def _settings(settings: Mapping[str, Any]) -> str:
    """Of a point of a sweep, as JSON; empty for a run of its own."""
    return json.dumps(settings) if settings else ""


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


def image(title: str, name: str) -> str:
    """A figure beside the report, in Markdown."""
    return f"![{title}]({name})"


def number(value: Any) -> str:
    """A number with three digits or more, a dash for what is none."""
    if not isinstance(value, int | float) or not np.isfinite(value):
        return "–"
    size = abs(value)
    return f"{value:,.0f}" if size >= 1000 else f"{value:.1f}" if size >= 100 else f"{value:#.3g}"


def _bounds(estimate: Estimate) -> str:
    if not np.isfinite([estimate.low, estimate.high]).all():
        return "–"
    return f"[{number(estimate.low)}, {number(estimate.high)}]"


def _interval(estimate: Estimate, runs: int) -> str:
    """An interval, or that there is none, and whether there are too few runs for it."""
    if runs < FEWEST:
        return "none"
    return f"{_bounds(estimate)}{' (too narrow)' if caution(runs) else ''}"


def with_bounds(estimate: Estimate | None) -> str:
    """A value and its interval, as far as they are there."""
    return "–" if estimate is None else f"{number(estimate.value)} {_bounds(estimate)}".removesuffix(" –")
