"""Methods that are a score and a way to draw by it: eva's informativeness, and learnability as it is believed."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array

from jaxrl_evolve.curricula.arms.bandit import Bandit, Hyperparameters
from jaxrl_evolve.curricula.arms.choice import chosen, in_proportion, with_floor
from jaxrl_evolve.curricula.arms.estimator import Successes, believing, posterior
from jaxrl_evolve.curricula.arms.sec import sec


def eva() -> Bandit:
    """In proportion to a moving average of what eva (arXiv 2411.00062) calls informative, the best return less the worst.

    Its other half, new tasks made from the informative ones, is for levels (ACCEL).
    """

    def probabilities(key: Array, value: Array, available: Array, hp: Hyperparameters) -> Array:
        del key
        return with_floor(in_proportion(value, available), available, jnp.asarray(hp.floor, jnp.float32))

    return sec()._replace(probabilities=probabilities)


def learnability() -> Bandit:
    """Softmax of the posterior mean of ``p (1 - p)``, at a target perplexity.

    The prior is what keeps arms alive: evidence of an arm that is not drawn fades, and one without evidence is worth more than
    one that is known to be solved, or hopeless.
    """

    def probabilities(key: Array, state: Successes, available: Array, hp: Hyperparameters) -> Array:
        del key
        return chosen(posterior(state, hp).learnability, available, hp)

    return believing(probabilities)
