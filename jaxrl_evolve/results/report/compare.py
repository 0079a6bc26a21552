"""Runs compared: statistics per task, normalised aggregates, probability of improvement."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxrl_evolve.results import statistics
from jaxrl_evolve.results.report.runs import ReportError, Run
from jaxrl_evolve.results.scores import SCALES
from jaxrl_evolve.results.statistics import Aggregate, Estimate

_MAX_PAIRS = 15  # beyond these, everything is compared with the first algorithm only
_LISTED = 5  # names in a note


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the main table: an algorithm, or a point of a sweep, on a task.

    Attributes:
        label: its name, made unique where several runs share one: by a point's settings, else by the folder.
        run: where the numbers come from.
        mean: over seeds.
        median: over seeds.
        iqm: over seeds, with its interval.
        normalised: IQM of normalised scores with its interval, None without constants for the task.
    """

    label: str
    run: Run
    mean: float
    median: float
    iqm: Estimate
    normalised: Estimate | None


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Runs compared.

    Attributes:
        rows: one per run, tasks together; points of sweeps after all others, best first.
        aggregates: by label, normalised scores over the tasks that all labels share; empty unless there
            are at least two such tasks.
        improvement: ``{(x, y): P(x > y)}`` over the tasks that both have.
        notes: what a reader must know to read the numbers rightly.
    """

    rows: tuple[Row, ...]
    aggregates: Mapping[str, Aggregate]
    improvement: Mapping[tuple[str, str], Estimate]
    notes: tuple[str, ...]


def compare(runs: Sequence[Run], *, resamples: int = 10_000, seed: int = 0) -> Comparison:
    """Every statistic of a report, from final returns alone.

    Args:
        runs: their names are those given to them, or their algorithms'.
        resamples: bootstrap resamples for each interval.
        seed: of the bootstrap.

    Returns:
        The `Comparison`.

    Raises:
        ReportError: if two runs on one task cannot be told apart.
    """
    named = _labelled(runs)
    options = {"resamples": resamples, "seed": seed, "non_finite": "worst"}
    tasks = list(dict.fromkeys(run.task for run in runs))
    rows = []
    for task in tasks:
        of_task = [_row(label, run, options) for label, run in named if run.task == task]
        rows += sorted(of_task, key=lambda row: (1, -row.iqm.value) if row.run.settings else (0, 0.0))
    aggregates, about_aggregates = _aggregates(rows, options)
    improvement, about_improvement = _improvement(rows, options)
    notes = dict.fromkeys([*_notes(rows), *about_aggregates, *about_improvement])
    return Comparison(tuple(rows), aggregates, improvement, tuple(notes))


def told(settings: Mapping[str, Any]) -> str:
    """Settings as a label has them: last part of the name, and value."""
    return ", ".join(f"{name.rpartition('.')[2]}={value}" for name, value in settings.items())


def _labelled(runs: Sequence[Run]) -> list[tuple[str, Run]]:
    """A label for each run, unique within its task."""
    names = [f"{run.name or run.algorithm} {told(run.settings)}".strip() for run in runs]
    shared = Counter((run.task, name) for run, name in zip(runs, names, strict=True))
    crowded = {name for (_, name), count in shared.items() if count > 1}
    if not crowded:
        return list(zip(names, runs, strict=True))
    paths = [run.folder.absolute().parts for run in runs]
    for depth in range(1, max(map(len, paths))):  # as much of the path as tells them apart
        labels = [
            f"{name} ({'/'.join(path[-depth:])})" if name in crowded else name
            for name, path in zip(names, paths, strict=True)
        ]
        if len({(run.task, label) for run, label in zip(runs, labels, strict=True)}) == len(runs):
            return list(zip(labels, runs, strict=True))
    raise ReportError(f"several points of {runs[0].folder} have the same settings")


def _row(label: str, run: Run, options: Mapping[str, Any]) -> Row:
    returns = statistics.clean(run.returns, "worst")
    scale = SCALES.get(run.task)
    return Row(
        label,
        run,
        statistics.mean(returns),
        statistics.median(returns),
        statistics.estimate(returns, statistics.iqm, **options),
        statistics.estimate(scale(returns), statistics.iqm, **options) if scale else None,
    )


def _notes(rows: Sequence[Row]) -> list[str]:
    notes = []
    for row in rows:
        diverged = np.count_nonzero(~np.isfinite(row.run.returns))
        if diverged:
            notes.append(
                f"{row.label} on {row.run.task}: {diverged} of {len(row.run.returns)} seeds diverged and count "
                "as the worst of the others."
            )
    few: dict[str, list[str]] = {}
    for row in rows:
        if caution := statistics.caution(len(row.run.returns)):
            few.setdefault(caution, []).append(f"{row.label} on {row.run.task}")
    notes += [f"{caution[0].upper()}{caution[1:]}: {_listed(of)}." for caution, of in few.items()]
    notes += _about_origins(rows)
    notes += _about_asked(rows)
    if any(row.run.settings for row in rows):
        notes.append(
            "The best of a sweep's points is partly luck: before it is reported it must be trained again with other "
            "seeds."
        )
    for task in dict.fromkeys(row.run.task for row in rows):
        steps = {row.label: row.run.env_steps for row in rows if row.run.task == task}
        if len(set(steps.values())) > 1:
            lengths = _listed([f"{label} {count:,}" for label, count in steps.items()])
            notes.append(f"Training lengths differ on {task}: {lengths} steps per seed.")
    return notes


def _about_origins(rows: Sequence[Row]) -> list[str]:
    """That some runs are not what their number of steps says: they had other horizons before, or learned elsewhere."""
    extended: dict[str, list[str]] = {}
    started: dict[str, list[str]] = {}
    for row in rows:
        name = f"{row.label} on {row.run.task}"
        if row.run.extended:
            ends = " and ".join(f"{steps:,}" for steps in row.run.extended)
            extended.setdefault(f"after {ends} steps, to {row.run.env_steps:,}", []).append(name)
        if row.run.start:
            started.setdefault(row.run.start, []).append(name)
    return [
        *(
            f"{_listed(names)}: extended {when}; schedules had come to their end before, so this is not a run of so many "
            "steps from the beginning, and no equal of one."
            for when, names in extended.items()
        ),
        *(
            f"{_listed(names)}: started from the trained weights of {start}, whose training is not in the steps; no "
            "equal of a run that started from new ones."
            for start, names in started.items()
        ),
    ]


def _about_asked(rows: Sequence[Row]) -> list[str]:
    """That runs of one name are of different objectives or curricula, or that some were evaluated otherwise than others."""
    notes = []
    for label in dict.fromkeys(row.label for row in rows):
        of_label = [row for row in rows if row.label == label]
        for name in ("objective", "curriculum", "evaluation mode"):
            if told := _differing(name, [(row.run.task, row) for row in of_label]):
                notes.append(
                    f"{label} is not the same on all environments: its {name} differs ({told}), so what is said of it across "
                    "them is of no one method."
                )
    for task in dict.fromkeys(row.run.task for row in rows):
        of_task = [(row.label, row) for row in rows if row.run.task == task]
        if told := _differing("evaluation mode", of_task):
            notes.append(f"Evaluations differ on {task}: {told}.")
    return notes


def _differing(name: str, rows: Sequence[tuple[str, Row]]) -> str:
    """What a setting is for whom, or nothing if it is the same for all that tell it."""
    values: dict[str, list[str]] = {}
    for who, row in rows:
        if name in row.run.asked:
            values.setdefault(row.run.asked[name], []).append(who)
    if len(values) < 2:
        return ""
    return "; ".join(f"{value}: {_listed(who)}" for value, who in values.items())


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def _aggregates(rows: Sequence[Row], options: Mapping[str, Any]) -> tuple[dict[str, Aggregate], list[str]]:
    """Normalised aggregates over the tasks that every label has and that have a scale."""
    labels = list(dict.fromkeys(row.label for row in rows))
    tasks = [t for t in _shared_tasks(rows, labels) if t in SCALES]
    if len(tasks) < 2:
        several = any(len(_scaled_tasks(rows, label)) > 1 for label in labels)
        about = f"Nothing is said across environments: of those with a scale {_listed(labels)} share {len(tasks) or 'none'}."
        return {}, [about] * several
    notes, found = [], {}
    for label in labels:
        scores, note = _matrix(rows, label, tasks, normalised=True)
        found[label] = statistics.aggregate(scores, **options)
        notes += note
    return found, notes


def _improvement(
    rows: Sequence[Row], options: Mapping[str, Any]
) -> tuple[dict[tuple[str, str], Estimate], list[str]]:
    labels = list(dict.fromkeys(row.label for row in rows))
    notes = []
    pairs = [pair for pair in itertools.combinations(labels, 2) if _shared_tasks(rows, pair)]
    if len(pairs) > _MAX_PAIRS:
        pairs = [pair for pair in pairs if pair[0] == labels[0]]
        notes.append(
            f"Probabilities of improvement are given against {labels[0]} only: there are too many pairs."
        )
    found = {}
    for x, y in pairs:
        tasks = _shared_tasks(rows, (x, y))
        sides = [_matrix(rows, label, tasks, normalised=False) for label in (x, y)]
        if max(len(scores) for scores, _ in sides) < 2:  # it would be 0 or 1
            notes.append(f"{x} and {y} have a seed each, which says nothing of how often one is better.")
            continue
        found[x, y] = statistics.probability_of_improvement(sides[0][0], sides[1][0], **options)
        notes += [note for _, side in sides for note in side if note not in notes]
    return found, notes


def _shared_tasks(rows: Sequence[Row], labels: Sequence[str]) -> list[str]:
    have = {label: {row.run.task for row in rows if row.label == label} for label in labels}
    every = dict.fromkeys(row.run.task for row in rows)
    return [task for task in every if all(task in tasks for tasks in have.values())]


def _scaled_tasks(rows: Sequence[Row], label: str) -> list[str]:
    return [row.run.task for row in rows if row.label == label and row.run.task in SCALES]


def _matrix(
    rows: Sequence[Row], label: str, tasks: Sequence[str], normalised: bool
) -> tuple[np.ndarray, list[str]]:
    """Returns or scores of one label, ``[runs, tasks]``, cut to the seeds that every task has.

    Before it is cut, the worst of all seeds of a task stands in for scores of those that diverged: of the others there may be none
    among the first. Returns of these stay NaN, which lose to all.
    """
    columns = [next(r.run.returns for r in rows if r.label == label and r.run.task == task) for task in tasks]
    runs = min(map(len, columns))
    notes = []
    if any(len(column) > runs for column in columns):
        notes.append(
            f"Across environments only the first {runs} seeds of {label} are used: some have no more."
        )
    if normalised:
        scales = [SCALES[task] for task in tasks]
        columns = [
            statistics.clean(scale(x), "worst")[:, 0] for scale, x in zip(scales, columns, strict=True)
        ]
    return np.stack([column[:runs] for column in columns], axis=1), notes
