"""How draws were divided among arms in the course of a run: how soon a change was followed, who was starved, what was forgotten."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike


def times_to_reallocate(share: ArrayLike, best: ArrayLike, level: float = 0.8) -> np.ndarray:
    """For each change of the best arm, how many rows later the new one first has a share of the draws, float64 ``[changes]``.

    Where it does not have it before the next change, or the end, it is NaN.

    Args:
        share: of the draws, ``[T, arms]``; averages over several draws, or single ones as ones and zeros.
        best: number of the best arm at each time, ``[T]``.
        level: the share.

    Raises:
        ValueError: shapes do not fit.
    """
    share, best = np.asarray(share, np.float64), np.asarray(best, np.int64)
    if share.ndim != 2 or best.shape != share.shape[:1]:
        raise ValueError(
            f"share has shape {share.shape} and best {best.shape}; they must be [T, arms] and [T]"
        )
    changes = np.flatnonzero(best[1:] != best[:-1]) + 1
    spans = itertools.pairwise([*changes, len(best)])
    found = [np.flatnonzero(share[t:end, best[t]] >= level) for t, end in spans]
    return np.array([float(at[0]) if at.size else np.nan for at in found])


def starved(share: ArrayLike, below: float = 0.1, available: ArrayLike | None = None) -> np.ndarray:
    """The most rows in succession in which each arm had less than a part of a fair share of the draws, int64 ``[..., arms]``.

    Args:
        share: of the draws, ``[T, ..., arms]``.
        below: the part of what each that may be drawn would have if these had the same.
        available: which arms may be drawn, bool ``[arms]``, by default all; the others do not starve.
    """
    share = np.asarray(share, np.float64)
    arms = share.shape[-1]
    may = np.ones((arms,), bool) if available is None else np.asarray(available, bool)
    hungry = may & (share < below / may.sum())
    run = most = np.zeros(share.shape[1:], np.int64)
    for row in hungry:
        run = np.where(row, run + 1, 0)
        most = np.maximum(most, run)
    return most


def forgotten(score: ArrayLike) -> np.ndarray:
    """How far the last score lies below the highest before it, at least 0, float64 ``[...]``.

    Args:
        score: ``[T, ...]``, at least one; NaN where there was none. Where the last is NaN, so is the result.
    """
    score = np.asarray(score, np.float64)
    highest = np.where(np.isnan(score), -np.inf, score).max(0)
    return np.maximum(highest - score[-1], 0.0)
