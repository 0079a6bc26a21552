"""Grouped-query attention (Ainslie et al. 2023, arXiv 2305.13245) with rotary positions (Su et al. 2021, arXiv 2104.09864).

A call reads ``S`` new tokens and, if there is a cache, ``C`` earlier ones whose keys and values are kept. Masks alone say who
attends to whom, so one step of acting and a whole rollout of learning are the same computation.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxrl_evolve.networks.decoder_config import DecoderConfig


class KeysAndValues(NamedTuple):
    """Of tokens, in the order of axes in which products read them.

    Attributes:
        keys: turned to their positions, float32 ``[..., kv_heads, head_size, tokens]``.
        values: float32 ``[..., kv_heads, tokens, head_size]``.
    """

    keys: Array
    values: Array

    def put(self, new: KeysAndValues, place: Array) -> KeysAndValues:
        """With new tokens from ``place`` on, instead of those that are there."""
        put = jax.lax.dynamic_update_slice_in_dim
        return KeysAndValues(
            put(self.keys, new.keys, place, self.keys.ndim - 1),
            put(self.values, new.values, place, self.values.ndim - 2),
        )


class Sight(NamedTuple):
    """Where new tokens stand, and what they see; the same in every block.

    Attributes:
        position: int32 ``[B, S]``, of each new token in its episode, from 0.
        new: bool ``[B, S, S]``, whether a token (second axis) attends to a new one (third).
        kept: bool ``[B, S, C]``, likewise to one of the cache; None where there is no cache.
        place: int32, where new tokens are put into the cache before anything is read, the first of ``S`` places. They are then seen
            as ``kept`` says, and ``new`` is not looked at. Nothing of the cache is copied: what was in it is not read any more.
    """

    position: Int[Array, "B S"]
    new: Bool[Array, "B S S"] | None
    kept: Bool[Array, "B S C"] | None = None
    place: Int[Array, ""] | None = None


class Rotation(NamedTuple):
    """By how much vectors are turned, the same in every block.

    Attributes:
        cos: float32 ``[B, S, 1, 1, H / 2]``.
        sin: what the other half is multiplied with, float32 ``[B, S, 1, 2, H / 2]``.
    """

    cos: Array
    sin: Array


def rotation(position: Int[Array, "B S"], size: int, base: float) -> Rotation:
    """Of vectors of ``size`` at their positions: number ``i`` of the first half and of the second are a pair, turned by
    ``position * base ** (-2 i / size)``, so that products of two depend on the distance alone.
    """
    half = size // 2
    speed = base ** (-jnp.arange(half, dtype=jnp.float32) / half)
    angle = position.astype(jnp.float32)[..., None, None, None] * speed
    sin = jnp.sin(angle)
    return Rotation(jnp.cos(angle), jnp.concatenate([-sin, sin], -2))


def _turned(x: Float[Array, "B S K H"], by: Rotation) -> Float[Array, "B S K H"]:
    halves = x.reshape(
        (*x.shape[:-1], 2, -1)
    )  # turned round, not cut and joined: a CPU asks each number where it is from
    return (halves * by.cos + halves[..., ::-1, :] * by.sin).reshape(x.shape)


class Attention(nn.Module):
    """``[B, S, width]`` to the same, and the keys and values of the new tokens; with a `Sight.place` those of the whole cache."""

    config: DecoderConfig

    @nn.compact
    def __call__(
        self, x: Float[Array, "B S D"], kept: KeysAndValues | None, sight: Sight, by: Rotation
    ) -> tuple[Float[Array, "B S D"], KeysAndValues]:
        c, size = self.config, self.config.head_size

        def dense(name: str, heads: int) -> Any:
            y = nn.Dense(heads * size, c.qkv_bias, kernel_init=kernels(c.width), name=name)(x)
            return y.reshape((*x.shape[:2], heads, size))

        query, keys = _turned(dense("query", c.heads), by), _turned(dense("key", c.kv_heads), by)
        new = KeysAndValues(
            jnp.transpose(keys, (0, 2, 3, 1)), jnp.transpose(dense("value", c.kv_heads), (0, 2, 1, 3))
        )
        if sight.place is not None:
            kept = new = cast(KeysAndValues, kept).put(new, sight.place)
        query = query.reshape((*x.shape[:2], c.kv_heads, c.heads // c.kv_heads, size)) / math.sqrt(size)
        y = _attended(query, new, kept, sight).reshape((*x.shape[:2], c.heads * size))
        init = kernels(c.heads * size * 2 * c.layers)
        return nn.Dense(c.width, use_bias=False, kernel_init=init, name="out")(y), new


def kernels(fan_in: int) -> Any:
    """Initialiser of kernels whose outputs have the variance of their inputs. What a block adds to what runs through counts
    ``2 * layers`` times as many, so that the sum of all does not grow with depth (Radford et al. 2019).
    """
    return nn.initializers.normal(1 / math.sqrt(fan_in))


@jax.checkpoint  # weights are far larger than all else, and sooner computed again than stored
def _attended(
    query: Array, new: KeysAndValues, kept: KeysAndValues | None, sight: Sight
) -> Float[Array, "B S K G H"]:
    """What ``query [B, S, kv_heads, queries, head_size]`` reads off the values of what it sees."""
    if kept is None or sight.place is not None:
        seen = sight.new if kept is None else sight.kept
        return _weighed(jax.nn.softmax(_scores(query, new.keys, cast(Array, seen))), new.values)
    # Scores are put in a row, not keys: the cache would be copied for it.
    assert sight.kept is not None and sight.new is not None
    scores, length = _scores(query, new.keys, sight.new), query.shape[1]
    weights = jax.nn.softmax(jnp.concatenate([scores, _scores(query, kept.keys, sight.kept)], -1))
    return _weighed(weights[..., :length], new.values) + _weighed(weights[..., length:], kept.values)


# Products of one matrix for each head that keys have, with all its queries as rows: in any other order of axes a CPU goes
# through far smaller ones.
def _scores(query: Array, keys: Array, seen: Array) -> Float[Array, "B K G S C"]:
    """Of each query and key, minus infinity where a token does not attend."""
    num, length, heads, queries, size = query.shape
    rows = jnp.transpose(query, (0, 2, 3, 1, 4)).reshape((num, heads, queries * length, size))
    scores = jnp.einsum("bkqh,bkhc->bkqc", rows, keys).reshape((num, heads, queries, length, -1))
    return jnp.where(seen[:, None, None], scores, -jnp.inf)


def _weighed(weights: Float[Array, "B K G S C"], values: Array) -> Float[Array, "B S K G H"]:
    num, heads, queries, length, keys = weights.shape
    rows = weights.reshape((num, heads, queries * length, keys))
    summed = jnp.einsum("bkqc,bkch->bkqh", rows, values).reshape((num, heads, queries, length, -1))
    return jnp.transpose(summed, (0, 3, 1, 2, 4))
