"""Grouped-query attention (Ainslie et al. 2023, arXiv 2305.13245) with rotary positions (Su et al. 2021, arXiv 2104.09864).

A call reads ``S`` new tokens and, if there is a cache, ``C`` earlier ones whose keys and values are kept. Masks alone say who
attends to whom, so one step of acting and a whole rollout of learning are the same computation.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxrl_evolve.networks.decoder_config import DecoderConfig


class KeysAndValues(NamedTuple):
    """Of tokens, keys turned to their positions; both float32 ``[..., tokens, kv_heads, head_size]``."""

    keys: Array
    values: Array


class Sight(NamedTuple):
    """Where new tokens stand, and what they see; the same in every block.

    Attributes:
        position: int32 ``[B, S]``, of each new token in its episode, from 0.
        new: bool ``[B, S, S]``, whether a token (second axis) attends to a new one (third).
        kept: bool ``[B, S, C]``, likewise to one of the cache; None where there is no cache.
    """

    position: Int[Array, "B S"]
    new: Bool[Array, "B S S"]
    kept: Bool[Array, "B S C"] | None = None


def turned(x: Float[Array, "B S K H"], position: Int[Array, "B S"], base: float) -> Float[Array, "B S K H"]:
    """Vectors turned to their positions: number ``i`` of the first half and of the second are a pair, turned by
    ``position * base ** (-2 i / H)``, so that products of two depend on the distance alone.
    """
    half = x.shape[-1] // 2
    speed = base ** (-jnp.arange(half, dtype=jnp.float32) / half)
    angle = position.astype(jnp.float32)[..., None, None] * speed
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    a, b = x[..., :half], x[..., half:]
    return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], -1)


class Attention(nn.Module):
    """``[B, S, width]`` to the same, and the keys and values of the new tokens."""

    config: DecoderConfig

    @nn.compact
    def __call__(
        self, x: Float[Array, "B S D"], kept: KeysAndValues | None, sight: Sight
    ) -> tuple[Float[Array, "B S D"], KeysAndValues]:
        """Args: ``kept`` has leaves ``[B, C, kv_heads, head_size]``, or is None."""
        c, size = self.config, self.config.head_size

        def dense(name: str, heads: int) -> Any:
            y = nn.Dense(heads * size, c.qkv_bias, kernel_init=kernels(c.width), name=name)(x)
            return y.reshape((*x.shape[:2], heads, size))

        query = turned(dense("query", c.heads), sight.position, c.rope_base)
        new = KeysAndValues(
            turned(dense("key", c.kv_heads), sight.position, c.rope_base), dense("value", c.kv_heads)
        )
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
    scores, length = _scores(query, new.keys, sight.new), query.shape[1]
    if kept is None:
        return _weighed(jax.nn.softmax(scores), new.values)
    # Scores are put in a row, not keys: the cache would be copied for it.
    assert sight.kept is not None
    weights = jax.nn.softmax(jnp.concatenate([scores, _scores(query, kept.keys, sight.kept)], -1))
    return _weighed(weights[..., :length], new.values) + _weighed(weights[..., length:], kept.values)


# Products of one matrix for each head that keys have, with all its queries as rows: in any other order of axes a CPU goes
# through far smaller ones.
def _scores(query: Array, keys: Array, seen: Array) -> Float[Array, "B K G S C"]:
    """Of each query and key, minus infinity where a token does not attend."""
    num, length, heads, queries, size = query.shape
    rows = jnp.transpose(query, (0, 2, 3, 1, 4)).reshape((num, heads, queries * length, size))
    scores = jnp.einsum("bkqh,bckh->bkqc", rows, keys).reshape((num, heads, queries, length, -1))
    return jnp.where(seen[:, None, None], scores, -jnp.inf)


def _weighed(weights: Float[Array, "B K G S C"], values: Array) -> Float[Array, "B S K G H"]:
    num, heads, queries, length, keys = weights.shape
    rows = weights.reshape((num, heads, queries * length, keys))
    summed = jnp.einsum("bkqc,bckh->bkqh", rows, values).reshape((num, heads, queries, length, -1))
    return jnp.transpose(summed, (0, 3, 1, 2, 4))
