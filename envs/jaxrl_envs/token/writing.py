"""Writing prompts of varying length into arrays of a fixed one: `PAD` stands for nothing until all is packed."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl_envs.token.vocabulary import PAD, ZERO


class Written(NamedTuple):
    """Some tokens.

    Attributes:
        tokens: int32 ``[n]``, those from ``length`` on are `PAD`.
        length: int32.
    """

    tokens: jax.Array
    length: jax.Array


def packed(tokens: jax.Array) -> Written:
    """Tokens ``[n]`` without the `PAD` among them, in the same order, in an array of the same size."""
    kept = tokens != PAD
    places = jnp.where(kept, jnp.cumsum(kept, dtype=jnp.int32) - 1, tokens.shape[0])
    moved = jnp.zeros_like(tokens).at[places].set(tokens, mode="drop")
    return Written(moved, kept.sum(dtype=jnp.int32))


def decimal(value: jax.Array, width: int) -> jax.Array:
    """The digits of whole numbers below ``10 ** width``, int32 ``[..., width]``, `PAD` for leading zeros."""
    powers = jnp.asarray([10**i for i in reversed(range(width))], jnp.int32)
    digits = value[..., None] // powers % 10
    leads = (value[..., None] < powers) & (powers > 1)
    return jnp.where(leads, PAD, digits + ZERO)


def digits(value: jax.Array) -> int:
    """How many digits a known number has."""
    return len(str(int(value)))


def whole(u: jax.Array, low: jax.Array | int, high: jax.Array | int) -> jax.Array:
    """Whole numbers from ``low`` to ``high``, int32, from uniform ones in [0, 1).

    A task draws all it needs at once: each call of the generator takes long to compile.
    """
    return low + jnp.minimum(u * (high - low + 1), high - low).astype(jnp.int32)


def tokens_of(*numbers: int) -> jax.Array:
    """Given tokens, int32 ``[n]``."""
    return jnp.asarray(numbers, jnp.int32)
