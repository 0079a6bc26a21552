"""How often at least one of k tries succeeds, from more than k tries on each task."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def pass_at_k(successes: ArrayLike, tries: int, k: int) -> np.ndarray:
    """Of each task, the probability that one of ``k`` tries succeeds, float64 of the shape of ``successes``.

    ``1 - C(n - c, k) / C(n, k)`` of ``c`` successes in ``n`` tries (Chen et al. 2021, arXiv 2107.03374, equation 1), whose expectation is
    ``1 - (1 - p)^k``; the plug-in of ``c / n`` for ``p`` in that is too low.

    Args:
        successes: on each task, whole numbers from 0 to ``tries``; NaN where nothing was tried, and so is what comes out.
        tries: on each task, ``n``.
        k: from 1 to ``n``.

    Raises:
        ValueError: there are fewer tries than ``k``, or a number of successes that cannot be.
    """
    count = np.asarray(successes, np.float64)
    if not 1 <= k <= tries:
        raise ValueError(f"k is {k}; with {tries} tries on each task it must be from 1 to {tries}")
    known = count[~np.isnan(count)]
    if known.size and not (np.all(known == np.rint(known)) and known.min() >= 0 and known.max() <= tries):
        raise ValueError(
            f"successes are {known.min():g} to {known.max():g}; they must be whole numbers from 0 to {tries}"
        )
    failed = tries - count
    # C(n - c, k) / C(n, k), factor by factor; zero as soon as fewer than k tries failed.
    factors = [np.maximum(failed - i, 0.0) / (tries - i) for i in range(k)]
    return np.asarray(1.0 - np.prod(factors, axis=0))
