"""The self-predictive loss of SPR (Schwarzer et al. 2021, arXiv 2007.05929, equation 3)."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def self_prediction(
    predicted: Float[Array, "K B P"], target: Float[Array, "K B P"], belongs: Bool[Array, "K B"]
) -> Float[Array, " B"]:
    """Mean over ``K`` steps ahead of the squared distance of both on the unit sphere, ``2 - 2 cos``.

    Args:
        predicted: what was predicted 1 to ``K`` steps ahead.
        target: what came, without gradient.
        belongs: whether that state is of the episode of the first; others count nothing, but they are counted.
    """
    # Selected before anything is computed: what is of another episode may be no number, and neither be its gradient.
    own = lambda x: _on_sphere(jnp.where(belongs[..., None], x, 0.0))
    return jnp.square(own(predicted) - own(target)).sum(-1).mean(0)


def _on_sphere(x: Float[Array, "... P"]) -> Float[Array, "... P"]:
    square = jnp.square(x).sum(-1, keepdims=True)
    # Below a thousandth a vector keeps its length in thousandths; the root's derivative is finite there, too.
    return x / jnp.sqrt(jnp.maximum(square, 1e-6))
