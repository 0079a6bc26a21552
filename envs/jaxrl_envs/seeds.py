"""Seeds as keys, the same ones whatever kind of keys jax makes by default."""

from __future__ import annotations

from typing import Any

import jax


def key_of(seed: Any) -> jax.Array:
    """The Threefry key of a seed, ``jax.random.key(seed)`` as jax makes it unless told otherwise.

    A level is what its seed says. ``JAX_DEFAULT_PRNG_IMPL`` may make another kind of key the usual one, whose numbers would be
    another level under the same name.

    Args:
        seed: a whole number, or an integer scalar, which may be traced.
    """
    return jax.random.key(seed, impl="threefry2x32")
