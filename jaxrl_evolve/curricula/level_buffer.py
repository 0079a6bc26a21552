"""A buffer of levels worth living through again, as pure functions over one pytree.

Prioritised level replay (Jiang et al. 2021, arXiv 2010.03934): levels are drawn by their scores, mixed with how
long ago they were scored. What a level is (any pytree of fixed shapes) and what its score means is the caller's
business; higher scores are replayed more often. What else is known of a level (`LevelBuffer.extras`) moves with it.

Every level that gets into the buffer has a number of its own. A draw hands the number out with the level, and
whoever brings a score brings it back. So a score never lands on another level that has taken the slot meanwhile,
and "this slot is filled" (it has a number) and "this level is new" (it has none yet) are two different facts. In a
buffer of unique levels a hash of 64 bits says which are the same, whether they come with a number or not.

Nothing is inserted one after the other: the best candidates meet the lowest slots in one merge of two top-k.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from jaxrl_evolve.curricula.buffer_config import BufferConfig
from jaxrl_evolve.curricula.level_hash import hash_levels
from jaxrl_evolve.runs.tasks import NEW


@struct.dataclass
class LevelBuffer:
    """Levels with their scores.

    Attributes:
        levels: leaves ``[capacity, ...]``.
        numbers: of the levels, `NEW` in an empty slot.
        scores: float32, minus infinity in an empty slot.
        scored_at: the last update in which the level was visited, counted from 1, whether or not that gave a score.
        updates: updates of the buffer so far.
        unused: number of the next level to get in.
        extras: what else is known of the levels, leaves ``[capacity, ...]``.
        hashes: of the levels, uint32 ``[capacity, 2]``, or ``()`` where equal levels are not told.
    """

    levels: Any
    numbers: Int[Array, " capacity"]
    scores: Float[Array, " capacity"]
    scored_at: Int[Array, " capacity"]
    updates: Int[Array, ""]
    unused: Int[Array, ""]
    extras: Any = ()
    hashes: Any = ()

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


class Found(NamedTuple):
    """Where levels are in a buffer.

    Attributes:
        slot: int32 ``[n]``, the buffer's capacity of those that are not there.
        alike: bool ``[n, n]``, which of them are the same level; every one is itself.
    """

    slot: Int[Array, " n"]
    alike: Bool[Array, "n n"]


def init_buffer(config: BufferConfig, example: Any, extras: Any = ()) -> LevelBuffer:
    """An empty buffer.

    Args:
        config: its settings.
        example: one level, arrays or their shapes and dtypes.
        extras: what else is known of a level, of one that is not there: arrays.
    """
    size = config.capacity
    return LevelBuffer(
        jax.tree.map(lambda x: jnp.zeros((size, *x.shape), x.dtype), example),
        jnp.full((size,), NEW, jnp.int32),
        jnp.full((size,), -jnp.inf, jnp.float32),
        jnp.zeros((size,), jnp.int32),
        jnp.zeros((), jnp.int32),
        jnp.zeros((), jnp.int32),
        jax.tree.map(lambda x: jnp.broadcast_to(x, (size, *jnp.shape(x))), extras),
        jnp.zeros((size, 2), jnp.uint32) if config.unique else (),
    )


def log_weights(config: BufferConfig, buffer: LevelBuffer) -> Float[Array, " capacity"]:
    """Logarithm of the probability that a replayed level is that of each slot; minus infinity for empty ones.

    ``(1 - staleness) P_score + staleness P_age``, with ``P_age`` proportional to the updates since the level was
    scored (arXiv 2010.03934, section 3). ``P_score`` is proportional to ``rank^(-1/temperature)``, best rank 1; to
    ``max(score, 0)^(1/temperature)``; or even among the ``top`` highest.
    """
    filled = buffer.filled
    by_score = _by_score(config, buffer)
    by_score = by_score - jax.nn.logsumexp(jnp.where(filled.any(), by_score, 0.0))
    if config.staleness == 0.0:
        return by_score
    age = jnp.where(filled, buffer.updates - buffer.scored_at, 0).astype(jnp.float32)
    by_age = jnp.where(age.sum() > 0, jnp.log(age) - jnp.log(age.sum()), by_score)
    shares = jnp.log(jnp.asarray([1.0 - config.staleness, config.staleness], jnp.float32))
    return jnp.logaddexp(shares[0] + by_score, shares[1] + by_age)


def _by_score(config: BufferConfig, buffer: LevelBuffer) -> Float[Array, " capacity"]:
    filled = buffer.filled
    if config.prioritisation == "proportional":
        positive = jnp.where(filled, jnp.maximum(buffer.scores, 0.0), 0.0)
        evenly = jnp.where(filled, 0.0, -jnp.inf)
        return jnp.where((positive > 0).any(), jnp.log(positive) / config.temperature, evenly)
    best_first = jnp.argsort(-buffer.scores)
    ranks = jnp.zeros_like(buffer.scores).at[best_first].set(jnp.arange(1.0, config.capacity + 1.0))
    if config.prioritisation == "top-k":
        return jnp.where(filled & (ranks <= config.top), 0.0, -jnp.inf)
    return jnp.where(filled, -jnp.log(ranks) / config.temperature, -jnp.inf)


def sample_levels(
    config: BufferConfig,
    key: Array,
    buffer: LevelBuffer,
    wanted: Bool[Array, " n"],
    occupied: Int[Array, " m"] | None = None,
    logits: Float[Array, " capacity"] | None = None,
) -> Draw:
    """Decide who replays a level, and deal out levels, none of them twice unless `BufferConfig.repeats`.

    Whoever finds no level left gets none.

    Args:
        config: settings of the buffer.
        key: randomness.
        buffer: where levels come from.
        wanted: who wants a level; others get `NEW` and use up none.
        occupied: numbers of levels that are not to be drawn; others in it mean nothing.
        logits: logarithms of other weights than `log_weights`.
    """
    key_replay, key_levels = jax.random.split(key)
    logits = log_weights(config, buffer) if logits is None else logits
    if occupied is not None:
        logits = jnp.where(jnp.isin(buffer.numbers, occupied), -jnp.inf, logits)
    enough = buffer.filled.mean() >= config.min_fill
    if (
        config.unique
    ):  # less than a new level an update: there are hardly more, and the buffer may never be fuller
        enough |= buffer.updates > buffer.unused
    logits = jnp.where(enough, logits, -jnp.inf)
    replay = wanted & jax.random.bernoulli(key_replay, config.replay_probability, wanted.shape)
    if config.repeats:
        slot = _drawn_with_repeats(key_levels, logits, wanted.size)
        replay &= jnp.isfinite(logits).any()
    else:
        # The largest of perturbed logits are draws without replacement, in the order of the draws.
        perturbed = logits + jax.random.gumbel(key_levels, logits.shape)
        value, order = jax.lax.top_k(perturbed, min(wanted.size, config.capacity))
        turn = jnp.maximum(jnp.cumsum(replay) - 1, 0)
        at = jnp.minimum(turn, order.size - 1)
        replay &= (turn < order.size) & jnp.isfinite(value[at])
        slot = order[at]
    return Draw(
        jax.tree.map(lambda x: x[slot], buffer.levels),
        jnp.where(replay, buffer.numbers[slot], NEW),
    )


def _drawn_with_repeats(key: Array, logits: Float[Array, " capacity"], count: int) -> Int[Array, " n"]:
    """Slots by the inverse of their distribution function: one pass, however many are drawn."""
    highest = jnp.where(jnp.isfinite(logits).any(), logits.max(), 0.0)
    up_to = jnp.cumsum(jnp.exp(logits - highest))
    drawn = (1.0 - jax.random.uniform(key, (count,))) * up_to[-1]  # above 0, so that no empty slot is first
    return jnp.minimum(jnp.searchsorted(up_to, drawn), logits.size - 1).astype(jnp.int32)


def find(buffer: LevelBuffer, numbers: Int[Array, " n"], levels: Any, valid: Bool[Array, " n"]) -> Found:
    """Where levels are in the buffer, and which of them are the same.

    Args:
        buffer: of unique levels, or of others.
        numbers: as drawn, `NEW` for new levels.
        levels: leaves ``[n, ...]``.
        valid: the others are nowhere and like no other.
    """
    capacity = buffer.numbers.size
    if isinstance(buffer.hashes, tuple):
        own, there = (numbers,), (buffer.numbers,)
        valid &= numbers >= 0
    else:
        own, there = tuple(hash_levels(levels).T), tuple(buffer.hashes.T)
    alike, match = valid[:, None] & valid[None], valid[:, None] & buffer.filled[None]
    for mine, theirs in zip(own, there, strict=True):
        alike &= mine[:, None] == mine[None]
        match &= mine[:, None] == theirs[None]
    slot = jnp.where(match, jnp.arange(capacity, dtype=jnp.int32)[None], capacity).min(1)
    return Found(slot, alike | jnp.eye(numbers.size, dtype=bool))


def update_buffer(
    buffer: LevelBuffer,
    numbers: Int[Array, " n"],
    levels: Any,
    scores: Float[Array, " n"],
    valid: Bool[Array, " n"],
    extras: Any = (),
) -> LevelBuffer:
    """Take over scores: of levels in the buffer in place, then the best of the others in place of the worst.

    A level of the buffer that comes without a score keeps the one it has, but what else is known of it, and when it was visited, is new: else
    evidence that is gathered visit by visit would never be enough for a score. A level that is not in the buffer (any more) gets in if a slot is empty or if its score is above the lowest there.
    One that comes several times counts once, with its mean score and the extras of the first that has one. No slot is written to twice.

    Args:
        buffer: the buffer before.
        numbers: as drawn, `NEW` for new levels.
        levels: leaves ``[n, ...]``.
        scores: of the levels; one that is not finite is none.
        valid: which entries count.
        extras: what else is known of them by now, leaves ``[n, ...]``.
    """
    scored = valid & jnp.isfinite(scores)
    numbers = jnp.where(valid, numbers, NEW)
    slot, alike = find(buffer, numbers, levels, valid)
    told = alike & scored[None]
    scores = jnp.where(told, jnp.where(scored, scores, 0.0)[None, :], 0.0).sum(1) / jnp.maximum(
        told.sum(1), 1
    )
    # Of a level that comes several times, the first with a score, else the first.
    first = valid & (jnp.argmax(alike.astype(jnp.int32) + told, axis=1) == jnp.arange(numbers.size))
    scored = first & told.any(1)

    now = buffer.updates + 1
    nowhere = buffer.numbers.size  # an index out of bounds: such writes are dropped
    write = lambda into, at, values: jax.tree.map(lambda x, y: x.at[at].set(y, mode="drop"), into, values)
    known = slot < nowhere
    at = jnp.where(first, slot, nowhere)
    kept = replace(
        buffer,
        scores=write(buffer.scores, jnp.where(scored, slot, nowhere), scores),
        scored_at=write(buffer.scored_at, at, now),
        extras=write(buffer.extras, at, extras),
    )

    # The i-th best candidate meets the i-th lowest slot: the outcome of one insertion after the other.
    count = min(numbers.size, nowhere)
    candidates = jnp.where(scored & ~known, scores, -jnp.inf)
    highest, best = jax.lax.top_k(candidates, count)
    negated, lowest = jax.lax.top_k(-kept.scores, count)
    enters = highest > -negated
    at = jnp.where(enters, lowest, nowhere)
    own = jnp.where(numbers[best] >= 0, numbers[best], kept.unused + jnp.arange(count, dtype=jnp.int32))
    entering = jax.tree.map(lambda x: x[best], (levels, extras))
    hashes = () if isinstance(kept.hashes, tuple) else write(kept.hashes, at, hash_levels(entering[0]))
    return LevelBuffer(
        write(kept.levels, at, entering[0]),
        write(kept.numbers, at, own),
        write(kept.scores, at, highest),
        write(kept.scored_at, at, now),
        now,
        kept.unused + enters.sum(dtype=jnp.int32),
        write(kept.extras, at, entering[1]),
        hashes,
    )
