"""Held-out fitness of meta-trainings as one number a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxrl_evolve.results import statistics


def reachable(summary: Mapping[str, Any]) -> np.ndarray:
    """Which held-out tasks have an optimal return that a fraction can be taken of, bool ``[tasks]``.

    Args:
        summary: the contents of a meta-training's ``result.json``.
    """
    return _numbers(summary, "test_optimum") > 0


def mean_fitness(summary: Mapping[str, Any], optimum: bool) -> float:
    """Mean held-out fitness; an agent that diverged counts as the worst. NaN where there is none.

    Args:
        summary: the contents of a meta-training's ``result.json``.
        optimum: whether as a fraction of the optimal return, over the tasks that have one.
    """
    fitness = _numbers(summary, "test_fitness")
    if optimum and fitness.size:
        within = reachable(summary)
        fitness = fitness[within] / _numbers(summary, "test_optimum")[within]
    if not np.isfinite(fitness).any():
        return float("nan")
    return float(statistics.clean(fitness, "worst").mean())


def fitness_label(optimum: bool) -> str:
    """What `mean_fitness` is called."""
    return "held-out fitness" + (" as a fraction of the optimal return" if optimum else "")


def _numbers(summary: Mapping[str, Any], name: str) -> np.ndarray:
    return np.array(summary.get(name) or (), np.float64)
