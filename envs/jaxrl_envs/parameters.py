"""Default parameters as traced data: strongly typed arrays, and options that replace them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxrl_envs.stable import strong

LIMITS = ("max_steps_in_episode", "episode_length", "max_timesteps", "max_steps", "time_limit")
"""What the suites call the number of steps after which an episode is cut off."""


def limits(params: Any) -> list[tuple[str, Any]]:
    """Time limits among parameters, those of wrapped environments too: their names and values."""
    named = (
        (jax.tree_util.keystr(path[-1:], simple=True), leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
    )
    return [(field, leaf) for field, leaf in named if field in LIMITS]


def check_limits(name: str, params: Any) -> None:
    """Refuse a time limit after less than one step, which ends every episode at once.

    Args:
        name: of the environment.
        params: its parameters; limits are known by the names that the suites have for them.

    Raises:
        ValueError: naming the parameter.
    """
    for field, leaf in limits(params):
        if not isinstance(leaf, Tracer) and np.any(np.asarray(leaf) < 1):
            raise ValueError(f"{name}: {field} is {np.asarray(leaf).tolist()}; it must be at least 1")


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
    check_limits(name, params)
    return strong(params)


def like_default(name: str, field: str, default: Any, value: Any) -> jax.Array:
    """`value` in the dtype and shape of the parameter it replaces.

    Raises:
        ValueError: if it does not fit there.
    """
    like, array = np.asarray(strong(default)), np.asarray(value)
    if like.dtype.kind in "iu" and array.dtype.kind in "iuf":
        held = np.iinfo(like.dtype)
        if not np.all((array >= held.min) & (array <= held.max)):
            raise ValueError(
                f"{name}: {field} is {value!r}; it must be a whole number from {held.min} to {held.max}"
            )
        if array.dtype.kind == "f" and np.all(array == np.trunc(array)):
            array = array.astype(np.int64)  # 1e3, as people write it
    allowed = {"f": "iuf", "i": "iu", "u": "iu", "b": "b"}[like.dtype.kind]
    if array.dtype.kind not in allowed or array.shape != like.shape:
        raise ValueError(f"{name}: {field} is {value!r}; it must be {like.dtype} of shape {like.shape}")
    return jnp.asarray(array, like.dtype)
