"""Curricula that only know an order of the arms, or none: uniform, easy to hard, hard to easy."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array

from jaxrl_evolve.curricula.arms.bandit import Bandit, Hyperparameters
from jaxrl_evolve.curricula.arms.choice import evenly, with_floor
from jaxrl_evolve.curricula.arms.estimator import Successes, believing, posterior


def uniform() -> Bandit:
    """Every arm alike: the baseline that every other method has to beat."""
    return Bandit(
        lambda arms, hp: (),
        lambda key, state, available, hp: evenly(available),
        lambda key, state, feedback, hp: state,
    )


def ordered(reverse: bool = False) -> Bandit:
    """The first arm, in the order in which they are given, that is not mastered by now; the last if all are.

    An arm is mastered where the posterior mean of its success is at least ``mastery``. Evidence decays, so one that has
    not been drawn for long is tried again.

    Args:
        reverse: go from the last arm to the first.
    """

    def probabilities(key: Array, state: Successes, available: Array, hp: Hyperparameters) -> Array:
        del key
        place = jnp.arange(available.shape[0], dtype=jnp.float32)
        place = -place if reverse else place
        open_ = available & (posterior(state, hp).mean < hp.mastery)
        first = jnp.where(open_, place, jnp.inf).min()
        last = jnp.where(available, place, -jnp.inf).max()
        now = jnp.where(open_.any(), first, last)
        return with_floor((place == now).astype(jnp.float32), available, jnp.asarray(hp.floor, jnp.float32))

    return believing(probabilities)
