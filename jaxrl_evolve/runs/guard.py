"""What is done with an update that is not to be trusted: the state of before it is kept."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from jaxrl_envs.fusion import computed_once, only_where


def sound(loss: Array, state: Any) -> Bool[Array, ""]:
    """Whether the loss and every number of a learner's state are finite.

    The loss is that of before the step: a finite one may have a gradient that is not.
    """
    fine = jnp.isfinite(loss)
    # A sum is not finite where one of its numbers is not; to test each number is a twentieth of a small network's update.
    sums = [x.sum() for x in jax.tree.leaves(state) if jnp.issubdtype(x.dtype, jnp.floating)]
    good = fine & jnp.isfinite(sum(sums, jnp.float32(0.0)))
    # Else each array that is kept or not would add up all these sums for itself, in a kernel that is compiled for it.
    return computed_once(good.astype(jnp.int32)) != 0


def put_back(good: Bool[Array, ""], updated: Any, before: Any) -> Any:
    """As `kept`, of states through which nobody differentiates: where an update was good, it costs nothing to take it."""
    return only_where(~good, lambda _: before, updated)


def kept(good: Bool[Array, ""], updated: Any, before: Any) -> Any:
    """The state after an update that was good, else that of before."""
    return jax.tree.map(lambda new, old: jnp.where(good, new, old), updated, before)
