"""Learning progress (Kanitscheider et al. 2021, arXiv 2106.14876) and OMNI's filter of what is interesting (Zhang et al. 2024, arXiv 2306.01711)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from jaxrl_evolve.curricula.arms.bandit import Bandit, Feedback, Hyperparameters, filled
from jaxrl_evolve.curricula.arms.choice import evenly, with_floor
from jaxrl_evolve.curricula.arms.given import not_given, pairs, shares

_HIGHEST_BASE = 0.75


@struct.dataclass
class State:
    """Averages of success that follow quickly and slowly, whether there are any, what came since they last moved, and updates."""

    fast: Float[Array, " arms"]
    slow: Float[Array, " arms"]
    known: Bool[Array, " arms"]
    won: Float[Array, " arms"]
    played: Float[Array, " arms"]
    updates: Int[Array, ""]


def learning_progress(every: int = 1, base: float | Sequence[float] = 0.0) -> Bandit:
    """Arms whose success changes, up or down.

    Args:
        every: updates after which the averages move, by all episodes since.
        base: share of successes of a random policy, of all arms or of each, which is no merit; at most 0.75 of it counts.

    Raises:
        ValueError: the base is no share.
    """
    least = np.minimum(shares("base", base, one=True), np.float32(_HIGHEST_BASE))

    def probabilities(key: Array, state: State, available: Array, hp: Hyperparameters) -> Array:
        del key
        return with_floor(_by_progress(state, available, hp), available, jnp.asarray(hp.floor, jnp.float32))

    def update(key: Array, state: State, feedback: Feedback, hp: Hyperparameters) -> State:
        del key
        return _moved(state, feedback, hp, every, jnp.asarray(least))

    return Bandit(lambda arms, hp: _nothing(arms), probabilities, update)


def omni(boring: Sequence[Sequence[Any]] = (), every: int = 1, base: float | Sequence[float] = 0.0) -> Bandit:
    """Learning progress among the arms that are interesting; what is left to others is a factor ``dull``.

    Args:
        boring: rows and columns by arm: whether the arm of the column is boring to whom does that of the row well, as a language
            model was asked once. Without any, `learning_progress`.
        every: as in `learning_progress`.
        base: as in `learning_progress`.

    Raises:
        ValueError: the base is no share, or the table is none.
    """
    plain = learning_progress(every, base)
    if not_given(boring):
        return plain
    table = pairs("boring", boring)

    def probabilities(key: Array, state: State, available: Array, hp: Hyperparameters) -> Array:
        del key
        fine = interesting(state.fast, jnp.asarray(table), available)
        progress = _by_progress(state, available, hp)
        weights = progress * jnp.where(fine, 1.0, hp.dull)
        total = weights.sum()
        # With ``dull`` 0, what is interesting may be what cannot be learned: then interest says nothing.
        shares = jnp.where(total > 0, weights / jnp.where(total > 0, total, 1.0), progress)
        return with_floor(shares, available, jnp.asarray(hp.floor, jnp.float32))

    return Bandit(plain.init, probabilities, plain.update)


def interesting(
    success: Float[Array, " arms"], boring: Bool[Array, "arms arms"], available: Bool[Array, " arms"]
) -> Bool[Array, " arms"]:
    """From the arm of the highest success to that of the lowest: one that was not called boring is interesting, and says what is not."""
    order = jnp.argsort(-jnp.where(available, success, -jnp.inf))

    def visit(i: Array, labels: tuple[Array, Array]) -> tuple[Array, Array]:
        fine, dull = labels
        arm = order[i]
        now = available[arm] & ~dull[arm]
        fine = fine.at[arm].set(now)
        return fine, dull | (now & boring[arm] & ~fine)

    nobody = jnp.zeros_like(available)
    return jax.lax.fori_loop(0, available.shape[0], visit, (nobody, nobody))[0]


def reweighted(p: Float[Array, " arms"], theta: Array) -> Float[Array, " arms"]:
    """``(1 - theta) p / (p + theta (1 - 2 p))``: small shares are stretched, so that 5 % after 1 % counts."""
    return (1.0 - theta) * p / jnp.maximum(p + theta * (1.0 - 2.0 * p), 1e-12)


def _nothing(arms: int) -> State:
    zeros = filled(arms)
    return State(zeros, zeros, jnp.zeros((arms,), bool), zeros, zeros, jnp.zeros((), jnp.int32))


def _moved(state: State, feedback: Feedback, hp: Hyperparameters, every: int, base: Array) -> State:
    won = state.won + jnp.clip(feedback.total, 0.0, feedback.count)
    played, updates = state.played + feedback.count, state.updates + 1
    now = updates % every == 0
    measured = now & (played > 0)
    q = jnp.maximum(won / jnp.maximum(played, 1.0) - base, 0.0) / (1.0 - base)
    fast = jnp.where(state.known, state.fast + hp.fast * (q - state.fast), q)
    slow = jnp.where(state.known, state.slow + hp.slow * (fast - state.slow), q)
    return State(
        jnp.where(measured, fast, state.fast),
        jnp.where(measured, slow, state.slow),
        state.known | measured,
        jnp.where(now, 0.0, won),
        jnp.where(now, 0.0, played),
        updates,
    )


def _by_progress(state: State, available: Array, hp: Hyperparameters) -> Array:
    theta = jnp.asarray(hp.reweight, jnp.float32)
    progress = jnp.abs(reweighted(state.fast, theta) - reweighted(state.slow, theta))
    # Of an arm that was never measured nobody knows that it cannot be learned.
    able = available & ((progress > 0) | (state.fast > 0) | ~state.known)
    able = jnp.where(able.any(), able, available)
    share = evenly(able)
    mean = (share * progress).sum()
    deviation = jnp.sqrt((share * jnp.square(progress - mean)).sum())
    z = (progress - mean) / jnp.where(deviation > 0, deviation, 1.0)
    weights = jnp.where(able, jax.nn.sigmoid(z), 0.0)
    return weights / weights.sum()
