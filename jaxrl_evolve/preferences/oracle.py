"""The general preference oracle: who of two is preferred, and how surely.

``P(a > b | context)`` with ``P(a > b) + P(b > a) = 1`` and ``P(a > a) = 1/2``; nothing says that it follows from a score,
so preferences may go in circles. Oracles see summaries of trajectories (`preferences/summary.py`) or whatever pytree else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

Prob = Callable[[Any, Any, Any], Array]
Advantage = Callable[[Any, Any, Any], Array]


class Oracle(NamedTuple):
    """A preference oracle.

    Attributes:
        name: for messages.
        prob: ``(phi_a, phi_b, context) -> P(a > b)``, a float scalar for two items without batch axes; pure.
        tie_band: a label is the tie 1/2 where ``|2 P - 1|`` is at most this. 0 is for pairs that are exactly alike.
    """

    name: str
    prob: Prob
    tie_band: float = 0.0


def from_advantage(name: str, advantage: Advantage, tie_band: float = 0.0) -> Oracle:
    """An oracle whose ``P`` is ``(1 + A) / 2``: an odd ``A`` is then antisymmetric to the last bit, and a tie exactly 1/2."""
    return Oracle(name, lambda a, b, context: 0.5 + 0.5 * advantage(a, b, context), tie_band)


def advantage(oracle: Oracle, phi_a: Any, phi_b: Any, context: Any = None) -> Array:
    """``A = 2 P - 1`` of two items."""
    return 2.0 * oracle.prob(phi_a, phi_b, context) - 1.0


def label_from(oracle: Oracle, uniform: Array, prob: Array) -> Array:
    """The hard label, 0, 1/2 or 1, that a uniform number in [0, 1) draws; of any shape."""
    drawn = (uniform < prob).astype(prob.dtype)
    answer = jnp.where(jnp.abs(2.0 * prob - 1.0) <= oracle.tie_band, 0.5, drawn)
    return jnp.where(jnp.isnan(prob), jnp.nan, answer)


def label(oracle: Oracle, key: Array, phi_a: Any, phi_b: Any, context: Any = None) -> Array:
    """One hard label of two items: 0, 1/2 (a tie) or 1.

    It is the label of the pair: whoever wants the other order takes ``1 - label``, and does not ask again.
    """
    prob = oracle.prob(phi_a, phi_b, context)
    return label_from(oracle, jax.random.uniform(key, prob.shape, prob.dtype), prob)


class Marked(NamedTuple):
    """An item, and a whole number by which it is told with whom it may be compared."""

    phi: Any
    mark: Array


def restricted(oracle: Oracle, alike: bool) -> Oracle:
    """The same oracle over `Marked` items. A pair that may not be compared is NaN, which no win rate counts and which is no query.

    Args:
        oracle: that is asked.
        alike: whether only items of the same mark are compared, such as those that share a start; else only those of
            different marks, such as an episode and all but itself.
    """

    def prob(a: Marked, b: Marked, context: Any) -> Array:
        told = oracle.prob(a.phi, b.phi, context)
        return jnp.where((a.mark == b.mark) == alike, told, jnp.nan)

    return Oracle(oracle.name, prob, oracle.tie_band)


def by_mark(oracles: Sequence[Oracle]) -> Oracle:
    """Several oracles as one over `Marked` items: two of the same mark are asked of the oracle with that number.

    A pair of different marks, or of a mark that no oracle has, is NaN, as in `restricted`.

    Raises:
        ValueError: there are none, or their labels tie in different bands.
    """
    bands = sorted({oracle.tie_band for oracle in oracles})
    if len(bands) != 1:
        raise ValueError(
            f"oracles have the tie bands {bands}; there must be at least one oracle, and one band for all"
        )

    def prob(a: Marked, b: Marked, context: Any) -> Array:
        told = [oracle.prob(a.phi, b.phi, context) for oracle in oracles]
        answer = jnp.full_like(told[0], jnp.nan)
        for number, one in enumerate(told):
            answer = jnp.where((a.mark == number) & (b.mark == number), one, answer)
        return answer

    return Oracle(", ".join(oracle.name for oracle in oracles), prob, *bands)


def frozen(oracle: Oracle, seed: int = 0) -> Oracle:
    """The same oracle with its mind made up: a pair gets the same hard label whenever and in whichever order it is asked.

    Labels are drawn by the content of the two items, so that duplicates are answered alike.

    Args:
        oracle: whose probabilities are drawn from.
        seed: another one makes up another mind.
    """

    def prob(a: Any, b: Any, context: Any) -> Array:
        mark_a, mark_b = fingerprint(a), fingerprint(b)
        low, high = jnp.minimum(mark_a, mark_b), jnp.maximum(mark_a, mark_b)
        mixed = _mixed(jnp.uint32(seed & 0xFFFFFFFF) ^ _mixed(low + jnp.uint32(0x9E3779B9) * _mixed(high)))
        p = oracle.prob(a, b, context)
        uniform = (mixed >> 8).astype(p.dtype) * (2.0**-24)
        ordered = label_from(oracle, uniform, jnp.where(mark_a <= mark_b, p, 1.0 - p))
        answer = jnp.where(mark_a <= mark_b, ordered, 1.0 - ordered)
        return jnp.where(mark_a == mark_b, 0.5, answer)

    return Oracle(f"frozen {oracle.name}", prob)


def fingerprint(phi: Any) -> Array:
    """uint32 of an item's content: equal for equal items, and hardly ever for others."""
    leaves = [_words(leaf).ravel() for leaf in jax.tree.leaves(phi)]
    words = jnp.concatenate(leaves)
    place = jnp.arange(words.shape[0], dtype=jnp.uint32)
    return _mixed(_mixed(words ^ _mixed(place + jnp.uint32(1))).sum(dtype=jnp.uint32))


def _words(leaf: Any) -> Array:
    leaf = jnp.asarray(leaf)
    if jnp.issubdtype(leaf.dtype, jnp.floating):
        positive_zero = leaf.astype(jnp.float32) + 0.0  # -0 is 0
        return jax.lax.bitcast_convert_type(positive_zero, jnp.uint32)
    return leaf.astype(jnp.uint32)


def _mixed(word: Array) -> Array:
    """A permutation of 32 bits in which each bit depends on all (the finaliser of MurmurHash3)."""
    word = (word ^ (word >> 16)) * jnp.uint32(0x85EBCA6B)
    word = (word ^ (word >> 13)) * jnp.uint32(0xC2B2AE35)
    return word ^ (word >> 16)
