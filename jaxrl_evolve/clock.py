"""The training clock: how far a learner is through its life, as traced data.

Every objective, schedule and learned rule receives a `Clock`, so the training horizon can be
vmapped, sampled in meta-training, and ablated (frozen, shuffled, wrong) without touching code.
"""

from __future__ import annotations

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float


@struct.dataclass
class Clock:
    """Time within one training run. All fields but ``unit`` are traced float32 scalars.

    Attributes:
        step: units consumed when the current update's rollout began (0 at the first update).
        horizon: units in the whole run.
        epoch: fraction of the current update's passes over its batch already made, in [0, 1).
        unit: what is counted, ``"env_steps"`` or ``"updates"`` (static).
    """

    step: Float[Array, ""]
    horizon: Float[Array, ""]
    epoch: Float[Array, ""]
    unit: str = struct.field(pytree_node=False, default="env_steps")

    @classmethod
    def at(
        cls, step: float | Array, horizon: float | Array, epoch: float | Array = 0.0, unit: str = "env_steps"
    ):
        """A clock from plain numbers."""
        as_float = lambda x: jnp.asarray(x, jnp.float32)
        return cls(as_float(step), as_float(horizon), as_float(epoch), unit)

    @property
    def fraction(self) -> Float[Array, ""]:
        """``step / horizon`` clamped to [0, 1]."""
        return jnp.clip(self.step / jnp.maximum(self.horizon, 1.0), 0.0, 1.0)

    @property
    def remaining(self) -> Float[Array, ""]:
        """``horizon - step``, never negative."""
        return jnp.maximum(self.horizon - self.step, 0.0)


def linear_schedule(clock: Clock, start: float | Array, end_fraction: float | Array) -> Float[Array, ""]:
    """``start`` falling in a straight line to ``start * end_fraction`` at the horizon.

    ``end_fraction = 1`` is a constant, ``0`` anneals to nothing as in PureJaxRL and CleanRL.
    """
    return start * (1.0 + clock.fraction * (end_fraction - 1.0))
