"""How often arms succeed, as it is believed now: decayed counts and the Beta posterior that they give.

The counts of all arms decay with every update, so evidence of an arm that is not drawn fades and its posterior goes back to
the prior: it is drawn again before it is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from jaxrl_evolve.curricula.arms.bandit import Bandit, Feedback, Hyperparameters, filled


@struct.dataclass
class Successes:
    """Decayed numbers of episodes by arm, float32 ``[arms]``."""

    won: Float[Array, " arms"]
    lost: Float[Array, " arms"]


@struct.dataclass
class Posterior:
    """Beta distributions of the share of successes, float32 ``[arms]``."""

    a: Float[Array, " arms"]
    b: Float[Array, " arms"]

    @property
    def mean(self) -> Float[Array, " arms"]:
        """``E[p]``."""
        return self.a / (self.a + self.b)

    @property
    def variance(self) -> Float[Array, " arms"]:
        """``Var[p]``."""
        return self.mean * (1.0 - self.mean) / (self.a + self.b + 1.0)

    @property
    def learnability(self) -> Float[Array, " arms"]:
        """``E[p (1 - p)]``."""
        total = self.a + self.b
        return self.a * self.b / (total * (total + 1.0))

    def between(self, low: float, high: float) -> Float[Array, " arms"]:
        """Probability that ``p`` lies between two numbers."""
        below = lambda p: jax.scipy.special.betainc(self.a, self.b, jnp.float32(p))
        return below(high) - below(low)


def nothing_known(arms: int) -> Successes:
    """No episode yet."""
    return Successes(filled(arms), filled(arms))


def learned(state: Successes, feedback: Feedback, hp: Hyperparameters) -> Successes:
    """With the successes of an update, whose rewards are shares of successes, from 0 to 1."""
    won = jnp.clip(feedback.total, 0.0, feedback.count)
    return Successes(hp.discount * state.won + won, hp.discount * state.lost + feedback.count - won)


def posterior(state: Successes, hp: Hyperparameters) -> Posterior:
    """What is believed; the prior is even."""
    return Posterior(state.won + hp.prior, state.lost + hp.prior)


def believing(
    probabilities: Callable[[Array, Successes, Array, Hyperparameters], Array], fresh: bool = False
) -> Bandit:
    """A method that keeps nothing but successes.

    Args:
        probabilities: as of `Bandit`.
        fresh: as of `Bandit`.
    """

    def update(key: Array, state: Successes, feedback: Feedback, hp: Hyperparameters) -> Successes:
        del key
        return learned(state, feedback, hp)

    return Bandit(lambda arms, hp: nothing_known(arms), probabilities, update, fresh)
