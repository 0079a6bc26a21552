"""Gradient steps on one flat vector of parameters: clipped, then Adam's direction or the gradient's own.

The arithmetic is optax's ``chain(clip_by_global_norm, scale_by_adam)``, arranged for the innermost loop of
training a small network: whatever is one number for the whole vector (the clipping, both bias corrections)
is multiplied out as one, which leaves one division and one root per parameter where optax has four and one.
"""

from __future__ import annotations

from typing import Any, Literal

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int

Kind = Literal["adam", "sgd"]

_B1, _B2 = 0.9, 0.999


@struct.dataclass
class AdamState:
    """Moments of the gradient.

    Attributes:
        count: steps made, int32 scalar.
        mean: decaying mean, float32 ``[P]``.
        square: decaying mean square, float32 ``[P]``.
    """

    count: Int[Array, ""]
    mean: Float[Array, " P"]
    square: Float[Array, " P"]


def norm(flat: Float[Array, " P"]) -> Float[Array, ""]:
    """Euclidean norm; its derivative is zero, not NaN, where it is zero."""
    square = jnp.square(flat).sum()
    # Not where it is above zero: the norm of what is no number is none either.
    return jnp.where(square == 0, 0.0, jnp.sqrt(jnp.where(square == 0, 1.0, square)))


def init_optimiser(kind: Kind, flat: Float[Array, " P"]) -> Any:
    """State before the first step; ``()`` for ``"sgd"``."""
    if kind == "sgd":
        return ()
    return AdamState(jnp.zeros((), jnp.int32), jnp.zeros_like(flat), jnp.zeros_like(flat))


def clipped_step(
    kind: Kind,
    state: Any,
    gradient: Float[Array, " P"],
    learning_rate: Array | float,
    max_norm: Array | float | None,
    eps: Array | float,
) -> tuple[Float[Array, " P"], Float[Array, ""], Any]:
    """What to add to the parameters.

    Args:
        kind: ``"adam"`` (Kingma and Ba 2015, beta 0.9 and 0.999) or ``"sgd"``.
        state: of `init_optimiser` or the last step.
        gradient: of the loss.
        learning_rate: step size.
        max_norm: the gradient is scaled down to this norm if it is longer; None leaves it as it is.
        eps: Adam's denominator offset.

    Returns:
        The step, the gradient's norm before clipping, and the new state.
    """
    size = norm(gradient)
    # Not an infinite norm instead of none: its quotient has no derivative.
    clip = 1.0 if max_norm is None else jnp.minimum(1.0, max_norm / jnp.maximum(size, 1e-30))
    if kind == "sgd":
        return (-learning_rate * clip) * gradient, size, state
    count = state.count + 1
    mean = _B1 * state.mean + ((1.0 - _B1) * clip) * gradient
    square = _B2 * state.square + ((1.0 - _B2) * jnp.square(clip)) * jnp.square(gradient)
    steps = count.astype(jnp.float32)
    root = jnp.sqrt(1.0 - _B2**steps)
    scale = -learning_rate * root / (1.0 - _B1**steps)
    # A thousandth of eps inside the root keeps the derivative finite at a gradient of zero.
    deviation = jnp.sqrt(square + jnp.square(1e-3 * eps * root))
    return scale * (mean / (deviation + eps * root)), size, AdamState(count, mean, square)
