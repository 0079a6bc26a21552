"""From scores of arms to probabilities: at a temperature, at a perplexity, or in proportion; and the floor under them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxrl_envs.fusion import computed_once
from jaxrl_evolve.curricula.arms.bandit import Hyperparameters

_LARGEST = 1e15  # of a score, either way
_COLDEST = 1e-15
_HALVINGS = 40


def evenly(available: Bool[Array, " arms"]) -> Float[Array, " arms"]:
    """The same probability for every available arm."""
    share = available.astype(jnp.float32)
    return share / jnp.maximum(share.sum(), 1.0)


def with_floor(
    probabilities: Float[Array, " arms"], available: Bool[Array, " arms"], floor: Array
) -> Float[Array, " arms"]:
    """Mixed with even shares, so that no available arm is forgotten."""
    return (1.0 - floor) * probabilities + floor * evenly(available)


def at_temperature(
    scores: Float[Array, " arms"], available: Bool[Array, " arms"], temperature: Array
) -> Float[Array, " arms"]:
    """Softmax; of temperature 0 the best arms, evenly. Scores that are no numbers count as the least."""
    shifted = _below_the_best(scores, available)
    warm = temperature > 0
    # Never below -80, where an exponential is as good as nothing: no infinities, no numbers without all their digits.
    exponent = jnp.maximum(shifted / jnp.where(warm, temperature, 1.0), -80.0)
    weights = jnp.where(available, jnp.where(warm, jnp.exp(exponent), shifted >= 0.0), 0.0)
    return weights / weights.sum()


def _below_the_best(scores: Array, available: Array) -> Array:
    """How far each score lies below that of the best available arm, at most 0 for these."""
    finite = jnp.clip(jnp.where(jnp.isnan(scores), -_LARGEST, scores), -_LARGEST, _LARGEST)
    # The best is compared with itself below: scores that were computed twice may differ in the last digit.
    finite = computed_once(finite)
    return finite - jnp.where(available, finite, -jnp.inf).max()


def perplexity(probabilities: Float[Array, " arms"]) -> Float[Array, ""]:
    """The effective number of arms, exp of the entropy."""
    return jnp.exp(jax.scipy.special.entr(probabilities).sum())


def at_perplexity(
    scores: Float[Array, " arms"], available: Bool[Array, " arms"], share: Array
) -> Float[Array, " arms"]:
    """Softmax at the temperature that makes so many arms effective, found by bisection.

    Where more arms than that are the best alike, these evenly; where all are alike, all.

    Args:
        scores: of the arms.
        available: which may be drawn.
        share: of the available arms; at least one.
    """
    wanted = jnp.maximum(share * available.sum(), 1.0)
    shifted = _below_the_best(scores, available)
    range_ = jnp.maximum(-jnp.where(available, shifted, 0.0).min(), _COLDEST)

    def halve(_: Array, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = 0.5 * (low + high)
        wider = perplexity(at_temperature(scores, available, range_ * jnp.exp(middle))) < wanted
        return jnp.where(wider, middle, low), jnp.where(wider, high, middle)

    bounds = (jnp.float32(-12.0), jnp.float32(12.0))  # logarithms of temperatures, by the range of the scores
    low, high = jax.lax.fori_loop(0, _HALVINGS, halve, bounds)
    return at_temperature(scores, available, range_ * jnp.exp(0.5 * (low + high)))


def in_proportion(scores: Float[Array, " arms"], available: Bool[Array, " arms"]) -> Float[Array, " arms"]:
    """In proportion to what is above zero; evenly if nothing is."""
    weights = jnp.where(available & (scores > 0), jnp.minimum(scores, _LARGEST), 0.0)
    weights = weights / jnp.maximum(weights.max(), _COLDEST)
    return jnp.where(weights.sum() > 0, weights / jnp.maximum(weights.sum(), 1.0), evenly(available))


def chosen(
    scores: Float[Array, " arms"], available: Bool[Array, " arms"], hp: Hyperparameters
) -> Float[Array, " arms"]:
    """What most methods do: the perplexity if one is asked for, else the temperature; then the floor."""
    if hp.perplexity is not None:
        probabilities = at_perplexity(scores, available, jnp.asarray(hp.perplexity, jnp.float32))
    else:
        probabilities = at_temperature(scores, available, jnp.asarray(hp.temperature, jnp.float32))
    return with_floor(probabilities, available, jnp.asarray(hp.floor, jnp.float32))
