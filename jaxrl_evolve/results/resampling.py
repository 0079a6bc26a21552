"""What all statistics by resampling share: scores made finite, resamples in parts, intervals of what came."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

_CHUNK = 4_000_000  # numbers held at once


def clean(scores: ArrayLike, non_finite: str = "error", worst: float | None = None) -> np.ndarray:
    """Scores as finite float64 ``[runs, tasks]``.

    Args:
        scores: ``[runs]`` or ``[runs, tasks]``.
        non_finite: ``"error"`` refuses NaN and infinite scores, ``"worst"`` puts ``worst`` in their place.
        worst: what a non-finite score becomes with ``"worst"``; by default the worst finite score of
            its task.

    Returns:
        float64 ``[runs, tasks]``.

    Raises:
        ValueError: for other shapes, no scores, or non-finite ones, naming the run.
    """
    if non_finite not in ("error", "worst"):
        raise ValueError(f"non_finite is {non_finite!r}; it must be 'error' or 'worst'")
    try:
        array = np.asarray(scores, np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            "scores must be numbers, [runs] or [runs, tasks] with equally many runs each"
        ) from None
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.size == 0:
        raise ValueError(
            f"scores have shape {np.shape(scores)}; they must be [runs] or [runs, tasks], not empty"
        )
    bad = ~np.isfinite(array)
    if not bad.any():
        return array
    run, task = (int(i) for i in np.argwhere(bad)[0])
    where = f"run {run}" + (f" on task {task}" if array.shape[1] > 1 else "")
    if non_finite == "error":
        raise ValueError(
            f"the score of {where} (counted from 0) is {array[run, task]}; scores must be finite, "
            "or give non_finite='worst' to count such runs as the worst of their task"
        )
    if worst is None and bad.all(axis=0).any():
        task = int(np.flatnonzero(bad.all(axis=0))[0])
        raise ValueError(f"no run on task {task} (counted from 0) has a finite score")
    lowest = np.where(bad, np.inf, array).min(axis=0) if worst is None else worst
    return np.where(bad, lowest, array)


def chunks(total: int, width: int) -> list[int]:
    """``total`` resamples of ``width`` numbers each, in parts that memory holds."""
    size = max(1, _CHUNK // width)
    return [min(size, total - start) for start in range(0, total, size)]


def interval(samples: np.ndarray, confidence: float) -> tuple[float, float]:
    """The middle ``confidence`` of resampled values."""
    low, high = np.quantile(samples, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def check_settings(confidence: float, resamples: int) -> None:
    """Refuse settings of a resampling that are out of range, with a ValueError."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence!r}; it must lie between 0 and 1, e.g. 0.95")
    if resamples < 1:
        raise ValueError(f"resamples is {resamples!r}; at least 1 is needed")
