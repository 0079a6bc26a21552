"""Which spec each slot plays, so that shares of steps are kept exactly; and what the shares came to.

Slots that keep their spec give shares of **steps**: a spec with short episodes has more of them. Slots that draw a spec for each
episode give shares of **episodes**: a spec with short episodes has fewer steps. Which one a loop has it says, and both are counted.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxrl_evolve.generation.skill_table import SkillTable

_ROUNDING = 1e-4  # by which a product of float32 may fall short of a whole number


def apportioned(shares: Float[Array, " specs"], slots: int) -> Int[Array, " specs"]:
    """How many slots each spec gets: their sum is exact, and none is a whole slot from its share (largest remainders, the lower number
    first of equal ones).

    Args:
        shares: at least 0, some of them above; they need not add up to 1.
        slots: how many there are.
    """
    quota = shares / shares.sum() * slots
    whole = jnp.floor(quota + _ROUNDING)
    counts = whole.astype(jnp.int32)
    # Rounded, so that equal remainders are equal.
    remainder = jnp.where(shares > 0, jnp.round((quota - whole) / _ROUNDING), -jnp.inf)
    rank = jnp.argsort(jnp.argsort(-remainder))
    return counts + (rank < slots - counts.sum()).astype(jnp.int32)


def dealt(counts: Int[Array, " specs"], slots: int) -> Int[Array, " slots"]:
    """The spec of each slot, those of one spec side by side.

    Args:
        counts: how many slots each spec gets.
        slots: their sum.
    """
    return jnp.searchsorted(jnp.cumsum(counts), jnp.arange(slots), side="right").astype(jnp.int32)


class Account(NamedTuple):
    """What was played, by spec; integers of the host, which do not overflow.

    Attributes:
        steps: int64 ``[specs]``.
        episodes: int64 ``[specs]``, that ended.
    """

    steps: np.ndarray
    episodes: np.ndarray

    def __add__(self, other: Any) -> Account:
        return Account(self.steps + other.steps, self.episodes + other.episodes)

    @property
    def original_steps(self) -> float:
        """Share of the steps that were of spec 0; 0 of none."""
        return _first_share(self.steps)

    @property
    def original_episodes(self) -> float:
        """Share of the episodes that were of spec 0; 0 of none."""
        return _first_share(self.episodes)


def account_of(table: SkillTable) -> Account:
    """What a table has counted."""
    return Account(np.asarray(table.steps, np.int64), np.asarray(table.episodes, np.int64))


def _first_share(counts: np.ndarray) -> float:
    return float(counts[0] / counts.sum()) if counts.sum() else 0.0
