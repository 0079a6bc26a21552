"""What windows of a replay buffer say of their first step: n-step returns, and which later states belong to its episode."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxrl_evolve.experience.replay import Window


class NStep(NamedTuple):
    """An ``n``-step return (Sutton 1988), ``reward + discount * value(successor)``; leaves ``[B]``.

    Attributes:
        reward: float32, ``sum_k gamma^k r_{t+k}`` up to the first end or to ``n`` steps.
        discount: float32, ``gamma^m`` of the successor; 0 where the task ended.
        offset: int32 ``m``, how many steps after the start the successor is.
        known: bool; not where the successor is not held any more, so that the return says nothing.
    """

    reward: Float[Array, " B"]
    discount: Float[Array, " B"]
    offset: Int[Array, " B"]
    known: Bool[Array, " B"]


def n_step(
    window: Window,
    n: Int[Array, ""] | int,
    gamma: Float[Array, ""] | float,
    legacy_bootstrap_offset: bool = False,
) -> NStep:
    """The return of the first step of each window.

    A time limit within the ``n`` steps shortens them: rewards up to it, and the value of the true successor.

    Args:
        window: of at least ``n`` steps ahead.
        n: steps, at least 1; may be traced.
        gamma: discount factor.
        legacy_bootstrap_offset: take the state one step too early, and miss an end of the last of the ``n`` steps, as
            the published JAX code of SPR and BBF does; to reproduce what was measured with it.
    """
    length = window.reward.shape[1]
    step = jnp.arange(length)
    ended = window.ended & (step < (jnp.asarray(n) - 1 if legacy_bootstrap_offset else n))
    before = jnp.cumsum(ended, 1) - ended == 0  # no end before this step
    counted = before & (step < n)
    power = jnp.asarray(gamma, jnp.float32) ** step
    reward = jnp.where(counted, power * window.reward, 0.0).sum(1)
    taken = counted.sum(1, dtype=jnp.int32)
    terminated = (window.terminated & ended & before).any(1)
    discount = jnp.where(terminated, 0.0, jnp.asarray(gamma, jnp.float32) ** taken)
    cut = (ended & before).any(1) & ~terminated
    offset = taken - jnp.where(cut, 0, 1) if legacy_bootstrap_offset else taken
    return NStep(reward, discount, offset, window.known | ~cut)
