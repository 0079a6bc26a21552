"""Upper confidence bounds for arms that change: discounted, or over a window (Garivier and Moulines 2011, arXiv 0805.3415)."""

from __future__ import annotations

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int

from jaxrl_evolve.curricula.arms.bandit import Bandit, Feedback, Hyperparameters, filled
from jaxrl_evolve.curricula.arms.choice import chosen
from jaxrl_evolve.settings.scalar import Scalar

_UNKNOWN = 1e6  # index of an arm that nothing is known of: above any other
_FEWEST = 1e-6


@struct.dataclass
class Discounted:
    """Decayed numbers of draws and sums of rewards, float32 ``[arms]``."""

    draws: Float[Array, " arms"]
    rewards: Float[Array, " arms"]


def discounted_ucb() -> Bandit:
    """``mean + 2 bonus sqrt(0.6 ln(sum of N) / N)`` of counts that decay by ``discount``; ``bonus`` bounds the rewards."""

    def update(key: Array, state: Discounted, feedback: Feedback, hp: Hyperparameters) -> Discounted:
        del key
        return Discounted(
            hp.discount * state.draws + feedback.count, hp.discount * state.rewards + feedback.total
        )

    def probabilities(key: Array, state: Discounted, available: Array, hp: Hyperparameters) -> Array:
        del key
        return chosen(_index(state.draws, state.rewards, state.draws.sum(), 2.0 * hp.bonus), available, hp)

    return Bandit(lambda arms, hp: Discounted(filled(arms), filled(arms)), probabilities, update)


@struct.dataclass
class Sliding:
    """The last updates, float32 ``[window, arms]``, and how many there were."""

    draws: Float[Array, "window arms"]
    rewards: Float[Array, "window arms"]
    updates: Int[Array, ""]


def sliding_window_ucb(window: int = 200) -> Bandit:
    """``mean + bonus sqrt(0.6 ln(N) / N_i)`` over the draws of the last updates, ``N`` of them in all.

    Args:
        window: updates that are remembered.
    """

    def init(arms: int, hp: Hyperparameters) -> Sliding:
        del hp
        nothing = jnp.zeros((window, arms), jnp.float32)
        return Sliding(nothing, nothing, jnp.zeros((), jnp.int32))

    def update(key: Array, state: Sliding, feedback: Feedback, hp: Hyperparameters) -> Sliding:
        del key, hp
        at = state.updates % window
        return Sliding(
            state.draws.at[at].set(feedback.count),
            state.rewards.at[at].set(feedback.total),
            state.updates + 1,
        )

    def probabilities(key: Array, state: Sliding, available: Array, hp: Hyperparameters) -> Array:
        del key
        draws = state.draws.sum(0)
        return chosen(_index(draws, state.rewards.sum(0), draws.sum(), hp.bonus), available, hp)

    return Bandit(init, probabilities, update)


def _index(draws: Array, rewards: Array, all_draws: Array, bonus: Scalar) -> Array:
    known = jnp.maximum(draws, _FEWEST)
    bound = bonus * jnp.sqrt(0.6 * jnp.log(jnp.maximum(all_draws, 1.0)) / known)
    return jnp.where(draws > _FEWEST, rewards / known + bound, _UNKNOWN)
