"""NaN as a mark in what compiled programs return: there is nothing to tell, such as a mean where no episode ended.

`JAX_DEBUG_NANS` looks at every output of a program and cannot tell a mark from a fault. So programs whose outputs have
marks are called without it, and looked at here instead, mark by mark.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_evolve.settings.rows import OF_EPISODES


def marked(program: Callable[..., Any], marks: Collection[str] = ()) -> Callable[..., Any]:
    """A compiled program that may return marks while `JAX_DEBUG_NANS` is set.

    Args:
        program: whatever computes; its result is a pytree of arrays.
        marks: names of fields or entries of its result that may be NaN, besides means over episodes.

    Raises:
        FloatingPointError: with the flag set, something else in the result is NaN; by its name.
    """

    def call(*arguments: Any) -> Any:
        if not jax.config.jax_debug_nans:  # pyright: ignore[reportAttributeAccessIssue]
            return program(*arguments)
        with jax.debug_nans(False):
            result = program(*arguments)
        _look(result, marks)
        return result

    return call


def _look(result: Any, marks: Collection[str]) -> None:
    for path, leaf in jax.tree_util.tree_leaves_with_path(result):
        names = [jax.tree_util.keystr((part,), simple=True) for part in path]
        if any(name in marks or name.startswith(OF_EPISODES) for name in names):
            continue
        # Of several processes each sees its own part.
        parts = leaf.addressable_shards if jnp.issubdtype(leaf.dtype, jnp.floating) else ()
        if any(np.isnan(np.asarray(part.data)).any() for part in parts):
            raise FloatingPointError(f"{'.'.join(names)} is NaN, and JAX_DEBUG_NANS is set")
