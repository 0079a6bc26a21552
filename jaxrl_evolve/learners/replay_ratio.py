"""An adaptive replay ratio: low until the share of active units has settled (Ma et al. 2024, arXiv 2310.07418)."""

from __future__ import annotations

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float

from jaxrl_evolve.trajectory import Trajectory


@struct.dataclass
class Adaptation:
    """What an adaptive replay ratio has seen.

    Attributes:
        active: sum of the shares of active units since the last look, float32 scalar.
        count: of how many gradient steps, float32 scalar.
        before: the mean at the last look, float32 scalar; -1 before the first.
        episodes: ended since the last look, float32 scalar.
        raised: whether the ratio has been raised, bool scalar. It stays so.
    """

    active: Float[Array, ""]
    count: Float[Array, ""]
    before: Float[Array, ""]
    episodes: Float[Array, ""]
    raised: Bool[Array, ""]


def init_adaptation() -> Adaptation:
    """Before anything was seen."""
    zero = lambda: jnp.zeros((), jnp.float32)
    return Adaptation(zero(), zero(), zero() - 1.0, zero(), jnp.zeros((), jnp.bool_))


def adapted(
    seen: Adaptation,
    active: Array,
    steps: Array,
    trajectory: Trajectory,
    every: Array | float,
    tolerance: Array | float,
) -> Adaptation:
    """A look whenever enough episodes have ended: has the share of active units settled, the ratio is raised for good.

    Args:
        seen: so far.
        active: sum of the shares of active units over an update's gradient steps.
        steps: how many those were.
        trajectory: the update's rollout, for the episodes that ended.
        every: episodes between two looks.
        tolerance: by how much the mean share may differ between two looks.
    """
    active, count = seen.active + active, seen.count + steps
    episodes = seen.episodes + (trajectory.terminated | trajectory.truncated).sum(dtype=jnp.float32)
    look = (episodes >= every) & (count > 0)
    mean = active / jnp.maximum(count, 1.0)
    settled = look & (seen.before >= 0) & (jnp.abs(mean - seen.before) <= tolerance)
    begin = lambda x: jnp.where(look, 0.0, x)
    return Adaptation(
        begin(active),
        begin(count),
        jnp.where(look, mean, seen.before),
        begin(episodes),
        seen.raised | settled,
    )
