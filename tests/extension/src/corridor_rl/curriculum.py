"""Corridors of several lengths: those most often that are walked to their end about half of the time.

An arm is a length. It is drawn in proportion to ``p (1 - p)``, where ``p`` is how often its far end was reached lately
(learnability; Tzannetos et al. 2023, arXiv 2304.12877), with a floor, so that none is forgotten.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl_envs import Env
from jaxrl_evolve import Assignment, Curriculum, Lived, Openings

from .env import CorridorParams


@struct.dataclass
class Counts:
    """Decayed numbers of episodes by arm, float32 ``[arms]``."""

    arrived: jax.Array
    ended: jax.Array


def learnable_lengths(
    env: Env, num_envs: int, arms: int = 4, floor: float = 0.2, decay: float = 0.9
) -> Curriculum:
    """The factory that the registry calls; ``--curriculum_options arms 8`` becomes ``arms=8``."""
    del num_envs
    if arms < 1:
        raise ValueError(f"arms is {arms}; it must be at least 1")
    longest = int(env.params.length)
    lengths = jnp.asarray([max(1, longest * (i + 1) // arms) for i in range(arms)], jnp.int32)
    corridors = CorridorParams(lengths, 4 * lengths)

    def probabilities(counts: Counts) -> jax.Array:
        p = (counts.arrived + 1.0) / (counts.ended + 2.0)
        return floor / arms + (1.0 - floor) * p * (1.0 - p) / (p * (1.0 - p)).sum()

    def init(key: jax.Array) -> Counts:
        del key
        return Counts(jnp.zeros(arms, jnp.float32), jnp.zeros(arms, jnp.float32))

    def propose(key: jax.Array, counts: Counts, openings: Openings) -> tuple[Counts, Assignment]:
        arm = jax.random.categorical(key, jnp.log(probabilities(counts)), shape=openings.wanted.shape)
        arm = arm.astype(jnp.int32)
        return counts, Assignment(arm, jax.tree.map(lambda x: x[arm], corridors))

    def record(counts: Counts, lived: Lived) -> Counts:
        t = lived.played.trajectory
        by_arm = lambda x: jnp.zeros(arms, jnp.float32).at[t.task].add(x)
        return Counts(decay * counts.arrived + by_arm(t.terminated), decay * counts.ended + by_arm(t.ended))

    def metrics(counts: Counts) -> dict[str, Any]:
        return {"length": (probabilities(counts) * lengths).sum()}

    return Curriculum(init, propose, record, metrics)
