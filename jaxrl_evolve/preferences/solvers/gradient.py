"""Gradient methods: Adam on a loss of samples, for any parametrisation of the policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from jaxrl_evolve.preferences import losses
from jaxrl_evolve.preferences.solvers.solver import Feedback, Hyperparameters, Parametrisation, Solver

ADAM = optax.scale_by_adam()


class State(NamedTuple):
    """Parameters of the policy, of its reference as it began, and of one that follows; Adam's moments; the number of steps."""

    params: Any
    reference: Any
    following: Any
    optimiser: Any
    steps: Array


Loss = Callable[[Any, Any], Array]
"""``params -> loss``, given what was sampled."""


def _solver(
    parametrisation: Parametrisation,
    sampled: Callable[[Array, State, Feedback, Hyperparameters], Any],
    loss: Callable[[Array, Any, Hyperparameters], Array],
) -> Solver:
    """``sampled`` asks and says what is held fixed; ``loss`` is given the log-probabilities of all options."""

    def init(params: Any) -> State:
        zero = jnp.zeros((), jax.tree.leaves(params)[0].dtype)
        return State(params, params, params, ADAM.init(params), zero)

    def step(key: Array, state: State, feedback: Feedback, hp: Hyperparameters) -> State:
        fixed = sampled(key, state, feedback, hp)
        gradient = jax.grad(lambda params: loss(parametrisation.log_probs(params), fixed, hp))(state.params)
        size = hp.step / (1.0 + hp.decay * state.steps)
        params, optimiser = descended(state.params, gradient, state.optimiser, size)
        following = jax.tree.map(lambda old, new: old + hp.rate * (new - old), state.following, params)
        return State(params, state.reference, following, optimiser, state.steps + 1)

    return Solver(init, step, lambda state: jnp.exp(parametrisation.log_probs(state.params)))


def descended(params: Any, gradient: Any, optimiser: Any, size: Any) -> tuple[Any, Any]:
    """Parameters after a step of Adam, and its moments."""
    direction, optimiser = ADAM.update(gradient, optimiser)
    return jax.tree.map(lambda x, d: x - size * d, params, direction), optimiser


def spo(parametrisation: Parametrisation) -> Solver:
    """SPO (Swamy et al. 2024, arXiv 2401.04056) as a policy gradient: the reward is the win rate in the batch."""
    return _policy_gradient(parametrisation, lambda state: None)


def spo_kl(parametrisation: Parametrisation) -> Solver:
    """`spo` with ``tau`` times the KL divergence from where it began."""
    return _policy_gradient(parametrisation, lambda state: state.reference)


def ema_spo(parametrisation: Parametrisation) -> Solver:
    """`spo` with ``tau`` times the KL divergence from a moving average of itself: no cycles, and in the end no bias."""
    return _policy_gradient(parametrisation, lambda state: state.following)


def _policy_gradient(parametrisation: Parametrisation, magnet: Callable[[State], Any]) -> Solver:
    def sampled(key: Array, state: State, feedback: Feedback, hp: Hyperparameters) -> Any:
        log_p, towards = parametrisation.log_probs(state.params), magnet(state)
        found = feedback.sample(key, jnp.exp(log_p))
        payoff = found.win - 0.5
        if towards is not None:
            payoff = payoff - hp.tau * (log_p - parametrisation.log_probs(towards))[found.option]
        return found, payoff

    def loss(log_p: Array, fixed: Any, hp: Hyperparameters) -> Array:
        found, payoff = fixed
        return losses.reinforce(log_p[found.option], payoff, found.weight)

    return _solver(parametrisation, sampled, loss)


def nash_md_pg(parametrisation: Parametrisation, mixture: float = 0.125) -> Solver:
    """Nash-MD as a policy gradient: against ``pi^(1 - mixture) mu^mixture``, with ``tau`` times the KL divergence from ``mu``."""

    def sampled(key: Array, state: State, feedback: Feedback, hp: Hyperparameters) -> Any:
        log_p, log_mu = map(parametrisation.log_probs, (state.params, state.reference))
        opponent = jax.nn.softmax((1.0 - mixture) * log_p + mixture * log_mu)
        found = feedback.pairs(key, jnp.exp(log_p), opponent)
        return found, found.label - 0.5 - hp.tau * (log_p - log_mu)[found.first]

    def loss(log_p: Array, fixed: Any, hp: Hyperparameters) -> Array:
        found, payoff = fixed
        return losses.reinforce(log_p[found.first], payoff, found.weight)

    return _solver(parametrisation, sampled, loss)


PairLoss = Callable[[Array, Array, Array, Any], Array]


def _on_pairs(parametrisation: Parametrisation, loss_of: PairLoss, online: bool) -> Solver:
    """A loss of pairs: both of the policy as it is (online), or both of the reference, as a data set has them."""

    def sampled(key: Array, state: State, feedback: Feedback, hp: Hyperparameters) -> Any:
        log_mu = parametrisation.log_probs(state.reference)
        p = jnp.exp(parametrisation.log_probs(state.params) if online else log_mu)
        return feedback.pairs(key, p, p), log_mu

    def loss(log_p: Array, fixed: Any, hp: Hyperparameters) -> Array:
        found, log_mu = fixed
        ratio = log_p - log_mu
        return (found.weight * loss_of(ratio[found.first], ratio[found.second], found.label, hp.tau)).sum()

    return _solver(parametrisation, sampled, loss)


def dpo(parametrisation: Parametrisation) -> Solver:
    """DPO on pairs of the reference, each used once: a foil, which no feedback on itself ever reaches."""
    return _on_pairs(parametrisation, losses.dpo, online=False)


def ipo(parametrisation: Parametrisation) -> Solver:
    """IPO on pairs of the reference, each used once: a foil."""
    return _on_pairs(parametrisation, losses.ipo, online=False)


def online_dpo(parametrisation: Parametrisation) -> Solver:
    """DPO on pairs of the policy, with the reference where it began."""
    return _on_pairs(parametrisation, losses.dpo, online=True)


def online_ipo(parametrisation: Parametrisation) -> Solver:
    """Online IPO: IPO on pairs of the policy, with the reference where it began."""
    return _on_pairs(parametrisation, losses.ipo, online=True)
