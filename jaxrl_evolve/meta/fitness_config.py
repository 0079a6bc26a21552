"""Settings of what a life is worth."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

from jaxrl_evolve.settings.checks import AtLeast, Between, check

if TYPE_CHECKING:
    from jaxtyping import Array


@dataclasses.dataclass(frozen=True)
class FitnessConfig:
    """What a life is worth."""

    episodes: Annotated[int, AtLeast(1)] = 64
    """Episodes that the finished agent is evaluated on, sampling its policy."""
    max_steps: Annotated[int, AtLeast(1)] = 1_000
    """Steps after which an evaluation episode is cut off, for environments without a limit."""
    average: Annotated[float, Between(0.0, 1.0)] = 0.0
    """Weight of the mean return of the episodes of the whole life; the rest is the final evaluation's.
    The final return alone rewards no early learning."""

    def __post_init__(self) -> None:
        check(self, "fitness")

    def mix(self, final: Array, along: Array) -> Array:
        """The final evaluation's return and that of episodes on the way there, as weighted."""
        return (1.0 - self.average) * final + self.average * along
