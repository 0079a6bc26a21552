"""Multiplicative weights and kin: closed-form steps on the log-probabilities of all options.

``P p`` is the win rate of every option against the policy ``p``, ``mu`` the reference. Without ``tau`` a method plays the game
itself, with it the one in which both players pay ``tau KL(. | mu)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxrl_evolve.preferences.solvers.solver import Feedback, Hyperparameters, Parametrisation, Solver


class State(NamedTuple):
    """Log-probabilities ``[n]`` of the policy, its reference and a second one, the last win rates, and the number of steps."""

    policy: Array
    reference: Array
    anchor: Array
    before: Array
    steps: Array


Update = Callable[[Array, State, Feedback, Hyperparameters, Array], tuple[Array, Array]]
"""``(key, state, feedback, hp, step size) -> (policy, win rates)``."""


def _solver(parametrisation: Parametrisation, update: Update, asks: int = 1, anchor_every: int = 0) -> Solver:
    def init(params: Any) -> State:
        log_p = parametrisation.log_probs(params)
        return State(log_p, log_p, log_p, jnp.full_like(log_p, jnp.nan), jnp.zeros((), log_p.dtype))

    def step(key: Array, state: State, feedback: Feedback, hp: Hyperparameters) -> State:
        size = hp.step / (1.0 + hp.decay * state.steps)
        policy, win = update(key, state, feedback, hp, size)
        policy, steps = jax.nn.log_softmax(policy), state.steps + 1
        moved = steps % anchor_every == 0 if anchor_every else False
        return State(policy, state.reference, jnp.where(moved, policy, state.anchor), win, steps)

    return Solver(init, step, lambda state: jnp.exp(state.policy), asks)


def hedge(parametrisation: Parametrisation) -> Solver:
    """Hedge, or multiplicative weights (Freund and Schapire 1999), in self-play: ``p exp(step P p)``; SPO's theoretical form."""

    def update(
        key: Array, state: State, feedback: Feedback, hp: Hyperparameters, size: Array
    ) -> tuple[Array, Array]:
        win = feedback.against(key, jnp.exp(state.policy))
        return state.policy + size * win, win

    return _solver(parametrisation, update)


def omwu(parametrisation: Parametrisation) -> Solver:
    """Optimistic multiplicative weights (Rakhlin and Sridharan 2013): the last change is expected once more."""

    def update(
        key: Array, state: State, feedback: Feedback, hp: Hyperparameters, size: Array
    ) -> tuple[Array, Array]:
        win = feedback.against(key, jnp.exp(state.policy))
        return state.policy + size * _optimistic(win, state.before), win

    return _solver(parametrisation, update)


def omwu_kl(parametrisation: Parametrisation) -> Solver:
    """`omwu` of the regularised game."""

    def update(
        key: Array, state: State, feedback: Feedback, hp: Hyperparameters, size: Array
    ) -> tuple[Array, Array]:
        win = feedback.against(key, jnp.exp(state.policy))
        return _pulled(state, size * hp.tau) + size * _optimistic(win, state.before), win

    return _solver(parametrisation, update)


def mirror_descent(parametrisation: Parametrisation) -> Solver:
    """Mirror descent on the regularised game; with all options seen it is what online IPO does."""

    def update(
        key: Array, state: State, feedback: Feedback, hp: Hyperparameters, size: Array
    ) -> tuple[Array, Array]:
        win = feedback.against(key, jnp.exp(state.policy))
        return _pulled(state, size * hp.tau) + size * win, win

    return _solver(parametrisation, update)


def nash_md(parametrisation: Parametrisation) -> Solver:
    """Nash-MD (Munos et al. 2023, arXiv 2312.00886): the opponent is the geometric mixture of policy and reference."""

    def update(
        key: Array, state: State, feedback: Feedback, hp: Hyperparameters, size: Array
    ) -> tuple[Array, Array]:
        mixture = jax.nn.log_softmax(_pulled(state, size * hp.tau))
        win = feedback.against(key, jnp.exp(mixture))
        return mixture + size * win, win

    return _solver(parametrisation, update)


def egpo(parametrisation: Parametrisation) -> Solver:
    """Extragradient preference optimisation (Zhou et al. 2025, arXiv 2503.08942): a half step, and a whole one with what is found there.

    Nash mirror prox (the first version of arXiv 2505.19731) is the same with ``step / (1 + step tau)`` for the step.
    """

    def update(
        key: Array, state: State, feedback: Feedback, hp: Hyperparameters, size: Array
    ) -> tuple[Array, Array]:
        here, there = jax.random.split(key)
        base = _pulled(state, size * hp.tau)
        half = jax.nn.softmax(base + size * feedback.against(here, jnp.exp(state.policy)))
        win = feedback.against(there, half)
        return base + size * win, win

    return _solver(parametrisation, update, asks=2)


def nash_prox(parametrisation: Parametrisation, every: int = 20) -> Solver:
    """After Nash Prox (Tiapkin et al. 2026, arXiv 2505.19731): mirror descent inside proximal points.

    Beside the reference, the policy is drawn with weight ``rate`` to an anchor, which it becomes itself every ``every`` steps:
    the inner problem is strongly regularised, and the outer one forgets the anchor.
    """

    def update(
        key: Array, state: State, feedback: Feedback, hp: Hyperparameters, size: Array
    ) -> tuple[Array, Array]:
        win = feedback.against(key, jnp.exp(state.policy))
        drawn = jnp.minimum(size * hp.rate, 1.0) * (state.anchor - state.policy)
        return _pulled(state, size * hp.tau) + drawn + size * win, win

    return _solver(parametrisation, update, anchor_every=every)


def _pulled(state: State, share: Array) -> Array:
    share = jnp.minimum(share, 1.0)
    return (1.0 - share) * state.policy + share * state.reference


def _optimistic(win: Array, before: Array) -> Array:
    return 2.0 * win - jnp.where(jnp.isnan(before), win, before)
