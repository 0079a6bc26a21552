"""A smooth trust region: a quadratic penalty on the ratio instead of PPO's clipping.

The surrogate of Xie et al. 2024 (arXiv 2401.16025), ``r A - |A| (r - 1)^2 / (2 c)``, is largest where the
ratio ``r`` is ``1 + c`` for a good action and ``1 - c`` for a bad one, and has a gradient everywhere else.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxrl_evolve import Clock, Objective, ObjectiveBatch, actor_critic_objective, linear_schedule


def quadratic_penalty() -> Objective:
    """The factory that the registry calls."""

    def surrogate(
        eta: Any, log_ratio: jax.Array, advantage: jax.Array, batch: ObjectiveBatch, clock: Clock
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        del eta  # parameters of a learned objective; this one has none
        width = linear_schedule(clock, batch.hp.clip, batch.hp.clip_end)
        ratio = jnp.exp(log_ratio)
        penalty = jnp.abs(advantage) * jnp.square(ratio - 1.0) / (2.0 * width)
        metrics = {"approx_kl": (ratio - 1.0 - log_ratio).mean(), "penalty": penalty.mean()}
        return penalty - ratio * advantage, metrics

    return actor_critic_objective("quadratic-penalty", surrogate)
