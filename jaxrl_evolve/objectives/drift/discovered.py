"""Discovered policy optimisation (Lu et al. 2022, arXiv 2210.05639): a closed-form drift, found by fitting what
evolved drift networks had in common.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrl_evolve.objectives.drift.config import DiscoveredConfig
from jaxrl_evolve.objectives.drift.frame import Drift, drift_objective
from jaxrl_evolve.objectives.objective import Objective


def discovered_drift(config: DiscoveredConfig | None = None) -> Drift:
    """Its drift (section 5 there).

    ``relu(u - alpha tanh(u / alpha))`` with ``u = (r - 1) A`` where ``A >= 0``, else
    ``relu(v - beta tanh(v / beta))`` with ``v = A log r``. It reads neither clip nor time.
    """
    config = DiscoveredConfig() if config is None else config

    def drift(
        eta: Any,
        log_ratio: Float[Array, "*shape"],
        advantage: Float[Array, "*shape"],
        clip: Float[Array, ""],
        time: Float[Array, " F"],
    ) -> Float[Array, "*shape"]:
        del eta, clip, time
        good = jnp.expm1(log_ratio) * advantage
        bad = log_ratio * advantage
        return jnp.where(
            advantage >= 0,
            jax.nn.relu(good - config.alpha * jnp.tanh(good / config.alpha)),
            jax.nn.relu(bad - config.beta * jnp.tanh(bad / config.beta)),
        )

    return drift


def discovered(
    config: DiscoveredConfig | None = None, normalise_advantage: bool = True, clip_value: bool = True
) -> Objective:
    """Discovered policy optimisation, without parameters."""
    return drift_objective(
        "discovered", discovered_drift(config), normalise_advantage=normalise_advantage, clip_value=clip_value
    )
