"""Numbers of the offline proposer."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from jaxrl_evolve.settings.checks import AtLeast, Between, check


@dataclasses.dataclass(frozen=True)
class OfflineConfig:
    """Numbers of the offline proposer."""

    done: Annotated[float, Between(0.0, 1.0)] = 0.8
    """Share of episodes from which on a skill needs no specs of its own."""
    ready: Annotated[float, Between(0.0, 1.0)] = 0.3
    """Share from which on a skill is no hindrance to those that need it."""
    easy: Annotated[float, Between(0.0, 1.0)] = 0.75
    """Share of successes from which on a spec is made harder."""
    hard: Annotated[float, Between(0.0, 1.0)] = 0.25
    """Share of successes below which it is made easier."""
    uniform: Annotated[float, Between(0.0, 1.0)] = 0.2
    """Share of the proposals whose skill and change are drawn evenly from all."""
    oversample: Annotated[int, AtLeast(1)] = 3
    """How many times as many are made as are asked for; the most novel are taken."""
    tries: Annotated[int, AtLeast(1)] = 4
    """Attempts for each of these; a change may find nothing to change, or make what is there already."""

    def __post_init__(self) -> None:
        check(self)
        if self.hard > self.easy:
            raise ValueError(f"hard is {self.hard} and easy {self.easy}; hard must not be above easy")
