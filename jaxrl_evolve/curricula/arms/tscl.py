"""Teacher-student curriculum learning (Matiisen et al. 2017, arXiv 1707.00183): what a task is worth is the slope of its learning curve.

Its four teachers. Each is given the score of every arm that was played, and acts epsilon-greedily (``temperature 0``, epsilon is
``floor``) or by a softmax on the slopes.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from jaxrl_evolve.curricula.arms.bandit import Bandit, Feedback, Hyperparameters, filled
from jaxrl_evolve.curricula.arms.choice import chosen
from jaxrl_evolve.curricula.arms.window import Window, empty_window, with_entry

_UNKNOWN = 1.0  # the slope of an arm with too few scores: it is tried


@struct.dataclass
class Online:
    """Values, the last score of each arm, and whether it has one."""

    values: Float[Array, " arms"]
    before: Float[Array, " arms"]
    known: Bool[Array, " arms"]


def online(absolute: bool = True) -> Bandit:
    """A moving average of the differences of scores; arms that were not played have a difference of 0.

    Args:
        absolute: whether forgetting counts as much as learning.
    """

    def update(key: Array, state: Online, feedback: Feedback, hp: Hyperparameters) -> Online:
        del key
        change, *last = _difference(state.before, state.known, feedback)
        return Online(state.values + hp.step * (change - state.values), *last)

    return Bandit(
        lambda arms, hp: Online(filled(arms, hp.optimism), *_no_scores(arms)),
        lambda key, state, available, hp: chosen(_size(state.values, absolute), available, hp),
        update,
    )


@struct.dataclass
class Pairs:
    """The last times and scores of each arm, values, and the number of updates."""

    times: Window
    scores: Window
    values: Float[Array, " arms"]
    updates: Int[Array, ""]


def naive(window: int = 10, absolute: bool = True) -> Bandit:
    """Values move to the slopes of a stretch of updates, during which nothing changes, and which is then forgotten.

    Args:
        window: updates of a stretch.
        absolute: as in `online`.
    """

    def update(key: Array, state: Pairs, feedback: Feedback, hp: Hyperparameters) -> Pairs:
        del key
        state = _noted(state, feedback)
        over = state.updates % window == 0
        moved = state.values + hp.step * (_slopes(state) - state.values)
        emptied = lambda w: Window(w.values, jnp.where(over, 0, w.written))
        return Pairs(
            emptied(state.times), emptied(state.scores), jnp.where(over, moved, state.values), state.updates
        )

    return Bandit(
        lambda arms, hp: _no_pairs(arms, window, hp.optimism),
        lambda key, state, available, hp: chosen(_size(state.values, absolute), available, hp),
        update,
    )


def windowed(window: int = 10, absolute: bool = True) -> Bandit:
    """The value of an arm is the slope of its last scores.

    Args:
        window: how many scores.
        absolute: as in `online`.
    """

    def update(key: Array, state: Pairs, feedback: Feedback, hp: Hyperparameters) -> Pairs:
        del key, hp
        state = _noted(state, feedback)
        return Pairs(state.times, state.scores, _slopes(state), state.updates)

    return Bandit(
        lambda arms, hp: _no_pairs(arms, window, _UNKNOWN),
        lambda key, state, available, hp: chosen(_size(state.values, absolute), available, hp),
        update,
    )


@struct.dataclass
class Differences:
    """The last differences of scores, the last score of each arm, and whether it has one."""

    differences: Window
    before: Float[Array, " arms"]
    known: Bool[Array, " arms"]


def sampling(window: int = 10, absolute: bool = True) -> Bandit:
    """The value of an arm is one of its last differences, drawn anew for every draw: a bootstrap of Thompson's kind.

    Args:
        window: how many differences.
        absolute: as in `online`.
    """

    def probabilities(key: Array, state: Differences, available: Array, hp: Hyperparameters) -> Array:
        held = state.differences
        entries = held.entries.astype(jnp.int32)
        place = jax.random.uniform(key, entries.shape, jnp.float32) * entries
        place = jnp.minimum(place.astype(jnp.int32), jnp.maximum(entries - 1, 0))
        drawn = jnp.take_along_axis(held.values, place[:, None], 1)[:, 0]
        return chosen(jnp.where(entries > 0, _size(drawn, absolute), _UNKNOWN), available, hp)

    def update(key: Array, state: Differences, feedback: Feedback, hp: Hyperparameters) -> Differences:
        del key, hp
        change, *last = _difference(state.before, state.known, feedback)
        return Differences(with_entry(state.differences, change, feedback.seen & state.known), *last)

    return Bandit(
        lambda arms, hp: Differences(empty_window(arms, window), *_no_scores(arms)),
        probabilities,
        update,
        fresh=True,
    )


def _size(slopes: Array, absolute: bool) -> Array:
    return jnp.abs(slopes) if absolute else slopes


def _no_scores(arms: int) -> tuple[Array, Array]:
    return filled(arms), jnp.zeros((arms,), bool)


def _difference(before: Array, known: Array, feedback: Feedback) -> tuple[Array, Array, Array]:
    """Differences to the scores of before, 0 where there is none; the last scores, and who has one."""
    change = jnp.where(feedback.seen & known, feedback.reward - before, 0.0)
    return change, jnp.where(feedback.seen, feedback.reward, before), known | feedback.seen


def _no_pairs(arms: int, window: int, value: float | Array) -> Pairs:
    zero = jnp.zeros((), jnp.int32)
    return Pairs(empty_window(arms, window), empty_window(arms, window), filled(arms, value), zero)


def _noted(state: Pairs, feedback: Feedback) -> Pairs:
    now = jnp.full_like(feedback.reward, state.updates)
    return Pairs(
        with_entry(state.times, now, feedback.seen),
        with_entry(state.scores, feedback.reward, feedback.seen),
        state.values,
        state.updates + 1,
    )


def _slopes(state: Pairs) -> Array:
    """Least squares of scores by time; `_UNKNOWN` of fewer than two."""
    held: Bool[Array, "arms size"] = state.times.held
    n = jnp.maximum(state.times.entries, 1.0)[:, None]
    centred = lambda x: jnp.where(held, x - jnp.where(held, x, 0.0).sum(1, keepdims=True) / n, 0.0)
    time, score = centred(state.times.values), centred(state.scores.values)
    spread = jnp.square(time).sum(1)
    slope = (time * score).sum(1) / jnp.where(spread > 0, spread, 1.0)
    return jnp.where(state.times.entries >= 2, slope, _UNKNOWN)
