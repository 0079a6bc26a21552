"""Statistics over runs: point estimates, stratified bootstrap intervals, probability of improvement.

The estimators of Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical
Precipice" (arXiv 2108.13264). Scores are ``[runs]`` for one task or ``[runs, tasks]``; runs differ only
by seed. NumPy and scipy, no jax.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from jaxrl_evolve.results.resampling import check_settings, chunks, clean, interval

Statistic = Callable[[np.ndarray], Any]

FEWEST = 3
"""Runs below which there is no interval: resampling two finds nothing but these two."""
ENOUGH = 5
"""Runs below which an interval is told to be too narrow: resampling n runs makes it so by about sqrt(1 - 1 / n)."""


class Estimate(NamedTuple):
    """A value with a confidence interval; the bounds are NaN where there are too few runs for one (`FEWEST`)."""

    value: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Aggregate:
    """The four aggregates of one algorithm, with intervals.

    Attributes:
        mean: over runs and tasks.
        median: of the tasks' means.
        iqm: over runs and tasks.
        optimality_gap: over runs and tasks.
        runs: how many runs of each task there are.
        tasks: how many tasks there are.
    """

    mean: Estimate
    median: Estimate
    iqm: Estimate
    optimality_gap: Estimate
    runs: int
    tasks: int


def caution(runs: int, of: str = "seed") -> str:
    """What must be said beside an interval over so many runs, as a clause; empty where nothing must.

    Args:
        runs: how many there are.
        of: what one of them is called.
    """
    if runs < 2:
        return f"a single {of} has no interval"
    if runs < FEWEST:
        return f"{runs} {of}s are too few for an interval"
    return f"an interval from {runs} {of}s is too narrow" if runs < ENOUGH else ""


def mean(scores: ArrayLike) -> Any:
    """Mean over runs and tasks.

    Like `median`, `iqm` and `optimality_gap` it maps ``[runs]`` or ``[runs, tasks]`` to a number and
    ``[..., runs, tasks]`` to ``[...]``; the leading axes are batch axes, such as bootstrap resamples.
    """
    return _result(_tasks_last(scores).mean((-2, -1)))


def median(scores: ArrayLike) -> Any:
    """Median over tasks of each task's mean over runs; with one task, the median over its runs."""
    array = _tasks_last(scores)
    if array.shape[-1] == 1:
        return _result(np.median(array[..., 0], axis=-1))
    return _result(np.median(array.mean(-2), axis=-1))


def iqm(scores: ArrayLike) -> Any:
    """Interquartile mean over runs and tasks together: a quarter of the scores is cut at each end.

    As in `scipy.stats.trim_mean`, the number cut is rounded down.
    """
    array = _tasks_last(scores)
    return _result(stats.trim_mean(array.reshape(*array.shape[:-2], -1), 0.25, axis=-1))


def optimality_gap(scores: ArrayLike, gamma: float = 1.0) -> Any:
    """How far the scores fall short of ``gamma`` on average; scores above it count as ``gamma``.

    Only meaningful for normalised scores. Lower is better.
    """
    return _result(gamma - np.minimum(_tasks_last(scores), gamma).mean((-2, -1)))


def stratified_bootstrap(
    scores: ArrayLike,
    statistic: Statistic = iqm,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    non_finite: str = "error",
) -> tuple[float, float]:
    """Percentile bootstrap interval, resampling runs within each task independently.

    Args:
        scores: ``[runs]`` or ``[runs, tasks]``.
        statistic: maps ``[..., runs, tasks]`` to ``[...]``, like those of this module.
        confidence: coverage, between 0 and 1.
        resamples: number of bootstrap resamples.
        seed: of the resampling; the same seed gives the same interval.
        non_finite: ``"error"`` refuses NaN and infinite scores; ``"worst"`` counts such a run as the
            worst finite one of its task (a diverged seed must not improve an average by its absence).

    Returns:
        ``(low, high)``; both NaN with fewer than `FEWEST` runs.

    Raises:
        ValueError: for scores of another shape, empty or non-finite ones, or settings out of range.
    """
    check_settings(confidence, resamples)
    array = clean(scores, non_finite)
    runs, tasks = array.shape
    if runs < FEWEST:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    samples = []
    for size in chunks(resamples, runs * tasks):
        index = rng.integers(0, runs, (size, runs, tasks))
        samples.append(statistic(np.take_along_axis(array[None], index, axis=1)))
    return interval(np.concatenate(samples), confidence)


def estimate(scores: ArrayLike, statistic: Statistic = iqm, **options: Any) -> Estimate:
    """A statistic with its interval; ``options`` are those of `stratified_bootstrap`."""
    array = clean(scores, options.get("non_finite", "error"))
    return Estimate(float(statistic(array)), *stratified_bootstrap(array, statistic, **options))


def mean_of_pairs(differences: ArrayLike, confidence: float = 0.95) -> Estimate:
    """Mean of independent numbers, such as differences of two methods on the same seeds, with Student's interval.

    It holds for normal numbers however few; of a handful, resampling makes intervals that are too narrow.

    Args:
        differences: ``[pairs]``.
        confidence: of the interval, between 0 and 1.

    Raises:
        ValueError: there are none, not in one row, or not finite.
    """
    pairs = np.asarray(differences, np.float64)
    if pairs.ndim != 1 or not pairs.size or not np.isfinite(pairs).all():
        raise ValueError(f"differences is {pairs}; it must be a row of at least one finite number")
    middle = float(pairs.mean())
    if pairs.size < FEWEST:
        return Estimate(middle, float("nan"), float("nan"))
    half = float(stats.t.ppf(0.5 + confidence / 2, pairs.size - 1) * stats.sem(pairs))
    return Estimate(middle, middle - half, middle + half)


def aggregate(scores: ArrayLike, gamma: float = 1.0, **options: Any) -> Aggregate:
    """All four aggregates; ``options`` are those of `stratified_bootstrap`, ``gamma`` the optimality gap's."""
    array = clean(scores, options.get("non_finite", "error"))
    gap = lambda x: optimality_gap(x, gamma)
    values = [estimate(array, statistic, **options) for statistic in (mean, median, iqm, gap)]
    return Aggregate(*values, runs=array.shape[0], tasks=array.shape[1])


def probability_of_improvement(
    x: ArrayLike,
    y: ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    non_finite: str = "error",
) -> Estimate:
    """Probability that a run of ``x`` beats a run of ``y`` on a task, averaged over tasks.

    Per task the Mann-Whitney U statistic over the number of pairs (ties count half); the interval
    resamples the runs of both within each task.

    Args:
        x: ``[runs]`` or ``[runs, tasks]``.
        y: likewise, the same tasks in the same order; the number of runs may differ.
        confidence: coverage, between 0 and 1.
        resamples: number of bootstrap resamples.
        seed: of the resampling.
        non_finite: as in `stratified_bootstrap`; with ``"worst"`` such a run loses to every finite one.

    Returns:
        An `Estimate`; its bounds are NaN if either side has fewer than `FEWEST` runs.

    Raises:
        ValueError: as in `stratified_bootstrap`, and if the tasks differ in number.
    """
    check_settings(confidence, resamples)
    ours, theirs = (clean(scores, non_finite, worst=-np.inf) for scores in (x, y))
    if ours.shape[1] != theirs.shape[1]:
        raise ValueError(f"x has {ours.shape[1]} tasks, y has {theirs.shape[1]}; both need the same tasks")
    # wins[k, i, j]: on task k, does run i of x beat run j of y? Resampling reweights rows and columns.
    a, b = ours.T[:, :, None], theirs.T[:, None, :]
    wins = (a > b) + 0.5 * (a == b)
    value = float(wins.mean())
    (runs, tasks), others = ours.shape, theirs.shape[0]
    if min(runs, others) < FEWEST:
        return Estimate(value, float("nan"), float("nan"))
    rng = np.random.default_rng(seed)
    samples = []
    for size in chunks(resamples, (runs + others) * tasks):
        rows = rng.multinomial(runs, np.full(runs, 1 / runs), (size, tasks)) / runs
        columns = rng.multinomial(others, np.full(others, 1 / others), (size, tasks)) / others
        samples.append(np.einsum("bki,kij,bkj->b", rows, wins, columns, optimize=True) / tasks)
    return Estimate(value, *interval(np.concatenate(samples), confidence))


def bootstrap_curve(
    curves: ArrayLike,
    statistic: Statistic = iqm,
    *,
    confidence: float = 0.95,
    resamples: int = 2_000,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A statistic over runs at each point of a learning curve, with a pointwise interval.

    Args:
        curves: ``[runs, points]``; NaN where a run has no value yet. Each point uses the runs that do.
        statistic: as in `stratified_bootstrap`.
        confidence: coverage, between 0 and 1.
        resamples: number of bootstrap resamples at each point.
        seed: of the resampling.

    Returns:
        ``(value, low, high)``, each float64 ``[points]``; NaN where no run (for the bounds: fewer than
        `FEWEST`) has a value.

    Raises:
        ValueError: for another shape or settings out of range.
    """
    check_settings(confidence, resamples)
    array = np.asarray(curves, np.float64)
    if array.ndim != 2 or array.shape[0] == 0:
        raise ValueError(
            f"curves have shape {array.shape}; they must be [runs, points] with at least one run"
        )
    value, low, high = np.full((3, array.shape[1]), np.nan)
    for point, column in enumerate(array.T):
        present = column[np.isfinite(column)]
        if present.size:
            value[point] = statistic(present[:, None])
            low[point], high[point] = stratified_bootstrap(
                present, statistic, confidence=confidence, resamples=resamples, seed=seed
            )
    return value, low, high


def _tasks_last(scores: ArrayLike) -> np.ndarray:
    array = np.asarray(scores, np.float64)
    return array[:, None] if array.ndim == 1 else array


def _result(values: Any) -> Any:
    return float(values) if np.ndim(values) == 0 else values
