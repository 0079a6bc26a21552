"""Thompson sampling with evidence that fades (Raj and Kalyani 2017, arXiv 1707.09727): every draw is the best arm of a world that may be."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from jaxrl_evolve.curricula.arms.bandit import Bandit, Feedback, Hyperparameters, filled
from jaxrl_evolve.curricula.arms.choice import at_temperature, with_floor
from jaxrl_evolve.curricula.arms.estimator import Successes, believing, posterior
from jaxrl_evolve.settings.names import suggestion

_WORTHS = ("success", "learnability")


def thompson(worth: str = "learnability") -> Bandit:
    """Shares of successes are drawn from their Beta posteriors.

    Args:
        worth: what makes an arm the best: its success, as of a bandit, or ``p (1 - p)``, as for learning.

    Raises:
        ValueError: ``worth`` is neither.
    """
    if worth not in _WORTHS:
        raise ValueError(f"worth is {worth!r}, which is not known: {suggestion(str(worth), _WORTHS)}")

    def probabilities(key: Array, state: Successes, available: Array, hp: Hyperparameters) -> Array:
        believed = posterior(state, hp)
        p = jax.random.beta(key, believed.a, believed.b, dtype=jnp.float32)
        return _best(p if worth == "success" else p * (1.0 - p), available, hp)

    return believing(probabilities, fresh=True)


@struct.dataclass
class Moments:
    """Decayed numbers of draws, sums of rewards and of their squares, float32 ``[arms]``."""

    draws: Float[Array, " arms"]
    rewards: Float[Array, " arms"]
    squares: Float[Array, " arms"]


def gaussian_thompson() -> Bandit:
    """Means of rewards of any kind are drawn from ``Normal(mean, variance / (N + 1))``.

    ``prior`` draws that gave ``optimism - bonus`` and ``optimism + bonus`` alike are believed to have been before the first; the mean over
    several draws of an update counts as that many draws of it, so that its variance is a little too small.
    """

    def init(arms: int, hp: Hyperparameters) -> Moments:
        del hp
        return Moments(filled(arms), filled(arms), filled(arms))

    def probabilities(key: Array, state: Moments, available: Array, hp: Hyperparameters) -> Array:
        draws = state.draws + hp.prior
        mean = (state.rewards + hp.prior * hp.optimism) / draws
        square = (state.squares + hp.prior * (hp.bonus**2 + hp.optimism**2)) / draws
        deviation = jnp.sqrt(jnp.maximum(square - jnp.square(mean), 0.0) / (draws + 1.0))
        return _best(mean + deviation * jax.random.normal(key, mean.shape, jnp.float32), available, hp)

    def update(key: Array, state: Moments, feedback: Feedback, hp: Hyperparameters) -> Moments:
        del key
        squares = feedback.total * jnp.where(feedback.seen, feedback.reward, 0.0)
        new = Moments(feedback.count, feedback.total, squares)
        return jax.tree.map(lambda old, more: hp.discount * old + more, state, new)

    return Bandit(init, probabilities, update, fresh=True)


def _best(scores: Array, available: Array, hp: Hyperparameters) -> Array:
    best = at_temperature(scores, available, jnp.float32(0.0))
    return with_floor(best, available, jnp.asarray(hp.floor, jnp.float32))
