"""The frame of drift objectives: the policy's gain minus a penalty for leaving the acting policy.

Mirror learning (Kuba et al. 2022, arXiv 2201.02373): maximise ``E[r A - D(r, A)]``, where ``r`` is the ratio of
the new probability of an action to the acting one. A drift ``D`` that is never negative, and zero with zero
slope at ``r = 1``, makes an algorithm that improves and converges. PPO's clipping is one such drift.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrl_evolve.clock import Clock, linear_schedule
from jaxrl_evolve.objectives.actor_critic import actor_critic_objective, check_per_sample
from jaxrl_evolve.objectives.objective import Objective, ObjectiveBatch, no_parameters
from jaxrl_evolve.objectives.time_config import NO_TIME, HorizonRange, TimeFeatures

Drift = Callable[[Any, Array, Array, Array, Array], Array]
"""``(eta, log_ratio, advantage, clip, time) -> D``: ``log_ratio``, ``advantage`` and ``D`` have one shape,
``clip`` is the scalar range of the ratio along the clock (PPO's), ``time`` the float32 time features."""


_LARGEST = 40.0
"""Where a ratio's logarithm is cut: beyond 88 the ratio overflows float32, and the product of a smaller one with a large
advantage does; then the gain minus the drift would be inf - inf."""


def drift_objective(
    name: str,
    drift: Drift,
    time: TimeFeatures = NO_TIME,
    init: Callable[[jax.Array], Any] = no_parameters,
    normalise_advantage: bool = True,
    clip_value: bool = True,
    horizons: HorizonRange | None = None,
) -> Objective:
    """A whole objective from a drift: ``-(r A - D)`` per sample, with value loss and entropy bonus.

    Reports ``approx_kl``, the estimator ``mean(r - 1 - log r)`` of the divergence from the acting policy
    (Schulman 2020), and ``drift``, the mean of ``D``.

    Args:
        name: for reports.
        drift: the penalty.
        time: what it is told of the clock.
        init: makes ``eta``.
        normalise_advantage: whether advantages are scaled within the batch before the drift reads them.
        clip_value: whether the value loss is clipped by ``hp.clip``.
        horizons: what the drift was trained at, if it was.
    """

    def surrogate(
        eta: Any,
        log_ratio: Float[Array, "t n"],
        advantage: Float[Array, "t n"],
        batch: ObjectiveBatch,
        clock: Clock,
    ) -> tuple[Array, dict[str, Array]]:
        log_ratio = jnp.minimum(log_ratio, _LARGEST)
        change = jnp.expm1(log_ratio)  # r - 1, exact where it is small
        clip = jnp.asarray(linear_schedule(clock, batch.hp.clip, batch.hp.clip_end), jnp.float32)
        penalty = drift(eta, log_ratio, advantage, clip, time.features(clock))
        check_per_sample(f"objective {name!r}: its drift", penalty, advantage)
        metrics = {"approx_kl": (change - log_ratio).mean(), "drift": penalty.mean()}
        return penalty - (1.0 + change) * advantage, metrics

    objective = actor_critic_objective(name, surrogate, init, normalise_advantage, clip_value)
    return objective._replace(horizons=horizons)
