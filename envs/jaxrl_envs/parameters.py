"""Default parameters as traced data: strongly typed arrays, and options that replace them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.stable import strong


def strong_params(name: str, params: Any) -> Any:
    """Parameters as strongly typed arrays; a leaf that is no number is refused by its name.

    Raises:
        ValueError: naming the leaf.
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if not isinstance(leaf, bool | int | float | np.ndarray | np.generic | jax.Array):
            raise ValueError(
                f"{name}: parameter {jax.tree_util.keystr(path)} is {leaf!r}; parameters are numbers or arrays"
            )
    return strong(params)


def like_default(name: str, field: str, default: Any, value: Any) -> jax.Array:
    """`value` in the dtype and shape of the parameter it replaces.

    Raises:
        ValueError: if it does not fit there.
    """
    like, array = np.asarray(strong(default)), np.asarray(value)
    allowed = {"f": "iuf", "i": "iu", "u": "iu", "b": "b"}[like.dtype.kind]
    if array.dtype.kind not in allowed or array.shape != like.shape:
        raise ValueError(f"{name}: {field} is {value!r}; it must be {like.dtype} of shape {like.shape}")
    return jnp.asarray(array, like.dtype)
