"""Windows of a rollout: for some of its steps, what was done and seen in the steps after them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int


def numbered(length: int, num_envs: int) -> Int[Array, "T N"]:
    """The number of every step of a rollout, as `windows` and `belonging` take them."""
    return jnp.arange(length * num_envs, dtype=jnp.int32).reshape((length, num_envs))


def windows(tree: Any, steps: Int[Array, " B"], length: int, first: Any = None) -> Any:
    """``length`` steps of one environment from each of some steps on.

    Args:
        tree: of a rollout in its own order, leaves ``[T, N, ...]``.
        steps: numbers of the first steps, of `numbered`.
        length: of a window, ``K``. Where the rollout is over, its last step is repeated.
        first: the first steps themselves, leaves ``[B, ...]``, where somebody has taken them already.

    Returns:
        Leaves ``[K, B, ...]``.
    """

    def cut(x: Array, *taken: Array) -> Array:
        time, num = x.shape[:2]
        flat = x.reshape((time * num, *x.shape[2:]))
        rows = [
            jnp.minimum(steps // num + k, time - 1) * num + steps % num for k in range(len(taken), length)
        ]
        # One by one: whoever reads the first steps of the windows alone pays for no others.
        return jnp.stack([*taken, *(flat[row] for row in rows)])

    return jax.tree.map(cut, tree) if first is None else jax.tree.map(cut, tree, first)


def belonging(ended: Bool[Array, "T N"], steps: Int[Array, " B"], length: int) -> Bool[Array, "K B"]:
    """Whether each step of the windows was made in the episode of its first step, and within the rollout.

    Args:
        ended: whether an episode ended with a step, for either reason.
        steps: numbers of the first steps, of `numbered`.
        length: of a window, ``K``.
    """
    time, num = ended.shape
    inside = steps // num + jnp.arange(length)[:, None] < time
    over = jnp.cumsum(windows(ended, steps, length).astype(jnp.int32), 0)
    before = jnp.concatenate([jnp.zeros_like(over[:1]), over[:-1]])
    return inside & (before == 0)
