"""Two policies against each other, by their episodes: how often the one is preferred, and how surely that is known."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxrl_evolve.preferences.comparison import finite
from jaxrl_evolve.preferences.oracle import Oracle, label_from

NORMAL = 1.96
"""Standard errors on each side of a 95 % interval."""


class Meeting(NamedTuple):
    """What came of comparing all episodes of one policy with all of another.

    Attributes:
        rate: how often the first was preferred, ties as half; NaN if nothing could be compared.
        error: its standard error, of a two-sample U-statistic: episodes are drawn anew, pairs of them are not. Where all or none were won, which says
            nothing of how much they vary, that of as many independent pairs as the fewer have episodes, of which two more were won and
            two more lost (Agresti and Coull 1998).
        queries: labels that were asked for.
    """

    rate: Float[Array, ""]
    error: Float[Array, ""]
    queries: Int[Array, ""]


def meet(
    oracle: Oracle, key: Array, phi: Any, other: Any, context: Any = None, soft: bool = False
) -> Meeting:
    """Compare all with all.

    Args:
        oracle: that is asked.
        key: of the labels.
        phi: summaries ``[N, ...]`` of the one.
        other: ``[M, ...]`` of the other. What is not finite is left out.
        context: that all share.
        soft: probabilities instead of hard labels.
    """
    prob = jax.vmap(lambda a: jax.vmap(lambda b: oracle.prob(a, b, context))(other))(phi)
    told = prob if soft else label_from(oracle, jax.random.uniform(key, prob.shape, prob.dtype), prob)
    rows, columns = finite(phi), finite(other)
    there = rows[:, None] & columns[None, :] & ~jnp.isnan(told)
    count, won = there.sum(), jnp.where(there, told, 0.0)
    rate = won.sum() / count
    # Who was compared with nobody says nothing of how much it varies.
    rows, columns = rows & there.any(1), columns & there.any(0)
    spread = lambda axis, fine: _variance(won.sum(axis) / jnp.maximum(there.sum(axis), 1), fine)
    error = jnp.sqrt(spread(1, rows) + spread(0, columns))
    pairs = jnp.minimum(rows.sum(), columns.sum())
    likely = (rate * pairs + 2.0) / (pairs + 4.0)
    decided = (rate == 0.0) | (rate == 1.0)
    error = jnp.where(decided, jnp.sqrt(likely * (1.0 - likely) / pairs), error)
    return Meeting(rate, error, count)


def _variance(values: Array, fine: Array) -> Array:
    """Of the mean of the fine ones."""
    number = fine.sum()
    mean = jnp.where(fine, values, 0.0).sum() / number
    return jnp.where(fine, jnp.square(values - mean), 0.0).sum() / (number * jnp.maximum(number - 1, 1))


def interval(rate: float, error: float) -> tuple[float, float]:
    """A 95 % interval of a rate, within [0, 1]."""
    return max(0.0, rate - NORMAL * error), min(1.0, rate + NORMAL * error)
