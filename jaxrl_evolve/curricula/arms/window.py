"""The last entries of every arm, in a ring of fixed size."""

from __future__ import annotations

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int


@struct.dataclass
class Window:
    """Entries by arm.

    Attributes:
        values: float32 ``[arms, size]``.
        written: int32 ``[arms]``, entries ever made; the newest lies at ``(written - 1) % size``.
    """

    values: Float[Array, "arms size"]
    written: Int[Array, " arms"]

    @property
    def held(self) -> Bool[Array, "arms size"]:
        """Which places have an entry."""
        return jnp.arange(self.values.shape[1]) < self.written[:, None]

    @property
    def entries(self) -> Float[Array, " arms"]:
        """How many entries there are of each arm."""
        return jnp.minimum(self.written, self.values.shape[1]).astype(jnp.float32)


def empty_window(arms: int, size: int) -> Window:
    """Without entries."""
    return Window(jnp.zeros((arms, size), jnp.float32), jnp.zeros((arms,), jnp.int32))


def with_entry(window: Window, value: Float[Array, " arms"], seen: Bool[Array, " arms"]) -> Window:
    """With one more entry of the arms that were seen; each drops its oldest where it is full."""
    arms, size = window.values.shape
    at = jnp.where(seen, window.written % size, size)  # out of bounds: such writes are dropped
    values = window.values.at[jnp.arange(arms), at].set(jnp.where(seen, value, 0.0), mode="drop")
    return Window(values, window.written + seen)


def window_mean(window: Window) -> Float[Array, " arms"]:
    """The mean of each arm's entries, 0 of none."""
    return jnp.where(window.held, window.values, 0.0).sum(1) / jnp.maximum(window.entries, 1.0)
