"""The learner interface: pure functions over a state pytree, in the manner of optax and blackjax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
from jaxtyping import Array

from jaxrl_evolve.trajectory import PolicyOutput

Mode = Literal["explore", "sample", "greedy"]
"""How to act: ``explore`` records what training needs; ``sample`` draws and ``greedy`` takes the mode
of the policy for evaluation."""


class Learner(NamedTuple):
    """A learning algorithm for a fixed number of parallel environments.

    Attributes:
        name: for reports.
        init: ``(key, hp) -> state``.
        actor: ``state -> actor``, the part of the state that acting reads; taken once per rollout.
        act: ``(actor, obs [N, ...], first [N], memory, key, mode) -> (action [N, ...], memory,
            PolicyOutput with leaves [N, ...])``. ``mode`` is static.
        update: ``(key, state, trajectory [T, N, ...], hp, eta, clock) -> (state, metrics)``; metrics is a dict
            of float32 scalars with the same keys on every call, among them ``loss``, which is not finite if
            the update is not to be trusted.
        initial_memory: ``num_envs -> memory`` before the first observation of an episode.
        init_objective: ``key -> eta``, parameters of the objective it was built with.
        default_hp: the traced hyperparameters, a pytree of float32 scalars.
    """

    name: str
    init: Callable[[jax.Array, Any], Any]
    actor: Callable[[Any], Any]
    act: Callable[..., tuple[Any, Any, PolicyOutput]]
    update: Callable[..., tuple[Any, dict[str, Array]]]
    initial_memory: Callable[[int], Any]
    init_objective: Callable[[jax.Array], Any]
    default_hp: Any
