"""What is refused of an oracle before anything compiles: tables exactly, functions on sampled pairs."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike

from jaxrl_evolve.files import one_line
from jaxrl_evolve.preferences.oracle import Oracle
from jaxrl_evolve.settings.checks import whole

ROUNDING = 1e-6
"""How far ``P(a > b) + P(b > a)`` may be from 1: what float32 makes of a sigmoid."""
FEWEST_PAIRS = 1_000


def check_table(probs: ArrayLike, name: str = "table") -> np.ndarray:
    """The table as float64 ``[n, n]``.

    Raises:
        ValueError: it is no square of at least two items, or an entry leaves [0, 1] or does not mirror its opposite.
    """
    matrix = np.asarray(probs, np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < 2:
        raise ValueError(f"{name} has shape {matrix.shape}; it must be [n, n] with n of at least 2")
    outside = ~((matrix >= 0.0) & (matrix <= 1.0))
    if outside.any():
        i, j = (int(x) for x in np.argwhere(outside)[0])
        raise ValueError(f"{name}[{i}, {j}] is {matrix[i, j]:g}; a probability must be between 0 and 1")
    unlike = np.abs(matrix + matrix.T - 1.0) > ROUNDING
    if unlike.any():
        i, j = (int(x) for x in np.argwhere(unlike)[0])
        if i == j:
            raise ValueError(f"{name}[{i}, {i}] is {matrix[i, i]:g}; an item beats itself with 1/2")
        raise ValueError(
            f"{name}[{i}, {j}] is {matrix[i, j]:g} and {name}[{j}, {i}] {matrix[j, i]:g}; they must add up to 1"
        )
    return matrix


def check_oracle(
    oracle: Oracle, items: Any, context: Any = None, pairs: int = FEWEST_PAIRS, seed: int = 0
) -> None:
    """Refuse an oracle that is none, judged by sampled pairs in both orders and by items beside themselves.

    It is asked three times, in one program. Whoever trusts an oracle leaves the check out.

    Args:
        oracle: the oracle.
        items: examples with an axis in front, such as `summary.random_summaries`.
        context: that is given to it.
        pairs: how many are sampled, at least 1,000; a tenth more are an item and itself.
        seed: of the sampling.

    Raises:
        ValueError: it is no oracle, its band of ties is no share, or it raises; else with the pair for which ``P`` is no single number, leaves [0, 1], is not antisymmetric, or changes from
            one call to the next.
    """
    if not isinstance(oracle, Oracle):
        raise ValueError(f"oracle is {oracle!r}; it must be an Oracle (oracle_from_name makes one of a text)")
    if not 0.0 <= oracle.tie_band <= 1.0:
        raise ValueError(
            f"tie_band of oracle {oracle.name!r} is {oracle.tie_band}; it must be between 0 and 1"
        )
    pairs = whole("pairs", pairs, FEWEST_PAIRS)
    number = jax.tree.leaves(items)[0].shape[0]
    if number < 2:
        raise ValueError(f"items has {number}; at least 2 are needed")
    rng = np.random.default_rng(seed)
    same = rng.integers(0, number, pairs // 10)
    first = np.concatenate([rng.integers(0, number, pairs), same])
    second = np.concatenate([rng.integers(0, number, pairs), same])
    one, other = (
        jax.tree.map(lambda x, i=i: jax.device_put(np.asarray(x)[i]), items) for i in (first, second)
    )
    first_of = lambda x: jax.tree.map(lambda x: x[0], x)
    try:
        single = jax.eval_shape(lambda a, b: oracle.prob(first_of(a), first_of(b), context), one, other)
    except Exception as error:
        raise ValueError(
            f"oracle {oracle.name!r} failed with {type(error).__name__}: {one_line(error)[:200]}"
        ) from error
    if getattr(single, "shape", None) != ():
        raise ValueError(f"oracle {oracle.name!r} gives {single} for one pair; it must give one number")
    prob = jax.vmap(lambda a, b: oracle.prob(a, b, context))
    ask = jax.jit(lambda one, other: (prob(one, other), prob(other, one), prob(one, other)))
    forth, back, again = (np.asarray(p, np.float64) for p in ask(one, other))

    def refuse(bad: np.ndarray, told: str) -> None:
        if bad.any():
            k = int(np.flatnonzero(bad)[0])
            raise ValueError(
                f"oracle {oracle.name!r} gives P(a > b) = {forth[k]:g} and P(b > a) = {back[k]:g} for items "
                f"{first[k]} and {second[k]}; {told}"
            )

    refuse(~((forth >= 0) & (forth <= 1)), "a probability must be between 0 and 1")
    refuse(forth != again, "asked again, it says something else; it must be a pure function")
    refuse(np.abs(forth + back - 1.0) > ROUNDING, "the two must add up to 1")
    refuse((first == second) & (np.abs(forth - 0.5) > ROUNDING), "an item beats itself with 1/2")
