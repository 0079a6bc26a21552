"""How often the runs of one method win against those of others, with intervals over the seeds of both sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from jaxrl_evolve.results.resampling import check_settings, chunks, interval
from jaxrl_evolve.results.statistics import FEWEST, Estimate


def mean_of_meetings(
    rates: ArrayLike,
    methods: Sequence[str] | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Estimate:
    """Mean of a matrix of win rates, with a percentile bootstrap interval over runs.

    Who is met is a run as well: runs of both sides are drawn anew, those of each method among themselves. Entries of the matrix are not independent, so
    resampling them one by one would make the interval far too narrow.

    Args:
        rates: ``[runs, others]``, of each run of one method against each run of others.
        methods: what each of the others is a run of; None if all are of one.
        confidence: coverage, between 0 and 1.
        resamples: number of bootstrap resamples.
        seed: of the resampling.

    Returns:
        An `Estimate`; its bounds are NaN if any method, on either side, has fewer than `FEWEST` runs.

    Raises:
        ValueError: rates are not finite or of another shape, there is not one method for each of the others, or a setting is out of range.
    """
    check_settings(confidence, resamples)
    array = np.asarray(rates, np.float64)
    if array.ndim != 2 or not array.size or not np.isfinite(array).all():
        raise ValueError(f"rates have shape {array.shape}; they must be finite numbers, [runs, others]")
    names = ["" for _ in range(array.shape[1])] if methods is None else list(methods)
    if len(names) != array.shape[1]:
        raise ValueError(f"methods has {len(names)} names; there must be one for each of {array.shape[1]}")
    value, runs = float(array.mean()), array.shape[0]
    sides = [[i for i, name in enumerate(names) if name == one] for one in dict.fromkeys(names)]
    if min(runs, *map(len, sides)) < FEWEST:
        return Estimate(value, float("nan"), float("nan"))
    rng = np.random.default_rng(seed)
    draws = lambda n, size: rng.multinomial(n, np.full(n, 1 / n), size)
    samples = []
    for size in chunks(resamples, array.size):
        columns = np.zeros((size, array.shape[1]))
        for side in sides:
            columns[:, side] = draws(len(side), size)
        weighted = np.einsum("bi,ij,bj->b", draws(runs, size), array, columns, optimize=True)
        samples.append(weighted / array.size)
    return Estimate(value, *interval(np.concatenate(samples), confidence))
