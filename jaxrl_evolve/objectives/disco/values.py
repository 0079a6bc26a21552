"""Action values as categorical distributions on a signed-hyperbolic scale.

The scale is that of Pohlen et al. (2018, arXiv 1805.11593): ``h(x) = sign(x) (sqrt(|x| + 1) - 1) + eps x``,
near the identity at zero, near a square root far from it. Its range is cut into equal bins, and a number is
told by the probabilities of the two bins on either side (Bellemare et al. 2017).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_EPS = 1e-3


def signed_hyperbolic(x: Float[Array, "*B"]) -> Float[Array, "*B"]:
    """``h(x)``."""
    return jnp.sign(x) * (jnp.sqrt(jnp.abs(x) + 1.0) - 1.0) + _EPS * x


def signed_parabolic(y: Float[Array, "*B"]) -> Float[Array, "*B"]:
    """The inverse of `signed_hyperbolic`."""
    # The textbook's root minus a half over eps, multiplied out so that nearly equal numbers are not subtracted.
    u = _EPS + 1.0 + jnp.abs(y)
    root = 2.0 * u / (jnp.sqrt(1.0 + 4.0 * _EPS * u) + 1.0)
    return jnp.sign(y) * (jnp.square(root) - 1.0)


def signed_log(x: Float[Array, "*B"]) -> Float[Array, "*B"]:
    """``sign(x) log(1 + |x|)``, how the rule reads rewards and values."""
    return jnp.sign(x) * jnp.log1p(jnp.abs(x))


def two_hot(x: Float[Array, "*B"], bins: int, limit: float) -> Float[Array, "*B bins"]:
    """Probabilities of ``bins`` equally spaced numbers from ``-limit`` to ``limit`` whose mean is ``x``.

    ``x`` is clipped to that range.
    """
    place = (jnp.clip(x, -limit, limit) + limit) * ((bins - 1) / (2.0 * limit))
    distance = jnp.abs(place[..., None] - jnp.arange(bins, dtype=jnp.float32))
    return jnp.maximum(1.0 - distance, 0.0)


def expected_value(logits: Float[Array, "*B bins"], limit: float) -> Float[Array, "*B"]:
    """What a categorical prediction says: its mean over the bins, on the original scale."""
    support = jnp.linspace(-limit, limit, logits.shape[-1], dtype=jnp.float32)
    return signed_parabolic(jax.nn.softmax(logits) @ support)
