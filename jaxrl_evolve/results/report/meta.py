"""Meta-trainings in a report: what their held-out fitness came to, over meta-seeds where there are several."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl_evolve.results import statistics
from jaxrl_evolve.results.fitness import fitness_label, mean_fitness, reachable
from jaxrl_evolve.results.report.compare import told
from jaxrl_evolve.results.report.runs import ReportError, numbers, read_object
from jaxrl_evolve.results.scores import task_name
from jaxrl_evolve.results.statistics import Estimate
from jaxrl_evolve.storage import kinds


@dataclasses.dataclass(frozen=True)
class MetaRow:
    """A meta-training, or the meta-seeds of a point of a sweep of them.

    Attributes:
        label: the objective, with a point's settings.
        folder: where it lies.
        task: the environment with its options.
        fitness: held-out fitness of each meta-seed, float64 ``[meta-seeds]``; NaN where a run failed.
        measure: what the fitness is.
        iqm: of the fitness, with its interval.
        generations: made, if that is known.
        env_steps: of all agents of a meta-seed together, if that is known.
        settings: of a point of a sweep.
        result: all of ``result.json``.
    """

    label: str
    folder: Path
    task: str
    fitness: np.ndarray
    measure: str
    iqm: Estimate
    generations: int | None
    env_steps: int | None
    settings: Mapping[str, Any]
    result: Mapping[str, Any]


def read_meta_training(folder: Path, name: str, options: Mapping[str, Any]) -> MetaRow:
    """A finished meta-training.

    Args:
        folder: its run folder.
        name: what to call it instead of its objective.
        options: of the bootstrap.

    Raises:
        ReportError: a file is damaged, or lacks a field.
    """
    result, config = (read_object(folder / file) for file in ("result.json", kinds.RUN))
    _check(folder, result, ("objective", "env", "test_fitness"))
    for field in ("test_fitness", "test_optimum"):
        if result.get(field) is not None and numbers(result[field]) is None:
            raise ReportError(f"{folder / 'result.json'}: {field} must be a list of numbers (or nulls)")
    optimum = bool(reachable(result).any())
    fitness = np.array([mean_fitness(result, optimum)])
    task = task_name(result["env"], **(config.get("env_options") or {}))
    steps = result.get("generations"), result.get("env_steps")
    label = name or result["objective"]
    return MetaRow(
        label, folder, task, fitness, fitness_label(optimum), _iqm(fitness, options), *steps, {}, result
    )


def read_meta_sweep(folder: Path, name: str, options: Mapping[str, Any]) -> list[MetaRow]:
    """The points of a finished sweep of meta-trainings, best first; arguments and errors as of `read_meta_training`."""
    result, plan = (read_object(folder / file) for file in ("result.json", kinds.SWEEP))
    _check(folder, result, ("objective", "env", "points", "measure"))
    config = plan.get("config") or {}
    task = task_name(result["env"], **(result.get("env_options") or {}))
    rows = []
    for point in result["points"]:
        fitness = numbers(point.get("test_fitness")) if isinstance(point, dict) else None
        if fitness is None or not fitness.size:
            raise ReportError(
                f"{folder / 'result.json'}: test_fitness of each point must be a list with one number (or null) per "
                "meta-seed"
            )
        settings = point.get("settings") or {}
        label = f"{name or result['objective']} {told(settings)}".strip()
        generations = settings.get("generations", config.get("generations"))
        facts = result["measure"], _iqm(fitness, options), generations, point.get("env_steps")
        rows.append(MetaRow(label, folder, task, fitness, *facts, settings, result))
    return sorted(rows, key=lambda row: -row.iqm.value if np.isfinite(row.iqm.value) else np.inf)


def meta_notes(rows: Sequence[MetaRow]) -> list[str]:
    """What a reader must know of them."""
    notes = []
    for row in rows:
        if lost := np.count_nonzero(~np.isfinite(row.fitness)):
            notes.append(
                f"{row.label} on {row.task}: {lost} of {len(row.fitness)} meta-trainings were lost and count as the "
                "worst of the others."
            )
    few = {statistics.caution(len(row.fitness), "meta-seed") for row in rows} - {""}
    return [*notes, *(f"{caution[0].upper()}{caution[1:]}." for caution in sorted(few))]


def _check(folder: Path, result: Mapping[str, Any], fields: Sequence[str]) -> None:
    for field in fields:
        if field not in result:
            raise ReportError(f"{folder / 'result.json'} lacks the field {field!r}")


def _iqm(fitness: np.ndarray, options: Mapping[str, Any]) -> Estimate:
    if not np.isfinite(fitness).any():
        return Estimate(float("nan"), float("nan"), float("nan"))
    return statistics.estimate(fitness, statistics.iqm, non_finite="worst", **options)
