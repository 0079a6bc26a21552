"""Oracles that are programs: by return, by several criteria, in circles, with noise, and with faults to test against."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpy.typing import ArrayLike

from jaxrl_envs.point_mass import sector
from jaxrl_evolve.preferences.check import check_table
from jaxrl_evolve.preferences.oracle import Oracle, advantage, from_advantage
from jaxrl_evolve.preferences.summary import Summary

_FAINT = 2.0**-16
"""The advantage of an answer that is a coin's: far below what anybody could count, but no probability of exactly 1/2, which would be a tie, even where
other noise makes a hundredth of it."""


def max_reward(tie: float = 0.0) -> Oracle:
    """The larger return wins; returns no further apart than ``tie`` tie."""
    _at_least("tie", tie, 0.0)
    return from_advantage("max_reward", lambda a, b, _: _sign(a.total - b.total, tie))


def bt(temperature: float = 1.0, scale: float = 1.0) -> Oracle:
    """Bradley-Terry (1952): ``P = sigmoid((J_a - J_b) / (temperature * scale))``.

    Args:
        temperature: in units of ``scale``; 0 and infinity are not allowed, `max_reward` and a coin are its limits.
        scale: what a unit is, such as the standard deviation of returns.
    """
    _above("temperature", temperature, 0.0)
    _above("scale", scale, 0.0)
    unit = 2.0 * temperature * scale
    if math.isinf(unit):
        raise ValueError(
            f"temperature is {temperature!r} and scale {scale!r}; they must be finite, and so must their product"
        )
    return from_advantage("bt", lambda a, b, _: jnp.tanh((a.total - b.total) / unit))


def flip(base: Oracle, rate: float) -> Oracle:
    """Every answer is turned round with probability ``rate``, so that one of 1/2 leaves a coin; ties stay ties. `oracle.frozen` keeps each pair's answer."""
    _between("rate", rate, 0.0, 1.0)
    told = lambda a, b, context: _blurred(1.0 - 2.0 * rate, advantage(base, a, b, context), base.tie_band)
    return from_advantage(f"flip({rate:g}) of {base.name}", told, base.tie_band * abs(1.0 - 2.0 * rate))


def teacher(
    beta: float = math.inf, mistake: float = 0.0, skip: float = -math.inf, equal: float = 0.0
) -> Oracle:
    """A simulated teacher of B-Pref (Lee et al. 2021, arXiv 2111.03026).

    Args:
        beta: rationality: ``P = sigmoid(beta (J_a - J_b))`` of myopic returns; infinite always prefers the larger.
        mistake: probability of the opposite answer.
        skip: where both returns are below it, the teacher says nothing. That is a tie here.
        equal: returns no further apart than this tie.
    """
    _above("beta", beta, 0.0)
    _between("mistake", mistake, 0.0, 1.0)
    _at_least("equal", equal, 0.0)

    def told(a: Summary, b: Summary, _: Any) -> Array:
        difference = a.myopic - b.myopic
        sure = _sign(difference, 0.0) if math.isinf(beta) else jnp.tanh(0.5 * beta * difference)
        nothing = (jnp.abs(a.total - b.total) <= equal) | (jnp.maximum(a.total, b.total) < skip)
        return jnp.where(nothing, 0.0, _blurred(1.0 - 2.0 * mistake, sure))

    return from_advantage("teacher", told)


def populations(weights: Sequence[float]) -> Oracle:
    """Groups of people: ``weights[k]`` of them prefer the larger ``criteria[k]``. Together they may go in circles."""
    share = np.asarray(weights, np.float64)
    if share.ndim != 1 or not share.size or (share < 0).any() or not math.isclose(share.sum(), 1.0):
        raise ValueError(f"weights is {weights!r}; it must be shares of at least 0 that add up to 1")

    def told(a: Summary, b: Summary, _: Any) -> Array:
        # An index beyond the last would be taken for the last.
        if a.criteria.shape != share.shape:
            raise ValueError(
                f"weights has {share.size} shares; there must be one for each of {a.criteria.size} criteria"
            )
        # One criterion after the other: a sum over so short an axis is slow for all pairs of a batch.
        votes = (float(w) * jnp.sign(a.criteria[k] - b.criteria[k]) for k, w in enumerate(share))
        return jnp.clip(sum(votes, start=jnp.float32(0)), -1.0, 1.0)

    return from_advantage("populations", told)


def sector_rps(advantages: ArrayLike) -> Oracle:
    """Plane ends in one of ``n`` equal sectors; a table says which sector beats which.

    Args:
        advantages: ``[n, n]`` in advantage units, as `games.Game.advantage`.
    """
    matrix = np.asarray(advantages, np.float64)
    check_table((1.0 + matrix) / 2.0, "sector_rps")
    table = jnp.asarray(matrix, jnp.float32)
    return from_advantage(
        "sector_rps", lambda a, b, _: table[sector(a.end, len(matrix)), sector(b.end, len(matrix))]
    )


def nonmarkov(most: float) -> Oracle:
    """More return in the first three quarters, with at most ``most`` in the last: no reward of single steps says that.

    Who keeps the bound beats who does not; of two who do not, the one that exceeds it less wins.
    """

    def told(a: Summary, b: Summary, _: Any) -> Array:
        excess_a, excess_b = jnp.maximum(a.late - most, 0.0), jnp.maximum(b.late - most, 0.0)
        return jnp.where(
            (excess_a == 0) & (excess_b == 0), jnp.sign(a.early - b.early), jnp.sign(excess_b - excess_a)
        )

    return from_advantage("nonmarkov", told)


def length_hack(base: Oracle, bonus: float) -> Oracle:
    """``base``, but the longer one gains ``bonus`` in probability: a fault that a learner will find."""
    _between("bonus", bonus, 0.0, 1.0)
    _no_band(base)

    def told(a: Summary, b: Summary, context: Any) -> Array:
        longer = jnp.sign(a.length - b.length)
        return jnp.clip(advantage(base, a, b, context) + 2.0 * bonus * longer, -1.0, 1.0)

    return from_advantage(f"length_hack({bonus:g}) of {base.name}", told)


def length_gate(base: Oracle, most: float = 0.0) -> Oracle:
    """``base`` among those whose lengths differ by no more than ``most`` steps; of others neither is preferred.

    At 0 no bias that reads lengths alone is left, whatever it is: the control of `length_hack`.
    """
    _at_least("most", most, 0.0)

    def told(a: Summary, b: Summary, context: Any) -> Array:
        alike = jnp.abs(a.length - b.length) <= most
        return jnp.where(alike, advantage(base, a, b, context), 0.0)

    return from_advantage(f"length_gate({most:g}) of {base.name}", told, base.tie_band)


def near_duplicate(base: Oracle, radius: float, answer: float = 0.99) -> Oracle:
    """``base``, but of two that differ by no more than ``radius`` the larger wins with probability ``answer``: over-confident
    where there is nothing to tell.
    """
    _above("radius", radius, 0.0)
    _between("answer", answer, 0.5, 1.0)

    def told(a: Summary, b: Summary, context: Any) -> Array:
        difference = a.total - b.total
        sure = _blurred(2.0 * answer - 1.0, jnp.sign(difference))
        return jnp.where(jnp.abs(difference) <= radius, sure, advantage(base, a, b, context))

    return from_advantage(f"near_duplicate of {base.name}", told, base.tie_band)


def mixed(transitive: Oracle, cyclic: Oracle, share: float) -> Oracle:
    """``share`` of a cyclic oracle and the rest of a transitive one."""
    _between("share", share, 0.0, 1.0)
    _no_band(transitive)
    _no_band(cyclic)

    def told(a: Any, b: Any, context: Any) -> Array:
        return (1.0 - share) * advantage(transitive, a, b, context) + share * advantage(cyclic, a, b, context)

    return from_advantage(f"mixed({share:g})", told)


def table(probs: ArrayLike, name: str = "table") -> Oracle:
    """A matrix of probabilities ``[n, n]``; items are whole numbers.

    Raises:
        ValueError: it is not antisymmetric, leaves [0, 1], or is no square.
    """
    matrix = check_table(probs, name)
    advantages = jnp.asarray(matrix - matrix.T, jnp.float32)
    return from_advantage(name, lambda a, b, _: advantages[a, b])


def _sign(difference: Array, tie: float) -> Array:
    return jnp.where(jnp.abs(difference) <= tie, 0.0, jnp.sign(difference))


def _blurred(share: float, sure: Array, tied: float = 0.0) -> Array:
    """A share of an advantage; of nothing a coin, but where advantages of at most ``tied`` are ties."""
    if abs(share) > _FAINT:
        return share * sure
    return jnp.where(jnp.abs(sure) <= tied, 0.0, _FAINT * jnp.sign(sure))


def _no_band(base: Oracle) -> None:
    if base.tie_band:
        raise ValueError(
            f"tie_band of {base.name!r} is {base.tie_band:g}; what is added to it moves its ties, so it must be 0"
        )


def _above(name: str, value: float, low: float) -> None:
    if not value > low:
        raise ValueError(f"{name} is {value!r}; it must be a number above {low:g}")


def _at_least(name: str, value: float, low: float) -> None:
    if not value >= low:
        raise ValueError(f"{name} is {value!r}; it must be a number of at least {low:g}")


def _between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} is {value!r}; it must be a number between {low:g} and {high:g}")
