"""Filters on what teaches nothing: groups of episodes that all succeed, or all fail, have no advantage.

An agent of its own chooses what to learn from; here the gate is on the draws: an arm whose last group had no advantage is
drawn less until it has one again.
"""

from __future__ import annotations

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Int

from jaxrl_evolve.curricula.arms.bandit import Bandit, Feedback, Hyperparameters
from jaxrl_evolve.curricula.arms.choice import evenly, with_floor
from jaxrl_evolve.curricula.arms.estimator import Successes, learned, nothing_known, posterior


@struct.dataclass
class State:
    """Successes, and what the last group of each arm was: 1 where all succeeded, -1 where all failed, else 0."""

    successes: Successes
    gate: Int[Array, " arms"]


def filter_only() -> Bandit:
    """Uniform over the arms whose last group had an advantage, and ``floor`` over all: no sampler, only the filter."""

    def probabilities(key: Array, state: State, available: Array, hp: Hyperparameters) -> Array:
        del key
        open_ = available & (state.gate == 0)
        shares = evenly(jnp.where(open_.any(), open_, available))
        return with_floor(shares, available, jnp.asarray(hp.floor, jnp.float32))

    return Bandit(lambda arms, hp: _nothing(arms), probabilities, _update)


def pools() -> Bandit:
    """Three pools, of arms that are too easy, too hard, or neither, with fixed shares of the draws, even within each.

    An arm is too easy where its share of successes is within ``width`` of 1, too hard where it is within ``width`` of 0; a
    group without advantage puts it there at once. The share of an empty pool goes to the others.
    """

    def probabilities(key: Array, state: State, available: Array, hp: Hyperparameters) -> Array:
        del key
        p = posterior(state.successes, hp).mean
        easy = (state.gate == 1) | ((state.gate == 0) & (p >= 1.0 - hp.width))
        hard = (state.gate == -1) | ((state.gate == 0) & (p <= hp.width) & ~easy)
        left = jnp.maximum(1.0 - hp.easy - hp.hard, 0.0)
        shares = ((easy, hp.easy), (hard, hp.hard), (~easy & ~hard, left))
        mixed = sum(share * evenly(pool & available) for pool, share in shares)
        total = jnp.asarray(mixed).sum()
        mixed = jnp.where(total > 0, mixed / jnp.where(total > 0, total, 1.0), evenly(available))
        return with_floor(mixed, available, jnp.asarray(hp.floor, jnp.float32))

    return Bandit(lambda arms, hp: _nothing(arms), probabilities, _update)


def _nothing(arms: int) -> State:
    return State(nothing_known(arms), jnp.zeros((arms,), jnp.int32))


def _update(key: Array, state: State, feedback: Feedback, hp: Hyperparameters) -> State:
    del key
    group = feedback.count >= 2  # one episode has no advantage over itself
    what = jnp.where(feedback.reward >= 1.0, 1, jnp.where(feedback.reward <= 0.0, -1, 0)).astype(jnp.int32)
    return State(learned(state.successes, feedback, hp), jnp.where(group, what, state.gate))
