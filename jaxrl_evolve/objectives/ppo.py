"""Proximal policy optimisation's clipped surrogate (Schulman et al. 2017, equation 7)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxrl_evolve.clock import Clock, linear_schedule
from jaxrl_evolve.objectives.actor_critic import actor_critic_objective
from jaxrl_evolve.objectives.objective import Objective, ObjectiveBatch


def ppo_clip(normalise_advantage: bool = True, clip_value: bool = True) -> Objective:
    """The clipped surrogate ``-min(r A, clip(r, 1 - c, 1 + c) A)`` with value loss and entropy bonus.

    ``c`` is ``hp.clip`` along the clock. Reports ``approx_kl``, the estimator ``mean(r - 1 - log r)`` of the
    divergence from the acting policy (Schulman 2020), and ``clip_fraction``.
    """

    def surrogate(
        eta: Any, log_ratio: Array, advantage: Array, batch: ObjectiveBatch, clock: Clock
    ) -> tuple[Array, dict[str, Array]]:
        del eta
        clip = linear_schedule(clock, batch.hp.clip, batch.hp.clip_end)
        ratio = jnp.exp(log_ratio)
        metrics = {
            "approx_kl": (ratio - 1.0 - log_ratio).mean(),
            "clip_fraction": (jnp.abs(ratio - 1.0) > clip).mean(dtype=jnp.float32),
        }
        return -_gain(log_ratio, advantage, jnp.asarray(clip, jnp.float32)), metrics

    return actor_critic_objective(
        "ppo-clip", surrogate, normalise_advantage=normalise_advantage, clip_value=clip_value
    )


@jax.custom_jvp
def _gain(log_ratio: Array, advantage: Array, clip: Array) -> Array:
    """``min(r A, clip(r, 1 - c, 1 + c) A)``, and zero where ``A`` is, also where ``r`` overflows."""
    return _parts(log_ratio, advantage, clip)[0]


@_gain.defjvp
def _gain_jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    # By hand, since the chain rule multiplies the zero of a clipped ratio with the ratio, which may be infinite.
    _, advantage, _ = primals
    gain, kept, clipped = _parts(*primals)
    d_log_ratio, d_advantage, d_clip = tangents
    by_clip = jnp.where(clipped, jnp.abs(advantage), 0.0)
    return gain, jnp.where(clipped, 0.0, gain) * d_log_ratio + kept * d_advantage + by_clip * d_clip


def _parts(log_ratio: Array, advantage: Array, clip: Array) -> tuple[Array, Array, Array]:
    """The gain, the ratio that it takes, and whether that is the limit."""
    ratio = jnp.exp(log_ratio)
    # The minimum of the two products, chosen by a comparison; without an advantage, not inf * 0.
    limit = jnp.where(advantage > 0, 1.0 + clip, 1.0 - clip)
    clipped = ((ratio - limit) * advantage > 0) | (advantage == 0)
    kept = jnp.where(clipped, limit, ratio)
    return kept * advantage, kept, clipped
