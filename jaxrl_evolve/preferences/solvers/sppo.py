"""SPPO: each round regresses log-ratios on win rates, from the policy that was sampled."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxrl_evolve.preferences import losses
from jaxrl_evolve.preferences.solvers.gradient import ADAM, descended
from jaxrl_evolve.preferences.solvers.solver import Feedback, Hyperparameters, Parametrisation, Solver


class State(NamedTuple):
    """Parameters and the number of rounds; Adam begins anew with each, as the reference does."""

    params: Any
    steps: Array


def sppo(parametrisation: Parametrisation, baseline: losses.Baseline = "half", inner: int = 20) -> Solver:
    """SPPO (Wu et al. 2024, arXiv 2405.00675) with any number of samples, all of which enter the loss.

    Args:
        parametrisation: of the policy.
        baseline: see `losses.sppo`.
        inner: steps of Adam in a round, all on the same samples.
    """

    def init(params: Any) -> State:
        return State(params, jnp.zeros((), jax.tree.leaves(params)[0].dtype))

    def step(key: Array, state: State, feedback: Feedback, hp: Hyperparameters) -> State:
        before = parametrisation.log_probs(state.params)
        found = feedback.sample(key, jnp.exp(before))
        size = hp.step / (1.0 + hp.decay * state.steps)

        def loss(params: Any) -> Array:
            ratio = (parametrisation.log_probs(params) - before)[found.option]
            return losses.sppo(ratio, found.win, hp.eta, baseline, found.weight)

        def descend(carry: Any, _: Any) -> tuple[Any, None]:
            params, optimiser = carry
            return descended(params, jax.grad(loss)(params), optimiser, size), None

        (params, _), _ = jax.lax.scan(descend, (state.params, ADAM.init(state.params)), length=inner)
        return State(params, state.steps + 1)

    return Solver(init, step, lambda state: jnp.exp(parametrisation.log_probs(state.params)))
