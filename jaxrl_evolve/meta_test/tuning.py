"""Which hyperparameters a baseline gets: those that do best on tasks which are never reported."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from jaxrl_evolve.results import statistics


@dataclasses.dataclass(frozen=True)
class Tuning:
    """A choice and what it was made of.

    Attributes:
        learning_rates: of the candidates, float64 ``[C]``.
        entropy_coefs: likewise.
        scores: IQM over validation tasks (and meta-seeds), float64 ``[C, H]``; NaN where nothing was tuned.
        chosen: index of the candidate at each horizon, int64 ``[H]``.
    """

    learning_rates: np.ndarray
    entropy_coefs: np.ndarray
    scores: np.ndarray
    chosen: np.ndarray

    @property
    def at_the_edge(self) -> bool:
        """Whether a chosen step size is the smallest or largest candidate, so that others may do better."""
        rates = self.learning_rates
        if len(np.unique(rates)) < 2:
            return False
        return bool(np.isin(rates[self.chosen], [rates.min(), rates.max()]).any())


def choose(candidates: list[Any], scores: np.ndarray, per_horizon: bool) -> Tuning:
    """The best candidates.

    Args:
        candidates: hyperparameters ``[C]``.
        scores: on validation tasks, ``[C, M, S, H]``; NaN (an agent that diverged) is the worst of all.
        per_horizon: choose at each horizon; else one for all, by the mean over them.
    """
    worst = np.nanmin(scores) if np.isfinite(scores).any() else 0.0
    filled = np.where(np.isfinite(scores), scores, worst)
    count, horizons = len(candidates), scores.shape[-1]
    # Horizons lead: the statistic pools what follows.
    judged = np.moveaxis(filled, -1, 1).reshape(count, horizons, -1, 1)
    values = np.asarray(statistics.iqm(judged))
    best = values.argmax(0) if per_horizon else np.full(horizons, values.mean(1).argmax())
    return Tuning(*_grid(candidates), values, best)


def untuned(hp: Any, horizons: int) -> Tuning:
    """The preset, without a choice."""
    return Tuning(*_grid([hp]), np.full((1, horizons), np.nan), np.zeros(horizons, np.int64))


def _grid(candidates: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    columns = ("learning_rate", "entropy_coef")
    rates, coefs = (np.asarray([getattr(hp, name) for hp in candidates], np.float64) for name in columns)
    return rates, coefs
