"""Orthogonal initialisation without LAPACK, safe under any `vmap` on CPU.

The usual recipe takes the Q of a QR decomposition. On CPU a vmapped QR is a LAPACK call that waits
for workers of the thread pool it runs on; several independent ones in one program (six layers, two
seeds, two cores are enough) can each hold a worker and wait for the others for ever. The polar factor
of a Gaussian matrix has the same distribution as that Q (uniform over orthonormal frames) and needs
matrix products only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp


def orthogonal(scale: float = 1.0) -> Callable[..., jax.Array]:
    """An initialiser of matrices with orthonormal columns (rows, where there are fewer), times ``scale``.

    The Newton-Schulz iteration ``X <- X (3 I - X^T X) / 2`` carries every singular value below
    ``sqrt(3)`` to one (Higham, Functions of Matrices, 2008, chapter 8) and leaves the polar factor.

    Args:
        scale: the common singular value, e.g. ``sqrt(2)`` before a ReLU.

    Returns:
        ``(key, shape, dtype=float32) -> array``; all axes of ``shape`` but the last count as rows.

    Raises:
        ValueError: from the initialiser, if ``shape`` has fewer than two axes.
    """

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32, **_: Any) -> jax.Array:
        if len(shape) < 2:
            raise ValueError(f"shape is {tuple(shape)}; an orthogonal matrix needs at least two axes")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        size = (max(rows, columns), min(rows, columns))
        # The largest singular value exceeds the sum of the roots by 3 with probability below 2 %, and
        # by what the iteration could not bear, never in practice.
        bound = math.sqrt(size[0]) + math.sqrt(size[1]) + 3.0
        frame = _polar_factor(jax.random.normal(key, size, jnp.float32) / bound)
        frame = frame if rows >= columns else frame.T
        return (scale * frame).reshape(shape).astype(dtype)

    return init


def _polar_factor(matrix: jax.Array) -> jax.Array:
    """The orthonormal polar factor of a tall ``[R, C]`` matrix with singular values below sqrt(3)."""
    identity = jnp.eye(matrix.shape[1], dtype=matrix.dtype)

    def unfinished(carry: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        _, error, count = carry
        return (error > 1e-4) & (count < 60)  # the step made at an error e leaves about e^2

    def step(carry: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        x, _, count = carry
        # TF32 products, an accelerator's default, would stop short of orthogonality.
        gram = jnp.matmul(x.T, x, precision="highest")
        improved = 1.5 * x - 0.5 * jnp.matmul(x, gram, precision="highest")
        return improved, jnp.max(jnp.abs(gram - identity)), count + 1

    start = (matrix, jnp.asarray(jnp.inf, jnp.float32), jnp.asarray(0, jnp.int32))
    return jax.lax.while_loop(unfinished, step, start)[0]
