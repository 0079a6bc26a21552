"""Priorities of the rows of a ring, and draws in proportion to them (Schaul et al. 2016), in two levels of sums.

A sum tree has as many levels as the logarithm of its leaves, one small kernel after the other. Here leaves are added up in
blocks of about the root of their number: a draw looks for a block, then in it. A block's sum is made anew whenever one of
its leaves is set, so that no rounding adds up, however long a run is.
"""

from __future__ import annotations

import math
from dataclasses import replace

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int


@struct.dataclass
class Priorities:
    """Of ``rows * N`` places, row by row.

    Attributes:
        leaves: float32 ``[blocks, rows of a block, N]``, at least 0; 0 is never drawn. The last block may have rows that
            are not there.
        sums: float32 ``[blocks]``.
        highest: float32 scalar, the highest that was ever set, at first 1.
    """

    leaves: Float[Array, "blocks R N"]
    sums: Float[Array, " blocks"]
    highest: Float[Array, ""]


def init_priorities(rows: int, num_envs: int) -> Priorities:
    """All zero."""
    size = max(1, round(math.sqrt(rows / num_envs)))
    blocks = -(-rows // size)
    return Priorities(
        jnp.zeros((blocks, size, num_envs), jnp.float32),
        jnp.zeros((blocks,), jnp.float32),
        jnp.ones((), jnp.float32),
    )


def set_rows(priorities: Priorities, row: Int[Array, " M"], value: Float[Array, " M"]) -> Priorities:
    """All places of some rows get one value each. No row may come twice."""
    size = priorities.leaves.shape[1]
    leaves = priorities.leaves.at[row // size, row % size].set(value[:, None])
    return _summed(replace(priorities, leaves=leaves), row // size)


def set_places(priorities: Priorities, place: Int[Array, " M"], value: Float[Array, " M"]) -> Priorities:
    """Some places get a value each. Of a place that comes twice the last counts; a value that is no finite number is not taken."""
    _, size, num_envs = priorities.leaves.shape
    later = jnp.arange(place.shape[0])
    good = jnp.isfinite(value)
    again = ((place[:, None] == place) & (later[:, None] < later) & good).any(1)
    row, slot = place // num_envs, place % num_envs
    block = jnp.where(good & ~again, row // size, priorities.sums.shape[0])
    leaves = priorities.leaves.at[block, row % size, slot].set(value, mode="drop")
    highest = jnp.maximum(priorities.highest, jnp.max(jnp.where(good, value, 0.0), initial=0.0))
    return _summed(replace(priorities, leaves=leaves, highest=highest), row // size)


def _summed(priorities: Priorities, block: Int[Array, " M"]) -> Priorities:
    """With the sums of some blocks made anew."""
    return replace(priorities, sums=priorities.sums.at[block].set(priorities.leaves[block].sum((1, 2))))


def draw_by_priority(
    priorities: Priorities, key: Array, batch: int
) -> tuple[Int[Array, " M"], Float[Array, " M"]]:
    """Places drawn with replacement, and their probabilities; probability 0 for all where all priorities are."""
    blocks, size, num_envs = priorities.leaves.shape
    uniform = jax.random.uniform(key, (batch,), jnp.float32)
    block, rest = _in(jnp.broadcast_to(priorities.sums, (batch, blocks)), uniform * priorities.sums.sum())
    leaves = priorities.leaves[block].reshape((batch, size * num_envs))
    leaf, _ = _in(leaves, rest)
    mass = jnp.take_along_axis(leaves, leaf[:, None], 1)[:, 0]
    total = priorities.sums.sum()
    return block * size * num_envs + leaf, jnp.where(total > 0, mass / jnp.where(total > 0, total, 1.0), 0.0)


def _in(
    weights: Float[Array, "M W"], point: Float[Array, " M"]
) -> tuple[Int[Array, " M"], Float[Array, " M"]]:
    """Into which of the weights, laid end to end, a point falls, and how far into it; never into one of zero, if one is not."""
    edge = jnp.cumsum(weights, 1)
    index = (edge <= point[:, None]).sum(1).astype(jnp.int32)
    # By rounding a point may lie beyond the last edge.
    last = (weights > 0) * jnp.arange(weights.shape[1], dtype=jnp.int32)
    index = jnp.minimum(index, last.max(1))
    low = jnp.take_along_axis(edge - weights, index[:, None], 1)[:, 0]
    return index, jnp.maximum(point - low, 0.0)
