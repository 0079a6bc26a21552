"""Observation and action spaces: static facts about an environment's arrays.

Spaces are hashable and hold plain Python numbers, so they can be closed over or passed as static
arguments. Bounds are per-space scalars or per-element tuples.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


@dataclasses.dataclass(frozen=True)
class Discrete:
    """Integers ``0 .. n-1`` as an int32 scalar."""

    n: int

    def __post_init__(self) -> None:
        if not isinstance(self.n, int) or self.n < 1:
            raise ValueError(f"Discrete.n is {self.n!r}; it must be a whole number of at least 1")

    @property
    def shape(self) -> tuple[int, ...]:
        return ()

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.int32)

    def sample(self, key: jax.Array) -> jax.Array:
        """A uniform element, int32 scalar."""
        return jax.random.randint(key, (), 0, self.n, jnp.int32)

    def contains(self, x: Any) -> bool:
        """Host-side membership test of one element."""
        x = np.asarray(x)
        return x.shape == () and bool(np.issubdtype(x.dtype, np.integer)) and 0 <= int(x) < self.n


@dataclasses.dataclass(frozen=True)
class Box:
    """Arrays of one shape and dtype between ``low`` and ``high`` (inclusive).

    Attributes:
        low, high: a number for every element alike, or a flat tuple with one number per element in
            C order. Infinite bounds mean unbounded.
        shape: array shape, without batch axes.
        dtype: NumPy dtype name, e.g. ``"float32"`` or ``"uint8"``.
    """

    low: float | tuple[float, ...]
    high: float | tuple[float, ...]
    shape: tuple[int, ...]
    dtype_name: str = "float32"

    def __post_init__(self) -> None:
        size = math.prod(self.shape)
        for field in ("low", "high"):
            bound = getattr(self, field)
            if isinstance(bound, tuple) and len(bound) != size:
                raise ValueError(
                    f"Box.{field} has {len(bound)} numbers; shape {self.shape} needs {size} (or one for all)"
                )

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self.dtype_name)

    def bound(self, which: str) -> np.ndarray:
        """``low`` or ``high`` as a NumPy array of ``shape``, float32."""
        value = np.asarray(getattr(self, which), np.float32)
        return np.broadcast_to(value.reshape(self.shape) if value.ndim else value, self.shape)

    @property
    def bounded(self) -> bool:
        """Whether every element has a finite lower and upper bound."""
        return bool(np.isfinite(self.bound("low")).all() and np.isfinite(self.bound("high")).all())

    def sample(self, key: jax.Array) -> jax.Array:
        """A uniform element where bounded, a standard normal one elsewhere; clipped to the bounds."""
        low, high = self.bound("low"), self.bound("high")
        if np.issubdtype(self.dtype, np.integer):
            return jax.random.randint(
                key, self.shape, low.astype(np.int32), high.astype(np.int32) + 1
            ).astype(self.dtype)
        if self.bounded:
            return jax.random.uniform(key, self.shape, self.dtype, low, high)
        return jnp.clip(jax.random.normal(key, self.shape, self.dtype), low, high)

    def contains(self, x: Any) -> bool:
        """Host-side membership test of one element (shape, bounds; NaN is never inside)."""
        x = np.asarray(x)
        inside = (x >= self.bound("low")) & (x <= self.bound("high"))
        return x.shape == self.shape and bool(inside.all())


Space = Discrete | Box
"""What actions and observations are drawn from."""


def bound_of(values: Any) -> float | tuple[float, ...]:
    """An array of bounds as `Box` takes it: one number where all are equal, else a flat tuple in C order."""
    flat = [float(x) for x in np.asarray(values, np.float64).reshape(-1)]
    return flat[0] if flat and len(set(flat)) == 1 else tuple(flat)
