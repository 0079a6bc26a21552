"""Statistics over meta-seeds and the runs of each: a learned objective is one draw of its meta-training, tried in many runs.

The estimators are those of `jaxrl_evolve.results.statistics`; what is resampled has two levels. NumPy, no jax.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from jaxrl_evolve.results.resampling import check_settings, chunks, clean, interval
from jaxrl_evolve.results.statistics import FEWEST, Estimate, Statistic, iqm


def two_level_estimate(
    scores: ArrayLike,
    statistic: Statistic = iqm,
    *,
    shared: bool = True,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    non_finite: str = "error",
) -> Estimate:
    """A statistic over meta-seeds and their runs, with a two-level percentile bootstrap interval.

    Each resample draws meta-seeds with replacement, and runs. Where run ``i`` is the same task with the same
    random numbers under every meta-seed, its luck is shared too, so it is drawn for all meta-seeds together
    (the pigeonhole bootstrap of Owen 2007); otherwise each drawn meta-seed draws runs of its own.

    Args:
        scores: ``[meta-seeds, runs]`` or ``[meta-seeds, runs, tasks]``.
        statistic: maps ``[..., runs, tasks]`` to ``[...]``, given meta-seeds and runs as one axis.
        shared: whether run ``i`` is the same under all meta-seeds.
        confidence: coverage, between 0 and 1.
        resamples: number of bootstrap resamples.
        seed: of the resampling.
        non_finite: as in `jaxrl_evolve.results.statistics.stratified_bootstrap`.

    Returns:
        An `Estimate`. With one meta-seed the interval is over runs alone; with fewer than `FEWEST` runs in all it is NaN.

    Raises:
        ValueError: as in `jaxrl_evolve.results.statistics.stratified_bootstrap`.
    """
    check_settings(confidence, resamples)
    array = _two_levels(scores, non_finite)
    metas, runs, tasks = array.shape
    value = float(statistic(array.reshape(metas * runs, tasks)))
    if metas * runs < FEWEST:
        return Estimate(value, float("nan"), float("nan"))
    rng = np.random.default_rng(seed)
    samples = []
    for size in chunks(resamples, metas * runs * tasks):
        above = rng.integers(0, metas, (size, metas, 1))
        below = rng.integers(0, runs, (size, 1 if shared else metas, runs))
        samples.append(statistic(array[above, below].reshape(size, metas * runs, tasks)))
    return Estimate(value, *interval(np.concatenate(samples), confidence))


def paired_improvement(
    x: ArrayLike,
    y: ArrayLike,
    *,
    same_meta_seeds: bool = False,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    non_finite: str = "error",
) -> Estimate:
    """Probability that ``x`` beats ``y`` on the same run of the same task, averaged over runs and tasks.

    Run ``i`` is the same (level and random numbers) on both sides and under every meta-seed, so only scores of
    the same run are compared, and the interval resamples runs jointly. Ties count half.

    Args:
        x: ``[meta-seeds, runs]`` or ``[meta-seeds, runs, tasks]``.
        y: likewise, the same runs and tasks; the number of meta-seeds may differ.
        same_meta_seeds: whether meta-seed ``i`` is the same on both sides, too (an objective and its ablation):
            then they are compared and resampled in pairs, else each with each.
        confidence: coverage, between 0 and 1.
        resamples: number of bootstrap resamples.
        seed: of the resampling.
        non_finite: as in `probability_of_improvement`.

    Returns:
        An `Estimate`; its bounds are NaN where there are fewer than `FEWEST` pairs to resample.

    Raises:
        ValueError: as in `jaxrl_evolve.results.statistics.stratified_bootstrap`, and if the shapes don't fit each other.
    """
    check_settings(confidence, resamples)
    ours, theirs = (_two_levels(scores, non_finite, worst=-np.inf) for scores in (x, y))
    if ours.shape[1:] != theirs.shape[1:] or (same_meta_seeds and len(ours) != len(theirs)):
        raise ValueError(
            f"x has shape {ours.shape} and y {theirs.shape} as [meta-seeds, runs, tasks]; both need the same "
            f"{'meta-seeds, ' if same_meta_seeds else ''}runs and tasks"
        )
    beaten = lambda a, b: ((a > b) + 0.5 * (a == b)).mean(-1)
    wins = beaten(ours, theirs) if same_meta_seeds else beaten(ours[:, None], theirs[None])
    value = float(wins.mean())
    rng = np.random.default_rng(seed)
    weights = lambda n: rng.multinomial(n, np.full(n, 1 / n), resamples) / n
    runs = weights(wins.shape[-1])
    if same_meta_seeds:
        samples = np.einsum("bi,br,ir->b", weights(len(ours)), runs, wins, optimize=True)
    else:
        rows, columns = weights(len(ours)), weights(len(theirs))
        samples = np.einsum("bi,bj,br,ijr->b", rows, columns, runs, wins, optimize=True)
    if wins.size < FEWEST:
        return Estimate(value, float("nan"), float("nan"))
    return Estimate(value, *interval(samples, confidence))


def _two_levels(scores: ArrayLike, non_finite: str, worst: float | None = None) -> np.ndarray:
    """Finite float64 ``[meta-seeds, runs, tasks]``."""
    array = np.asarray(scores, np.float64)
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.size == 0:
        raise ValueError(
            f"scores have shape {np.shape(scores)}; they must be [meta-seeds, runs] or [meta-seeds, runs, tasks], "
            "not empty"
        )
    return clean(array.reshape(-1, array.shape[-1]), non_finite, worst).reshape(array.shape)
