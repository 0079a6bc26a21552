"""EXP3.S (Auer et al. 2002) as automated curriculum learning has it (Graves et al. 2017, arXiv 1704.03003)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int

from jaxrl_evolve.curricula.arms.bandit import Bandit, Feedback, Hyperparameters, filled
from jaxrl_evolve.curricula.arms.choice import at_temperature, with_floor

_LOW, _HIGH = 0.2, 0.8


@struct.dataclass
class State:
    """Log-weights by arm, updates, a uniform sample of all gains so far, and how many there were."""

    weights: Float[Array, " arms"]
    updates: Int[Array, ""]
    sample: Float[Array, " reservoir"]
    gains: Int[Array, ""]


def exp3s(reservoir: int = 256, rescale: bool = True) -> Bandit:
    """The method: importance-weighted rewards in log-weights that share some of their weight with all others.

    Of several draws of an update the mean of the importance-weighted rewards counts, by the probabilities that the arms have
    when it comes.

    Args:
        reservoir: size of the sample of gains.
        rescale: put rewards between -1 and 1 by the 20th and 80th percentile of all gains so far.
    """

    def probabilities(key: Array, state: State, available: Array, hp: Hyperparameters) -> Array:
        del key
        softmax = at_temperature(state.weights, available, jnp.float32(1.0))
        return with_floor(softmax, available, jnp.asarray(hp.floor, jnp.float32))

    def update(key: Array, state: State, feedback: Feedback, hp: Hyperparameters) -> State:
        everyone = jnp.ones_like(state.weights, bool)
        available = everyone if feedback.available is None else feedback.available
        pi = jnp.where(available, probabilities(key, state, available, hp), 1.0)
        sample, gains = _sampled(key, state, feedback)
        reward = _rescaled(feedback.reward, sample, gains) if rescale else feedback.reward
        share = feedback.count / jnp.maximum(feedback.count.sum(), 1.0)
        weighted = (jnp.where(feedback.seen, reward, 0.0) * share + hp.beta) / pi
        updates = state.updates + 1
        shifted = _shared(state.weights + hp.step * weighted, 1.0 / updates.astype(jnp.float32))
        # Weights mean the same with a number added to all of them; so they stay small for ever.
        weights = jnp.where(feedback.seen.any(), shifted - shifted.max(), state.weights)
        return State(weights, jnp.where(feedback.seen.any(), updates, state.updates), sample, gains)

    def init(arms: int, hp: Hyperparameters) -> State:
        del hp
        zero = jnp.zeros((), jnp.int32)
        return State(filled(arms), zero, jnp.zeros((reservoir,), jnp.float32), zero)

    return Bandit(init, probabilities, update)


def _shared(logits: Array, alpha: Array) -> Array:
    """``log((1 - alpha) exp(w_i) + alpha / (M - 1) sum of the others' exp(w_j))``; of one arm the weight itself."""
    arms = logits.shape[0]
    if arms == 1:
        return logits
    top = logits.max()
    weights = jnp.exp(logits - top)
    others = jnp.where(jnp.eye(arms, dtype=bool), 0.0, weights[None]).sum(1)
    return top + jnp.log((1.0 - alpha) * weights + alpha / (arms - 1) * others)


def _sampled(key: Array, state: State, feedback: Feedback) -> tuple[Array, Array]:
    """Reservoir sampling (Vitter 1985) of one gain for each arm that was drawn, in order."""
    size = state.sample.shape[0]
    seen = feedback.seen.astype(jnp.int32)
    before = state.gains + jnp.cumsum(seen) - seen
    below = jax.random.uniform(key, before.shape, jnp.float32) * (before + 1)
    at = jnp.where(before < size, before, jnp.minimum(below.astype(jnp.int32), before))
    at = jnp.where(feedback.seen, at, size)
    return state.sample.at[at].set(feedback.reward, mode="drop"), state.gains + seen.sum()


def _rescaled(reward: Array, sample: Array, gains: Array) -> Array:
    """-1 below the lower percentile, 1 above the upper, a line between; 0 as long as the two are one."""
    held = jnp.minimum(gains, sample.shape[0])
    ordered = jnp.sort(jnp.where(jnp.arange(sample.shape[0]) < held, sample, jnp.inf))
    low, high = (_quantile(ordered, held, q) for q in (_LOW, _HIGH))
    return jnp.where(
        high > low,
        jnp.clip(2.0 * (reward - low) / jnp.where(high > low, high - low, 1.0) - 1.0, -1.0, 1.0),
        0.0,
    )


def _quantile(ordered: Array, held: Array, q: float) -> Array:
    """Linear between neighbours, as NumPy's."""
    place = q * jnp.maximum(held - 1, 0)
    low = jnp.floor(place).astype(jnp.int32)
    high = jnp.minimum(low + 1, jnp.maximum(held - 1, 0))
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])
