"""A learned trust region: how hard a change of the policy is held back, for good actions and for bad ones.

The drift ``s |A| (r - 1)^2 / (2 c)`` is never negative, and zero with zero slope at the ratio ``r = 1``, for any
strength ``s > 0``. Its logarithm is what is learned, a number for each sign of the advantage; with time features
it is a linear function of them.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxrl_evolve import Objective, ObjectiveFamily, TimeFeatures, drift_objective


@dataclasses.dataclass(frozen=True)
class StrengthConfig:
    """Settings; meta-train offers them as ``--settings.…``."""

    largest: float = 3.0
    """Largest absolute logarithm of the strength."""
    time: TimeFeatures = dataclasses.field(default_factory=TimeFeatures)
    """What is known of time."""

    def __post_init__(self) -> None:
        if not self.largest > 0:
            raise ValueError(f"largest is {self.largest}; it must be above 0")


def learned_strength(config: StrengthConfig) -> Objective:
    """``settings -> Objective``."""

    def init(key: jax.Array) -> dict[str, jax.Array]:
        del key
        eta = {"strength": jnp.zeros(2, jnp.float32)}
        if config.time.size:  # zeros: at first the same objective as without
            eta["time"] = jnp.zeros((config.time.size, 2), jnp.float32)
        return eta

    def drift(
        eta: Any, log_ratio: jax.Array, advantage: jax.Array, clip: jax.Array, time: jax.Array
    ) -> jax.Array:
        logarithms = eta["strength"] + (time @ eta["time"] if config.time.size else 0.0)
        good, bad = jnp.exp(jnp.clip(logarithms, -config.largest, config.largest))
        strength = jnp.where(advantage >= 0, good, bad)
        return strength * jnp.abs(advantage) * jnp.square(jnp.expm1(log_ratio)) / (2.0 * clip)

    name = "ta-strength" if config.time.size else "strength"
    return drift_objective(name, drift, config.time, init, horizons=config.time.horizons)


FAMILY = ObjectiveFamily(
    kind="strength",
    settings=StrengthConfig,
    make=learned_strength,
    algorithm="ppo",
    members={
        "strength": StrengthConfig(),
        "ta-strength": StrengthConfig(time=TimeFeatures(("fraction",))),
    },
    evolution={"sigma": 0.3, "shaping": "centred_rank"},
    horizons={"kind": "fixed", "low": 1, "high": 50},
)
