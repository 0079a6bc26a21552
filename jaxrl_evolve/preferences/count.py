"""Counts of queries that stay exact: float32 stops counting single ones at 16,777,216, and a run soon asks that many."""

from __future__ import annotations

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

_CARRY = 2**24


@struct.dataclass
class Count:
    """A whole number of up to 2^54.

    Attributes:
        high: int32 scalar, how many times 2^24.
        low: int32 scalar below 2^24, the rest.
    """

    high: Int[Array, ""]
    low: Int[Array, ""]

    @classmethod
    def none(cls) -> Count:
        """Nothing was counted yet."""
        return cls(jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))

    def plus(self, more: Array) -> Count:
        """With ``more``, a whole number from 0 to 2^30."""
        low = self.low + more.astype(jnp.int32)
        return Count(self.high + low // _CARRY, low % _CARRY)

    def within(self, most: int) -> Bool[Array, ""]:
        """Whether it is no more than ``most``, exactly."""
        high, low = divmod(most, _CARRY)
        return (self.high < high) | ((self.high == high) & (self.low <= low))

    @property
    def some(self) -> Bool[Array, ""]:
        """Whether anything was counted."""
        return (self.high > 0) | (self.low > 0)

    @property
    def total(self) -> Float[Array, ""]:
        """The number as float32, rounded once."""
        return self.high.astype(jnp.float32) * _CARRY + self.low.astype(jnp.float32)
