"""Feedback on a game: expectations, or hard labels of a given number of queries."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrl_evolve.preferences.comparison import subsample
from jaxrl_evolve.preferences.oracle import Oracle, label_from
from jaxrl_evolve.preferences.solvers.solver import Feedback, Pairs, Sample
from jaxrl_evolve.settings.checks import whole


def exact(probs: Float[Array, "n n"]) -> Feedback:
    """Expectations: what infinitely many queries would say.

    Args:
        probs: ``P`` of the game.
    """
    n = probs.shape[0]
    option = jnp.arange(n, dtype=jnp.int32)
    first, second = jnp.repeat(option, n), jnp.tile(option, n)

    def pairs(key: Array, p: Array, q: Array) -> Pairs:
        return Pairs(first, second, (p[:, None] * q[None, :]).ravel(), probs.ravel())

    return Feedback(lambda key, q: probs @ q, lambda key, p: Sample(option, p, probs @ p), pairs)


def sampled(probs: Float[Array, "n n"], queries: int) -> Feedback:
    """Hard labels, ``queries`` each time.

    Raises:
        ValueError: so many cannot be dealt evenly among the options, or among a batch.
    """
    n = probs.shape[0]
    queries = whole("queries", queries, n)
    if queries % n:
        raise ValueError(f"queries is {queries}; of a game of {n} options it must be a multiple of {n}")
    size, comparators = batch_size(queries)
    table = Oracle("table", lambda a, b, _: probs[a, b])
    alike = lambda m: jnp.full(m, 1.0 / m, probs.dtype)

    def against(key: Array, q: Array) -> Array:
        drawing, asking = jax.random.split(key)
        prob = probs[:, drawn(drawing, q, queries // n)]
        return label_from(table, jax.random.uniform(asking, prob.shape, prob.dtype), prob).mean(1)

    def sample(key: Array, p: Array) -> Sample:
        drawing, asking = jax.random.split(key)
        option = drawn(drawing, p, size)
        return Sample(option, alike(size), subsample(table, asking, option, comparators=comparators).rate)

    def pairs(key: Array, p: Array, q: Array) -> Pairs:
        one, other, asking = jax.random.split(key, 3)
        first, second = drawn(one, p, queries), drawn(other, q, queries)
        prob = probs[first, second]
        label = label_from(table, jax.random.uniform(asking, prob.shape, prob.dtype), prob)
        return Pairs(first, second, alike(queries), label)

    return Feedback(against, sample, pairs)


def drawn(key: Array, p: Array, number: int) -> Array:
    """Draws of a distribution, int32 ``[number]``."""
    below = jnp.cumsum(p)
    place = jnp.searchsorted(below, jax.random.uniform(key, (number,), p.dtype) * below[-1], side="right")
    return jnp.minimum(place, p.shape[0] - 1).astype(jnp.int32)


def batch_size(queries: int) -> tuple[int, int]:
    """The smallest batch, and the number of others with whom each is compared, that makes exactly so many queries.

    Raises:
        ValueError: there is none but pairs.
    """
    for size in range(2, 2 * queries):
        comparators, rest = divmod(2 * queries, size)
        if not rest and 0 < comparators < size and not (comparators % 2 and size % 2):
            return size, comparators
    return 2 * queries, 1
