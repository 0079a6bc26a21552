"""A buffer of levels worth living through again, as pure functions over one pytree.

Prioritised level replay (Jiang et al. 2021, arXiv 2010.03934): levels are drawn by the rank of their scores,
mixed with how long ago they were scored. What a level is (any pytree of fixed shapes) and what its score means
is the caller's business; higher scores are replayed more often.

Every level that gets into the buffer has a number of its own. A draw hands the number out with the level, and
whoever brings a score brings it back. So a score never lands on another level that has taken the slot meanwhile,
and "this slot is filled" (it has a number) and "this level is new" (it has none yet) are two different facts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from jaxrl_evolve.curricula.buffer_config import BufferConfig
from jaxrl_evolve.runs.tasks import NEW


@struct.dataclass
class LevelBuffer:
    """Levels with their scores.

    Attributes:
        levels: leaves ``[capacity, ...]``.
        numbers: of the levels, `NEW` in an empty slot.
        scores: float32, minus infinity in an empty slot.
        scored_at: the update that gave the score, counted from 1.
        updates: updates of the buffer so far.
        unused: number of the next level to get in.
    """

    levels: Any
    numbers: Int[Array, " capacity"]
    scores: Float[Array, " capacity"]
    scored_at: Int[Array, " capacity"]
    updates: Int[Array, ""]
    unused: Int[Array, ""]

    @property
    def filled(self) -> Bool[Array, " capacity"]:
        """Which slots hold a level."""
        return self.numbers >= 0


class Draw(NamedTuple):
    """Levels drawn from a buffer.

    Attributes:
        levels: leaves ``[n, ...]``; only those with a number mean anything.
        numbers: int32 ``[n]``, `NEW` where a new level is to be made.
    """

    levels: Any
    numbers: Int[Array, " n"]


def init_buffer(config: BufferConfig, example: Any) -> LevelBuffer:
    """An empty buffer.

    Args:
        config: its settings.
        example: one level, arrays or their shapes and dtypes.
    """
    size = config.capacity
    return LevelBuffer(
        jax.tree.map(lambda x: jnp.zeros((size, *x.shape), x.dtype), example),
        jnp.full((size,), NEW, jnp.int32),
        jnp.full((size,), -jnp.inf, jnp.float32),
        jnp.zeros((size,), jnp.int32),
        jnp.zeros((), jnp.int32),
        jnp.zeros((), jnp.int32),
    )


def log_weights(config: BufferConfig, buffer: LevelBuffer) -> Float[Array, " capacity"]:
    """Logarithm of the probability that a replayed level is that of each slot; minus infinity for empty ones.

    ``(1 - staleness) P_score + staleness P_age`` with ``P_score`` proportional to ``rank^(-1/temperature)``,
    best rank 1, and ``P_age`` to the updates since the level was scored (arXiv 2010.03934, section 3).
    """
    filled = buffer.filled
    best_first = jnp.argsort(-buffer.scores)
    ranks = jnp.zeros_like(buffer.scores).at[best_first].set(jnp.arange(1.0, config.capacity + 1.0))
    by_rank = jnp.where(filled, -jnp.log(ranks) / config.temperature, -jnp.inf)
    by_rank = by_rank - jax.nn.logsumexp(jnp.where(filled.any(), by_rank, 0.0))
    if config.staleness == 0.0:
        return by_rank
    age = jnp.where(filled, buffer.updates - buffer.scored_at, 0).astype(jnp.float32)
    by_age = jnp.where(age.sum() > 0, jnp.log(age) - jnp.log(age.sum()), by_rank)
    shares = jnp.log(jnp.asarray([1.0 - config.staleness, config.staleness], jnp.float32))
    return jnp.logaddexp(shares[0] + by_rank, shares[1] + by_age)


def sample_levels(
    config: BufferConfig,
    key: Array,
    buffer: LevelBuffer,
    wanted: Bool[Array, " n"],
    occupied: Int[Array, " m"] | None = None,
) -> Draw:
    """Decide who replays a level, and deal out levels one after the other, none of them twice.

    Whoever finds no level left gets none.

    Args:
        config: settings of the buffer.
        key: randomness.
        buffer: where levels come from.
        wanted: who wants a level; others get `NEW` and use up none.
        occupied: numbers of levels that are not to be drawn; others in it mean nothing.
    """
    key_replay, key_levels = jax.random.split(key)
    logits = log_weights(config, buffer)
    if occupied is not None:
        logits = jnp.where(jnp.isin(buffer.numbers, occupied), -jnp.inf, logits)
    logits = jnp.where(buffer.filled.mean() >= config.min_fill, logits, -jnp.inf)
    # The largest of perturbed logits are draws without replacement, in the order of the draws.
    perturbed = logits + jax.random.gumbel(key_levels, logits.shape)
    value, order = jax.lax.top_k(perturbed, min(wanted.size, config.capacity))
    replay = wanted & jax.random.bernoulli(key_replay, config.replay_probability, wanted.shape)
    turn = jnp.maximum(jnp.cumsum(replay) - 1, 0)
    at = jnp.minimum(turn, order.size - 1)
    replay &= (turn < order.size) & jnp.isfinite(value[at])
    slot = order[at]
    return Draw(
        jax.tree.map(lambda x: x[slot], buffer.levels),
        jnp.where(replay, buffer.numbers[slot], NEW),
    )


def update_buffer(
    buffer: LevelBuffer,
    numbers: Int[Array, " n"],
    levels: Any,
    scores: Float[Array, " n"],
    valid: Bool[Array, " n"],
) -> LevelBuffer:
    """Take over scores: of levels in the buffer in place, then the best of the others in place of the worst.

    A level that is not in the buffer (any more) gets in if a slot is empty or if its score is above the lowest there.
    One that comes several times counts once, with its mean score. No slot is written to twice.

    Args:
        buffer: the buffer before.
        numbers: as drawn, `NEW` for new levels.
        levels: leaves ``[n, ...]``.
        scores: of the levels; one that is not finite is none.
        valid: which entries count.
    """
    valid &= jnp.isfinite(scores)
    numbers = jnp.where(valid, numbers, NEW)
    entries = jnp.arange(numbers.size)
    alike = (numbers[:, None] == numbers[None, :]) & (numbers >= 0)[:, None]
    alike |= entries[:, None] == entries[None, :]
    scores = jnp.where(alike, jnp.where(valid, scores, 0.0)[None, :], 0.0).sum(1) / alike.sum(1)
    first = valid & (jnp.argmax(alike, axis=1) == entries)

    now = buffer.updates + 1
    nowhere = buffer.numbers.size  # an index out of bounds: such writes are dropped
    match = (numbers[:, None] == buffer.numbers[None, :]) & (numbers >= 0)[:, None]
    known = match.any(1)
    slots = jnp.where(first & known, jnp.argmax(match, axis=1), nowhere)
    write = lambda into, at, values: into.at[at].set(values, mode="drop")
    buffer = replace(
        buffer,
        scores=write(buffer.scores, slots, scores),
        scored_at=write(buffer.scored_at, slots, now),
    )

    # The i-th best candidate meets the i-th lowest slot: the outcome of one insertion after the other.
    count = min(numbers.size, nowhere)
    candidates = jnp.where(first & ~known, scores, -jnp.inf)
    best, lowest = jnp.argsort(-candidates)[:count], jnp.argsort(buffer.scores)[:count]
    enters = candidates[best] > buffer.scores[lowest]
    at = jnp.where(enters, lowest, nowhere)
    own = jnp.where(numbers[best] >= 0, numbers[best], buffer.unused + jnp.arange(count, dtype=jnp.int32))
    return LevelBuffer(
        jax.tree.map(lambda old, new: write(old, at, new[best]), buffer.levels, levels),
        write(buffer.numbers, at, own),
        write(buffer.scores, at, candidates[best]),
        write(buffer.scored_at, at, now),
        now,
        buffer.unused + enters.sum(dtype=jnp.int32),
    )
