"""The decoder's memory: keys and values of the last tokens of an episode, in a ring, and what new tokens see of them.

The token of position ``p`` lies in place ``p % context`` until that of ``p + context`` takes it. So an episode of any length can be
acted in, with a window of ``context`` tokens, and nothing is ever moved or cleared: what is of no use is not seen.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from jaxrl_evolve.networks.decoder.attention import KeysAndValues, Sight
from jaxrl_evolve.networks.decoder_config import DecoderConfig


@struct.dataclass
class Cache:
    """What ``N`` episodes keep, with the axes of `KeysAndValues` behind ``N`` and ``layers``.

    Attributes:
        keys: turned to their positions.
        values: likewise.
        position: of the token that comes next, which is the number of those that were read.
    """

    keys: Float[Array, "N layers kv_heads head_size context"]
    values: Float[Array, "N layers kv_heads context head_size"]
    position: Int[Array, " N"]

    @classmethod
    def empty(cls, config: DecoderConfig, num_envs: int) -> Cache:
        """Before the first token."""
        shape, context = (num_envs, config.layers, config.kv_heads), config.context
        keys = jnp.zeros((*shape, config.head_size, context), jnp.float32)
        values = jnp.zeros((*shape, context, config.head_size), jnp.float32)
        return cls(keys, values, jnp.zeros((num_envs,), jnp.int32))

    @classmethod
    def none(cls, config: DecoderConfig, num_envs: int) -> Cache:
        """Without room for any token: what a rollout sees before its first."""
        room = cls.empty(config, num_envs)
        return cls(room.keys[..., :0], room.values[..., :0, :], room.position)

    def cleared(self, first: Bool[Array, " N"]) -> Cache:
        """Without what episodes that begin would see of those before."""
        return self.replace(position=jnp.where(first, 0, self.position))  # pyright: ignore[reportAttributeAccessIssue]

    @property
    def context(self) -> int:
        """Tokens that there is room for."""
        return self.keys.shape[-1]

    @property
    def by_layer(self) -> KeysAndValues:
        """With ``layers`` in front."""
        return KeysAndValues(jnp.moveaxis(self.keys, 1, 0), jnp.moveaxis(self.values, 1, 0))

    def with_token(self, new: KeysAndValues) -> Cache:
        """With one more token in each episode.

        Args:
            new: of one token, with ``layers`` in front.
        """
        rows, place = jnp.arange(self.keys.shape[0]), self.position % self.context
        keys = self.keys.at[rows, ..., place].set(jnp.moveaxis(new.keys[..., 0], 0, 1))
        values = self.values.at[rows, :, :, place].set(jnp.moveaxis(new.values[..., 0, :], 0, 1))
        return Cache(keys, values, self.position + 1)


def seen_of_cache(position: Int[Array, "B S"], read: Int[Array, " B"], context: int) -> Bool[Array, "B S C"]:
    """Which tokens of the cache those of the same episode see.

    Args:
        position: of the new tokens.
        read: tokens that the episode has had before them.
        context: of the cache.
    """
    last = read[:, None] - 1
    kept = last - (last - jnp.arange(context)) % context  # the newest position that belongs in each place
    return (kept >= 0)[:, None] & (position[:, :, None] - kept[:, None] < context)


def sight_of_step(position: Int[Array, " N"], context: int) -> Sight:
    """Of one token in each episode: itself and the cache."""
    at = position[:, None]
    return Sight(at, jnp.ones((*at.shape, 1), bool), seen_of_cache(at, position, context))


def sight_of_rollout(first: Bool[Array, "N T"], position: Int[Array, " N"], context: int) -> Sight:
    """Of sequences in which episodes follow on each other: none sees another, and only what goes on from before sees the cache.

    Args:
        first: where episodes begin.
        position: of the first token, if none begins with it.
        context: of the cache.
    """
    time = jnp.arange(first.shape[1], dtype=jnp.int32)
    begun = jax.lax.cummax(
        jnp.where(first, time, -1), axis=1
    )  # when the episode of each token began; -1 is before
    at = jnp.where(begun < 0, position[:, None] + time, time - begun)
    before = time[:, None] - time  # [T, T], how long ago
    new = (begun[:, :, None] == begun[:, None]) & (before >= 0) & (before < context)
    return Sight(at, new, seen_of_cache(at, position, context) & (begun < 0)[:, :, None])
