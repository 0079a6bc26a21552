"""Intervals for shares of episodes, of NumPy and of jax arrays alike."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Z95 = 1.959963984540054
"""Of a 95 % interval."""


def wilson(won: Any, episodes: Any, z: float = Z95) -> tuple[Any, Any, Any]:
    """Share of successes with Wilson's interval (Wilson 1927), which stays within 0 and 1 and is not empty at either.

    Args:
        won: successes, an array of counts.
        episodes: of how many, an array of its shape.
        z: quantile of the normal distribution.

    Returns:
        Share, low end and high end, floats. Of no episode 0.5, 0 and 1: nothing is known, which is not nothing done.
    """
    xp, kind = (jnp, jnp.float32) if isinstance(won, jax.Array) else (np, np.float64)
    n, k = xp.asarray(episodes, kind), xp.asarray(won, kind)
    some = n > 0
    safe = xp.where(some, n, 1.0)
    share = xp.where(some, k / safe, 0.5)
    spread = z * xp.sqrt(share * (1.0 - share) / safe + z**2 / (4.0 * safe**2))
    middle, scale = share + z**2 / (2.0 * safe), 1.0 + z**2 / safe
    low = xp.where(some & (k > 0), xp.maximum((middle - spread) / scale, 0.0), 0.0)
    high = xp.where(some & (k < n), xp.minimum((middle + spread) / scale, 1.0), 1.0)
    return share, low, high
