"""Tests of what was claimed beforehand: weighted means of independent samples (Welch 1947), and several claims at once (Holm 1979).

NumPy and scipy, no jax.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


class Contrast(NamedTuple):
    """A weighted sum of means, and how surely it differs from a bound.

    Attributes:
        value: of the sum.
        low: of its interval.
        high: likewise.
        above: p-value of the hypothesis that the true sum is at most the bound, against that it is larger.
        below: p-value of the hypothesis that it is at least the bound, against that it is smaller.
        freedom: degrees of freedom.
    """

    value: float
    low: float
    high: float
    above: float
    below: float
    freedom: float


def contrast(
    samples: Sequence[ArrayLike], weights: Sequence[float], bound: float = 0.0, confidence: float = 0.95
) -> Contrast:
    """A weighted sum of the means of independent samples, whose variances may differ (Welch-Satterthwaite).

    Weights ``(1, -1)`` are Welch's test of two samples, ``(1,)`` Student's of one against the bound, ``(1, -1, -1, 1)`` that of a difference of
    differences.

    Args:
        samples: of at least two finite numbers each; sizes may differ.
        weights: one for each sample, none 0.
        bound: what the sum is held against.
        confidence: of the interval, between 0 and 1.

    Raises:
        ValueError: a sample has fewer than two numbers, or some that are not finite; there is not one weight for each.
    """
    rows = [np.asarray(sample, np.float64) for sample in samples]
    for row in rows:
        if row.ndim != 1 or row.size < 2 or not np.isfinite(row).all():
            raise ValueError(f"samples has {row}; each must be a row of at least two finite numbers")
    if len(weights) != len(rows) or not all(weights):
        raise ValueError(f"weights is {weights!r}; there must be one for each of {len(rows)} samples, none 0")
    value = float(sum(w * row.mean() for w, row in zip(weights, rows, strict=True)))
    parts = [w**2 * row.var(ddof=1) / row.size for w, row in zip(weights, rows, strict=True)]
    return judged(value, parts, [row.size for row in rows], bound, confidence)


def judged(
    value: float, variances: Sequence[float], sizes: Sequence[int], bound: float, confidence: float = 0.95
) -> Contrast:
    """A number whose variance is a sum of parts, each estimated from so many numbers, held against a bound.

    Args:
        value: the number.
        variances: its parts, each that of a mean of the size beside it.
        sizes: at least 2 each.
        bound: what the number is held against.
        confidence: of the interval, between 0 and 1.
    """
    total = float(sum(variances))
    if not total > 0:  # all alike: what is seen is all there is
        sure = lambda yes: 0.0 if yes else 1.0
        return Contrast(value, value, value, sure(value > bound), sure(value < bound), float("inf"))
    shares = sum(v**2 / (n - 1) for v, n in zip(variances, sizes, strict=True))
    freedom, error = total**2 / shares, float(np.sqrt(total))
    half = float(stats.t.ppf(0.5 + confidence / 2, freedom)) * error
    t = (value - bound) / error
    above, below = float(stats.t.sf(t, freedom)), float(stats.t.cdf(t, freedom))
    return Contrast(value, value - half, value + half, above, below, freedom)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for there being several hypotheses (Holm 1979): which of them are below a level is then wrong once with no more than that probability.

    Raises:
        ValueError: there are none, or one is not between 0 and 1.
    """
    p = np.asarray(p_values, np.float64)
    if p.ndim != 1 or not p.size or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p_values is {p_values!r}; it must be a row of numbers between 0 and 1")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted.tolist()
