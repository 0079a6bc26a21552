"""Telling XLA what not to compute: twice, or at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

X = TypeVar("X")


def computed_once(tree: X) -> X:
    """``tree``, unchanged, as something that XLA stores instead of computing it again in every reader.

    On CPU, XLA copies whatever it holds to be cheap into each kernel that reads it. A random number is some
    eighty integer operations, all of them cheap, and an environment step reads it in half a dozen kernels.
    XLA removes an optimisation barrier before it forms kernels, but it never copies a division; this one
    divides by a one that only the code generator behind XLA sees through, and drops.

    Args:
        tree: integer or floating arrays of at most 32 bits; other leaves pass as they are.
    """

    def leaf(x: Any) -> Any:
        unsigned = {1: jnp.uint8, 2: jnp.uint16, 4: jnp.uint32}.get(x.dtype.itemsize)
        number = jnp.issubdtype(x.dtype, jnp.integer) or jnp.issubdtype(x.dtype, jnp.floating)
        if unsigned is None or not number:
            return x
        bits = jax.lax.bitcast_convert_type(x, unsigned)
        return jax.lax.div(x, ((bits | unsigned(1)) != 0).astype(x.dtype))

    return jax.tree.map(leaf, tree)


def only_where(due: Bool[Array, ""], change: Callable[[X], X], state: X) -> X:
    """``change(state)`` where that is due, else ``state``, which is then neither read nor written.

    A loop of one turn or none. A selection would read and write all of it each time, a branch would copy it, and where runs are
    vmapped be computed at every step; this is computed once one of them is due. It has no derivative in reverse mode.

    Args:
        due: whether it changes.
        change: of the same structure as ``state``.
        state: any pytree.
    """
    turn = lambda carry: (jnp.zeros_like(carry[0]), change(carry[1]))
    return jax.lax.while_loop(lambda carry: carry[0], turn, (due, state))[1]
