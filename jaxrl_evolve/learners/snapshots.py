"""Policies of before, kept as a uniform sample of all of them: whoever draws one for each episode plays the average policy."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Int


@struct.dataclass
class Snapshots:
    """A reservoir.

    Attributes:
        actor: what acting reads of a learner, leaves ``[K, ...]``; before ``K`` were offered, the rest is the first of all.
        seen: int32 scalar, how many were offered.
    """

    actor: Any
    seen: Int[Array, ""]

    @classmethod
    def of(cls, actor: Any, size: int) -> Snapshots:
        """Room for ``size``, none of them offered yet."""
        many = jax.tree.map(lambda x: jnp.repeat(jnp.asarray(x)[None], size, 0), actor)
        return cls(many, jnp.zeros((), jnp.int32))


def offer(key: Array, snapshots: Snapshots, actor: Any) -> Snapshots:
    """The reservoir after one more policy: each of all that were offered is in it with the same probability (Vitter 1985, algorithm R)."""
    size = jax.tree.leaves(snapshots.actor)[0].shape[0]
    drawn = jax.random.randint(key, (), 0, snapshots.seen + 1, jnp.int32)
    place = jnp.where(snapshots.seen < size, snapshots.seen, drawn)  # beyond the end it is not kept
    put = lambda room, new: room.at[place].set(new, mode="drop")
    return Snapshots(jax.tree.map(put, snapshots.actor, actor), snapshots.seen + 1)
