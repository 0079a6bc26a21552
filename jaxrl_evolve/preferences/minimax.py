"""The exact Minimax Winner by linear programming: the largest ``v`` with ``sum_i p_i A[i, j] >= v`` for all ``j``."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linprog

from jaxrl_evolve.preferences.games import from_table

ACCURACY = 1e-9
"""Within which an advantage counts as none; HiGHS's own tolerance is wider, so it is asked to be stricter."""
_LOOSEST = 1e-6
_ALIKE = 1e-4
_MOST_DIRECTIONS = 100


class Winner(NamedTuple):
    """What the linear programs found.

    Attributes:
        policy: float64 ``[n]``, a Minimax Winner.
        exploitability: float, the largest advantage of any option over it: 0 but for rounding.
        unique: whether no other was found whose shares differ by more than 1e-4. Each option's smallest and largest share is asked for, so with up to 50 options the answer is exact up to rounding.
        vertices: float64 ``[k, n]``, the corners of the set of winners that were found; any mixture of them wins too.
    """

    policy: np.ndarray
    exploitability: float
    unique: bool
    vertices: np.ndarray


def minimax_winner(advantage: ArrayLike) -> Winner:
    """Solve a symmetric game.

    Args:
        advantage: ``[n, n]`` in [-1, 1], antisymmetric up to rounding.

    Raises:
        ValueError: it is not that, or the solver failed on it however the rounding was done.
    """
    matrix = from_table(advantage, "advantage").advantage
    n = len(matrix)
    first = _solved(matrix)
    # Its value is 0, so winners are all p with p A >= 0; by as much less as the first one needed, or else none is left.
    slack = max(ACCURACY, -float((first @ matrix).min()))
    corners = [first]
    directions = (
        np.eye(n)[: _MOST_DIRECTIONS // 2] if n <= 50 else np.random.default_rng(0).normal(size=(50, n))
    )
    for direction in np.concatenate([directions, -directions]):
        corner = _corner(matrix, direction, slack)
        if corner is not None and all(np.abs(corner - other).max() > _ALIKE for other in corners):
            corners.append(corner)
    if len(corners) == 1:
        return Winner(first, _worst(matrix, first), True, first[None])
    found = np.stack(corners[1:] if _is_between(first, corners[1:]) else corners)
    return Winner(first, _worst(matrix, first), False, found)


def _solved(matrix: np.ndarray) -> np.ndarray:
    """One winner; rounds the matrix more coarsely where the solver finds no point, as tiny beside large entries can make it."""
    n, said = len(matrix), ""
    for digits in (None, 12, 9):
        rounded = matrix if digits is None else np.round(matrix, digits)
        for method in ("highs-ds", "highs-ipm"):
            answer: Any = linprog(
                np.r_[np.zeros(n), -1.0],
                A_ub=np.c_[-rounded.T, np.ones(n)],
                b_ub=np.zeros(n),
                A_eq=np.r_[np.ones(n), 0.0][None],
                b_eq=[1.0],
                bounds=[(0, None)] * n + [(None, None)],
                method=method,
                options=_strict(),
            )
            if answer.status == 0 and _worst(matrix, policy := _projected(answer.x[:n])) <= _LOOSEST:
                return policy
            said = str(answer.message)
    raise ValueError(
        f"the Minimax Winner of advantage, a matrix of shape {matrix.shape}, could not be found by linear programming: "
        f"{' '.join(said.split())}"
    )


def _corner(matrix: np.ndarray, direction: np.ndarray, slack: float) -> np.ndarray | None:
    """The winner farthest in a direction; None if rounding leaves none, even with a hundred times the slack."""
    n = len(matrix)
    for wider in (slack, 10 * slack, 100 * slack):
        answer: Any = linprog(
            -direction,
            A_ub=-matrix.T,
            b_ub=np.full(n, min(wider, _LOOSEST)),
            A_eq=np.ones((1, n)),
            b_eq=[1.0],
            bounds=[(0, None)] * n,
            method="highs-ds",
            options=_strict(),
        )
        if answer.status == 0:
            return _projected(answer.x)
    return None


def _strict() -> dict[str, float]:
    return {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


def _projected(policy: np.ndarray) -> np.ndarray:
    policy = np.maximum(policy, 0.0)
    return policy / policy.sum()


def _worst(matrix: np.ndarray, policy: np.ndarray) -> float:
    return float((matrix @ policy).max())


def _is_between(point: np.ndarray, corners: list[np.ndarray]) -> bool:
    """Whether a point is a mixture of others."""
    if any(np.abs(point - corner).max() <= _ALIKE for corner in corners):
        return True
    equal = np.c_[np.stack(corners), np.ones(len(corners))].T
    answer: Any = linprog(np.zeros(len(corners)), A_eq=equal, b_eq=np.r_[point, 1.0], method="highs")
    return answer.status == 0
