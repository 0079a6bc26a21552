"""What an ended slot continues with: policies that a caller of `vectorize` chooses from, and their names."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class FullResets:
    """A fresh reset for every slot at every step, of which those that ended take theirs.

    Attributes:
        shared: so many neighbours whose episodes end in the same step continue from the same start.
        at_once: if it is not 0, starts are made in rounds of so many, for slots that ended alone: the same starts, for less
            where a reset is dear. Under `vmap` there are as many rounds as the worst batch needs.
    """

    shared: int = 1
    at_once: int = 0

    def __post_init__(self) -> None:
        if self.shared < 1:
            raise ValueError(f"shared is {self.shared}; it must be at least 1")
        if self.at_once < 0:
            raise ValueError(f"at_once is {self.at_once}; it must be at least 0")

    def keys(self, keys: jax.Array) -> jax.Array:
        """Of the slots, from one for each."""
        return keys if self.shared == 1 else jnp.repeat(keys[:: self.shared], self.shared)


@dataclasses.dataclass(frozen=True)
class OptimisticResets:
    """At most ``resets_per_step`` fresh resets a step, dealt to the slots that ended."""

    resets_per_step: int

    def __post_init__(self) -> None:
        if self.resets_per_step < 1:
            raise ValueError(f"resets_per_step is {self.resets_per_step}; it must be at least 1")


@dataclasses.dataclass(frozen=True)
class PoolResets:
    """Starts drawn uniformly from ``size`` stored resets.

    Attributes:
        size: stored starts, made once at the beginning.
        renew: how many of them `VectorEnv.refresh` replaces, oldest first (0 keeps them for ever).
    """

    size: int
    renew: int = 0

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size is {self.size}; it must be at least 1")
        if not 0 <= self.renew <= self.size:
            raise ValueError(f"renew is {self.renew}; it must be between 0 and size ({self.size})")


ResetPolicy = FullResets | OptimisticResets | PoolResets


def resets_from_name(name: str) -> ResetPolicy:
    """A reset policy from text: ``full``, ``full:K``, ``full:K:M`` (`at_once`), ``optimistic:K``, ``pool:M`` or ``pool:M:RENEW``.

    Raises:
        ValueError: the text is none of these.
    """
    kind, *numbers = name.split(":")
    try:
        sizes = [int(number) for number in numbers]
        match kind, sizes:
            case "full", []:
                return FullResets()
            case "full", [k]:
                return FullResets(k)
            case "full", [k, m]:
                return FullResets(k, m)
            case "optimistic", [k]:
                return OptimisticResets(k)
            case "pool", [m]:
                return PoolResets(m)
            case "pool", [m, renew]:
                return PoolResets(m, renew)
    except ValueError as error:
        raise ValueError(f"resets is {name!r}: {error}") from None
    raise ValueError(
        f"resets is {name!r}; allowed are full, full:K, full:K:M, optimistic:K, pool:M and pool:M:RENEW"
    )
