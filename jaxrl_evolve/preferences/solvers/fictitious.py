"""Fictitious play: the best answer to all that was played so far."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxrl_evolve.preferences.solvers.solver import Feedback, Hyperparameters, Parametrisation, Solver


class State(NamedTuple):
    """Win rates of all options against what was played, added up, and what is played now."""

    won: Array
    playing: Array


def fictitious_play(parametrisation: Parametrisation) -> Solver:
    """Brown 1951. Each iterate is a single option, so only the average can win; it has no numbers to be tuned."""

    def init(params: Any) -> State:
        log_p = parametrisation.log_probs(params)
        return State(jnp.zeros_like(log_p), log_p.argmax().astype(jnp.int32))

    def policy(state: State) -> Array:
        return jax.nn.one_hot(state.playing, state.won.shape[0], dtype=state.won.dtype)

    def step(key: Array, state: State, feedback: Feedback, hp: Hyperparameters) -> State:
        won = state.won + feedback.against(key, policy(state))
        return State(won, won.argmax().astype(jnp.int32))

    return Solver(init, step, policy)
