"""The advantage actor-critic's policy gradient (Mnih et al. 2016)."""

from __future__ import annotations

from typing import Any

import jax
from jaxtyping import Array

from jaxrl_evolve.clock import Clock
from jaxrl_evolve.objectives.actor_critic import actor_critic_objective
from jaxrl_evolve.objectives.objective import Objective, ObjectiveBatch


def a2c(normalise_advantage: bool = False) -> Objective:
    """``-log pi(a|s) A`` with an unclipped value loss and an entropy bonus."""

    def surrogate(
        eta: Any, log_ratio: Array, advantage: Array, batch: ObjectiveBatch, clock: Clock
    ) -> tuple[Array, dict[str, Array]]:
        del eta, clock
        log_prob = log_ratio + batch.trajectory.policy.log_prob
        return -log_prob * jax.lax.stop_gradient(advantage), {}

    return actor_critic_objective("a2c", surrogate, normalise_advantage=normalise_advantage, clip_value=False)
