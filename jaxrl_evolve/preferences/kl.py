"""Unbiased gradients of a KL divergence from samples of the policy itself.

``KL(pi | reference) = E[sum_t lr_t]`` with ``lr_t = log pi(y_t | y_<t) - log reference(y_t | y_<t)``. Its gradient is not the mean
gradient of ``lr`` (which is zero), nor of other estimators of its value; three losses have the right one.
"""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

KLGradient = Literal["reinforce", "reward_to_go", "half_square"]


def kl_loss(
    log_probs: Float[Array, "... T"], reference: Float[Array, "... T"], kind: KLGradient = "reward_to_go"
) -> Float[Array, ...]:
    """A loss of each sample, whose gradient is on average that of the KL divergence; its value means nothing.

    Args:
        log_probs: of the steps of samples that were drawn from this policy; 0 after their end.
        reference: of the same steps.
        kind: ``reinforce`` weighs the whole sample by its log-ratio, ``reward_to_go`` each step by the log-ratios from it on,
            which has less variance, ``half_square`` is half of the squared log-ratio.
    """
    log_ratio = log_probs - reference
    if kind == "half_square":
        return 0.5 * jnp.square(log_ratio.sum(-1))
    fixed = jax.lax.stop_gradient(log_ratio)
    if kind == "reinforce":
        return fixed.sum(-1) * log_probs.sum(-1)
    to_go = jnp.cumsum(fixed[..., ::-1], -1)[..., ::-1]
    return (to_go * log_probs).sum(-1)
