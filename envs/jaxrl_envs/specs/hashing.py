"""Random numbers by the thousand from one that is drawn: a hash of its place for each cell, each rule.

A key of jax gives numbers whose quality statistics need, at some hundred operations each. Which cell a thing falls on, or which way a
monster turns, asks for less: the finaliser of MurmurHash3 mixes every bit of its input into every bit of its output in five.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

_ROW, _COLUMN = 0x9E3779B9, 0x7F4A7C15


def mixed(bits: jax.Array) -> jax.Array:
    """Other uint32 for uint32, of the same shape."""
    word = jnp.uint32
    bits = (bits ^ (bits >> word(16))) * word(0x85EBCA6B)
    bits = (bits ^ (bits >> word(13))) * word(0xC2B2AE35)
    return bits ^ (bits >> word(16))


def numbered(seed: jax.Array, first: jax.Array, second: jax.Array | None = None) -> jax.Array:
    """Random uint32 for whole numbers, or pairs of them.

    Args:
        seed: uint32, of a shape that goes with the others.
        first: int32.
        second: int32, where pairs are numbered.
    """
    bits = seed + first.astype(jnp.uint32) * jnp.uint32(_ROW)
    if second is not None:
        bits = mixed(bits) + second.astype(jnp.uint32) * jnp.uint32(_COLUMN)
    return mixed(bits)


def fraction(bits: jax.Array) -> jax.Array:
    """uint32 as float32 from 0 to below 1."""
    return (bits >> jnp.uint32(8)).astype(jnp.float32) * jnp.float32(2.0**-24)
