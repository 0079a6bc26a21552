"""Pytrees on the host: what `check_env` compares."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def host(x: Any) -> np.ndarray:
    """As NumPy; of random keys their data."""
    return np.asarray(jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x)


def stack(trees: list[Any]) -> Any:
    """Along a new leading axis."""
    return jax.tree.map(lambda *xs: jnp.stack(xs), *trees)


def equal(first: Any, second: Any) -> bool:
    """Bitwise, over the length of the shorter list."""
    pairs = zip(first[: len(second)], second[: len(first)], strict=True)
    return all(
        np.array_equal(host(a), host(b), equal_nan=True)
        for x, y in pairs
        for a, b in zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True)
    )


def close(first: Any, second: Any) -> bool:
    """Equal to within what differently fused float32 arithmetic may change."""
    pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    return all(np.allclose(host(a), host(b), rtol=1e-3, atol=1e-3, equal_nan=True) for a, b in pairs)
