"""DUMP (arXiv 2504.09710): a mean over the last rewards of an arm and an upper confidence bound, in a softmax.

Counts are never discounted, as published, so exploration dies out although arms change.
"""

from __future__ import annotations

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from jaxrl_evolve.curricula.arms.bandit import Bandit, Feedback, Hyperparameters, filled
from jaxrl_evolve.curricula.arms.choice import chosen
from jaxrl_evolve.curricula.arms.window import Window, empty_window, window_mean, with_entry


@struct.dataclass
class State:
    """The last rewards of each arm, one an update, and how many draws it has had, float32 ``[arms]``."""

    rewards: Window
    draws: Float[Array, " arms"]


def dump(window: int = 300) -> Bandit:
    """The method.

    Args:
        window: updates that the mean of an arm is over. The published code keeps so many single draws; here the mean of
            an update is one entry.
    """

    def probabilities(key: Array, state: State, available: Array, hp: Hyperparameters) -> Array:
        del key
        bound = jnp.sqrt(2.0 * jnp.log(state.draws.sum() + 1.0) / (state.draws + 1.0))
        return chosen(window_mean(state.rewards) + hp.bonus * bound, available, hp)

    def update(key: Array, state: State, feedback: Feedback, hp: Hyperparameters) -> State:
        del key, hp
        return State(with_entry(state.rewards, feedback.reward, feedback.seen), state.draws + feedback.count)

    return Bandit(lambda arms, hp: State(empty_window(arms, window), filled(arms)), probabilities, update)
