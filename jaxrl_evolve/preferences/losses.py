"""Losses on preferences. Log-ratios are ``log pi(y) - log reference(y)``, summed over the parts of ``y``.

Win rates ``w`` and labels are probabilities. The reference of SPPO, and of the pairwise form, is the policy that was sampled from.
"""

from __future__ import annotations

from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array

Baseline = Literal["half", "logz", "pairwise"]


def dpo(log_ratio_a: Array, log_ratio_b: Array, label: Array, beta: Any) -> Array:
    """Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290), of any shape.

    Args:
        log_ratio_a: of the first of two.
        log_ratio_b: of the second.
        label: 1 where the first is preferred; 1/2 pushes towards no margin; ``1 - e`` is the conservative form with noise ``e``.
        beta: weight of the KL divergence that it stands for.
    """
    margin = beta * (log_ratio_a - log_ratio_b)
    return -label * jax.nn.log_sigmoid(margin) - (1.0 - label) * jax.nn.log_sigmoid(-margin)


def ipo(log_ratio_a: Array, log_ratio_b: Array, label: Array, tau: Any) -> Array:
    """Identity preference optimisation (Azar et al. 2023, arXiv 2310.12036): a margin of ``(label - 1/2) / tau``, squared error.

    With hard labels that is the paper's ``1 / (2 tau)`` for the preferred one. On samples of the policy itself it is online IPO
    (Calandriello et al. 2024, arXiv 2403.08635), whose fixed point is the Nash equilibrium regularised towards the reference.
    """
    return jnp.square(log_ratio_a - log_ratio_b - (label - 0.5) / tau)


def sppo(
    log_ratio: Array, win_rate: Array, eta: Any, baseline: Baseline = "half", weight: Any = None
) -> Array:
    """Self-play preference optimisation (Wu et al. 2024, arXiv 2405.00675), over the last axis, of samples of one context.

    Args:
        log_ratio: ``[..., K]``.
        win_rate: ``[..., K]``, each against the others.
        eta: step of the multiplicative weights that it regresses on.
        baseline: what stands for the logarithm of the partition function: ``eta / 2`` (``half``, the paper's), the samples' own
            (``logz``), or nothing, since it cancels in differences of pairs (``pairwise``, as in REBEL, arXiv 2404.16767).
        weight: of the samples, adding up to 1; alike by default.
    """
    count = log_ratio.shape[-1]
    weight = jnp.full(count, 1.0 / count, log_ratio.dtype) if weight is None else weight
    target = eta * (win_rate - 0.5)
    if baseline == "pairwise":
        error = log_ratio - target
        differences = jnp.square(error[..., :, None] - error[..., None, :])
        return (weight[..., :, None] * weight[..., None, :] * differences).sum((-2, -1))
    if baseline == "logz":
        target = target - jax.nn.logsumexp(target, -1, b=weight, keepdims=True)
    return (weight * jnp.square(log_ratio - target)).sum(-1)


def reinforce(log_prob: Array, payoff: Array, weight: Any = None) -> Array:
    """The score-function gradient: minus the mean of ``payoff log pi``, the payoff held fixed, over the last axis."""
    weight = 1.0 / log_prob.shape[-1] if weight is None else weight
    return -(weight * jax.lax.stop_gradient(payoff) * log_prob).sum(-1)
