"""How agents do on the levels that are worst for them: conditional value at risk over levels, without the bias of choosing.

Levels that did badly in some episodes are in part those that had bad luck. Whoever reports the same episodes reports the
luck too, and finds the worst levels worse than they are. So the worst are chosen by one set of episodes and judged by
another (Rutherford et al. 2024, arXiv 2408.15099).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike


def worst_levels(scores: ArrayLike, share: float) -> np.ndarray:
    """Which levels are the worst share of all, int64 ``[..., k]`` of scores ``[..., L]``, the worst first.

    ``k`` is ``share * L`` rounded up. Of levels with equal scores the first come first: order says nothing of a level.

    Raises:
        ValueError: no levels, or a share that is none.
    """
    scores = np.asarray(scores, np.float64)
    if not scores.ndim or not scores.shape[-1]:
        raise ValueError(f"scores have shape {scores.shape}; there must be at least one level")
    if not 0.0 < share <= 1.0:
        raise ValueError(f"share is {share!r}; it must be above 0 and at most 1, e.g. 0.1")
    count = math.ceil(round(share * scores.shape[-1], 9))
    return np.argsort(scores, axis=-1, kind="stable")[..., :count]


def cvar(chosen_by: ArrayLike, judged_by: ArrayLike, share: float) -> np.ndarray:
    """Mean of each run's scores on the worst share of levels, float64 ``[...]``.

    Args:
        chosen_by: scores ``[..., L]`` that say which levels are the worst.
        judged_by: scores ``[..., L]`` of other episodes on the same levels, which are averaged. Given the same scores twice,
            the result is too low.
        share: of the levels, such as 0.1.

    Raises:
        ValueError: shapes differ, there are no levels, or the share is none.
    """
    chosen_by, judged_by = np.asarray(chosen_by, np.float64), np.asarray(judged_by, np.float64)
    if chosen_by.shape != judged_by.shape:
        raise ValueError(f"scores have shapes {chosen_by.shape} and {judged_by.shape}; they must be equal")
    return np.asarray(np.take_along_axis(judged_by, worst_levels(chosen_by, share), axis=-1).mean(-1))
