"""Losses on preferences. Log-ratios are ``log pi(y) - log reference(y)``, summed over the parts of ``y``.

Win rates ``w`` and labels are probabilities. The reference of SPPO, and of the pairwise form, is the policy that was sampled from.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array

Baseline = Literal["half", "logz", "pairwise"]
Balance = Literal["none", "wrong", "spread"]


def _require(name: str, given: str, kinds: Any) -> None:
    """Refuse another word: another loss would be taken for it."""
    if given not in get_args(kinds):
        raise ValueError(f"{name} is {given!r}; it must be one of {', '.join(get_args(kinds))}")


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

    Raises:
        ValueError: there is no such baseline.
    """
    _require("baseline", baseline, Baseline)
    count = log_ratio.shape[-1]
    weight = jnp.full(count, 1.0 / count, log_ratio.dtype) if weight is None else weight
    target = eta * (win_rate - 0.5)
    if baseline == "pairwise":
        error = log_ratio - target
        differences = jnp.square(error[..., :, None] - error[..., None, :])
        return (weight[..., :, None] * weight[..., None, :] * differences).sum((-2, -1))
    if baseline == "logz":
        # Without any sample there is no partition function, and nothing of the target counts.
        some = weight.sum(-1, keepdims=True) > 0
        target = target - jax.nn.logsumexp(target, -1, b=jnp.where(some, weight, 1.0), keepdims=True)
    return (weight * jnp.square(log_ratio - target)).sum(-1)


def reinforce(log_prob: Array, payoff: Array, weight: Any = None) -> Array:
    """The score-function gradient: minus the mean of ``payoff log pi``, the payoff held fixed, over the last axis."""
    weight = 1.0 / log_prob.shape[-1] if weight is None else weight
    return -(weight * jax.lax.stop_gradient(payoff) * log_prob).sum(-1)


def nft(log_ratio: Array, correct: Array, rate: Any, balance: Balance = "none") -> Array:
    """Negative-aware fine-tuning (Chen et al. 2025, arXiv 2505.18116), of any shape: what is correct is made likelier, and the rest as much less likely as
    the policy that produced it would have to be.

    Args:
        log_ratio: to the policy that was sampled from; counted up to 10 either way.
        correct: 1, or 0.
        rate: share of correct samples of the context; counted from 0.02 to 0.98.
        balance: weight of a context: 1; the share that is wrong, with which the first gradient is that of group advantages; or the root of the odds
            against, that of group advantages divided by their standard deviation.

    Raises:
        ValueError: there is no such balance.
    """
    _require("balance", balance, Balance)
    rate = jnp.clip(jnp.asarray(rate, log_ratio.dtype), 0.02, 0.98)
    log_ratio = jnp.clip(log_ratio, -10.0, 10.0)
    implied = (1.0 - rate * jnp.exp(log_ratio)) / (
        1.0 - rate
    )  # how much likelier a wrong one is under those that are wrong
    bounded = implied + jax.lax.stop_gradient(jnp.maximum(implied, 1.0) - implied)
    weight = {"none": jnp.ones_like(rate), "wrong": 1.0 - rate, "spread": jnp.sqrt((1.0 - rate) / rate)}
    return weight[balance] * jnp.where(correct > 0.5, -log_ratio, -jnp.log(bounded))


def srpo(draft: Array, kept: Array, revised: Array, label: Array, beta: Any, weight: Any = 0.5) -> Array:
    """Self-improving robust preference optimisation (Choi et al. 2024, arXiv 2406.01660), of two completions of one context along the last axis.

    Whoever revises maximises ``P(revision > draft) - beta KL``, whoever drafts minimises it less a KL of its own. Where both are at their best, what a
    revision gains over keeping the draft is what the oracle says, and a draft is as much likelier than another as it is likelier to be kept. Each is
    IPO's squared error. How the paper weighs the two is not known here.

    Args:
        draft: log-ratios ``[..., 2]`` of both as drafts.
        kept: as revisions of themselves.
        revised: of each as a revision of the other.
        label: of the first against the second, or its probability.
        beta: weight of the divergences.
        weight: of the loss of drafts; the rest is that of revisions.
    """
    one, other = revised[..., 0], revised[..., 1]
    gains = ipo(one, kept[..., 1], label, beta) + ipo(other, kept[..., 0], 1.0 - label, beta)
    apart = draft - kept
    return (1.0 - weight) * gains / 2.0 + weight * jnp.square(apart[..., 0] - apart[..., 1])
