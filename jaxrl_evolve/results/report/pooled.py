"""Runs of the same settings with other root seeds as one run of all their seeds."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl_evolve.results.report.runs import Run

_TIMINGS = ("compile_seconds", "run_seconds", "steps_per_second")


def pooled(runs: Sequence[Run]) -> list[Run]:
    """Runs of one name, algorithm, task, settings, number of steps, origin, objective, curriculum and evaluation joined into one of all their seeds, where the first was.

    Returns follow each other in the order of the runs, curves at the steps that all have. Seconds are sums. The folder is the one
    that holds them all, and `Run.parts` has each as it was.
    """
    together: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        alike = (run.name, run.algorithm, run.task, run.env_steps, run.extended, run.start)
        told = repr(dict(run.settings)), repr(dict(run.asked))
        together.setdefault((*alike, *told), []).append(run)
    return [parts[0] if len(parts) == 1 else _joined(parts) for parts in together.values()]


def _joined(parts: Sequence[Run]) -> Run:
    curves = {}
    for kind in parts[0].curves:
        if all(kind in part.curves for part in parts):
            curves[kind] = _joined_curves([part.curves[kind] for part in parts])
    returns = np.concatenate([part.returns for part in parts])
    result = {name: value for name, value in parts[0].result.items() if name not in _TIMINGS}
    for name in _TIMINGS[:2]:
        if all(name in part.result for part in parts):
            result[name] = sum(part.result[name] for part in parts)
    if result.get("run_seconds"):
        result["steps_per_second"] = parts[0].env_steps * returns.size / result["run_seconds"]
    folder = Path(os.path.commonpath([part.folder for part in parts]))
    return dataclasses.replace(
        parts[0], folder=folder, returns=returns, curves=curves, result=result, parts=tuple(parts)
    )


def _joined_curves(curves: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Steps that all have, and the returns of all seeds there."""
    steps = curves[0][0]
    for other, _ in curves[1:]:
        steps = np.intersect1d(steps, other)
    return steps, np.concatenate([values[:, np.isin(at, steps)] for at, values in curves])
