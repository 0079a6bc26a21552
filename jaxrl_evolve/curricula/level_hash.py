"""A hash of 64 bits for any level, so that equal ones are found without a comparison of all their arrays."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt32

_SEEDS = (np.uint32(0x3C6EF372), np.uint32(0xA54FF53A))
_GOLDEN = np.uint32(0x9E3779B9)


def hash_levels(levels: Any) -> UInt32[Array, "n 2"]:
    """Two words per level; equal levels have equal words, unequal ones with a probability of about 2^-64.

    Args:
        levels: leaves ``[n, ...]`` of any dtype. Floats count by their bits, so that -0 is not 0.
    """
    words = jnp.concatenate([_words(x) for x in jax.tree.leaves(levels)], axis=1)
    place = jnp.arange(words.shape[1], dtype=jnp.uint32) * _GOLDEN
    sums = [_mixed(words ^ _mixed(place + seed)).sum(1, dtype=jnp.uint32) for seed in _SEEDS]
    return jnp.stack([_mixed(total + seed) for total, seed in zip(sums, _SEEDS, strict=True)], axis=1)


def _words(x: Array) -> UInt32[Array, "n words"]:
    """The bits of an array as words of 32; shorter numbers have one each."""
    if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
        x = jax.random.key_data(x)
    if jnp.issubdtype(x.dtype, jnp.floating):
        x = jax.lax.bitcast_convert_type(x, jnp.dtype(f"uint{x.dtype.itemsize * 8}"))
    if x.dtype.itemsize == 8:
        x = jax.lax.bitcast_convert_type(x, jnp.uint32)
    return x.astype(jnp.uint32).reshape(x.shape[0], -1)


def _mixed(x: Array) -> Array:
    """A bijection of words in which every bit depends on all (the finaliser of MurmurHash3)."""
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return x ^ (x >> np.uint32(16))
