"""Whole plays as one program: a method on a game, from a start to its end."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrl_evolve.preferences.exploitability import exploitability
from jaxrl_evolve.preferences.solvers.solver import Feedback, Hyperparameters, Solver

LATE = 0.2
"""The share of steps at the end over which the last iterates are averaged."""


class Played(NamedTuple):
    """What came out; exploitabilities in advantage units.

    Attributes:
        average: ``[n]``, the uniform average of the policies before each step.
        last: ``[n]``, the policy after the last step.
        average_curve: ``[records]``, exploitability of the average so far, after equal numbers of steps.
        last_curve: ``[records]``, of the policy then.
        late: mean exploitability of the iterates of the last fifth.
    """

    average: Array
    last: Array
    average_curve: Array
    last_curve: Array
    late: Array


def play(
    solver: Solver,
    feedback: Feedback,
    probs: Float[Array, "n n"],
    params: Any,
    key: Array,
    hp: Hyperparameters,
    steps: int,
    records: int = 1,
) -> Played:
    """Play; pure, to be jitted, and vmapped over starts, keys, numbers and games.

    Args:
        solver: the method.
        feedback: on the game.
        probs: ``P`` of the game, to judge by.
        params: where it begins.
        key: of all draws.
        hp: numbers of the method.
        steps: how many; a multiple of ``records``.
        records: points of the curves.

    Raises:
        ValueError: it is no multiple.
    """
    if steps < 1 or records < 1 or steps % records:
        raise ValueError(
            f"steps is {steps} and records {records}; steps must be a multiple of records, which are at least 1"
        )
    advantage, first_late = probs - probs.T, steps - max(1, int(LATE * steps))

    def one(carry: Any, t: Array) -> tuple[Any, None]:
        state, total, late = carry
        policy = solver.policy(state)
        state = solver.step(jax.random.fold_in(key, t), state, feedback, hp)
        after = exploitability(advantage, solver.policy(state))
        return (state, total + policy, late + jnp.where(t >= first_late, after, 0.0)), None

    def some(carry: Any, record: Array) -> tuple[Any, tuple[Array, Array]]:
        carry, _ = jax.lax.scan(one, carry, record * (steps // records) + jnp.arange(steps // records))
        state, total, _ = carry
        average = total / total.sum()
        return carry, (exploitability(advantage, average), exploitability(advantage, solver.policy(state)))

    zero = jnp.zeros((), probs.dtype)
    start = (solver.init(params), jnp.zeros_like(probs[0]), zero)
    (state, total, late), curves = jax.lax.scan(some, start, jnp.arange(records))
    return Played(total / steps, solver.policy(state), *curves, late / (steps - first_late))
