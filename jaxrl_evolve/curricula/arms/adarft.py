"""AdaRFT (arXiv 2504.05520): one number, the difficulty that is aimed at, follows how often the agent succeeds."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array

from jaxrl_evolve.curricula.arms.bandit import Bandit, Feedback, Hyperparameters
from jaxrl_evolve.curricula.arms.choice import chosen
from jaxrl_evolve.curricula.arms.given import not_given, shares


def adarft(difficulty: Sequence[float] = ()) -> Bandit:
    """``D <- clip(D + step tanh(gain (mean reward - target)), 0, 1)``; the arm of the nearest difficulty is drawn.

    The paper's constants on a scale of 0 to 100 are a step of 50, a gain of 2 and a target of 0.5.

    Args:
        difficulty: of every arm, from 0 to 1; evenly spaced in the order of the arms by default.

    Raises:
        ValueError: difficulties are no such numbers.
    """
    own = None if not_given(difficulty) else shares("difficulty", difficulty)

    def place(arms: int) -> Array:
        return jnp.linspace(0.0, 1.0, arms) if own is None else jnp.asarray(own)

    def probabilities(key: Array, aim: Array, available: Array, hp: Hyperparameters) -> Array:
        del key
        return chosen(-jnp.abs(place(available.shape[0]) - aim), available, hp)

    def update(key: Array, aim: Array, feedback: Feedback, hp: Hyperparameters) -> Array:
        del key
        mean = feedback.total.sum() / jnp.maximum(feedback.count.sum(), 1e-6)
        moved = jnp.clip(aim + hp.step * jnp.tanh(hp.gain * (mean - hp.target)), 0.0, 1.0)
        return jnp.where(feedback.seen.any(), moved, aim)

    return Bandit(lambda arms, hp: jnp.zeros((), jnp.float32), probabilities, update)
