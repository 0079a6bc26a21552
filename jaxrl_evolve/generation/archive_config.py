"""When a spec of an archive changes its status, and what makes one worth playing."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from jaxrl_evolve.settings.checks import Above, AtLeast, Between, check


@dataclasses.dataclass(frozen=True)
class ArchiveConfig:
    """When a spec changes its status, and what makes one worth playing."""

    active: Annotated[int, AtLeast(1)] = 64
    """Specs that are played in a cycle, at most, the original among them. The archive itself keeps all."""
    episodes: Annotated[int, AtLeast(1)] = 16
    """Episodes from which on a spec's status may change."""
    mastery: Annotated[float, Between(0.0, 1.0)] = 0.9
    """Expected share of successes from which on a spec is learned."""
    easier: Annotated[int, AtLeast(0)] = 2
    """How many easier children a spec that never succeeds gets before it is left alone."""
    retry: Annotated[int, AtLeast(1)] = 3
    """Cycles for which it is left alone the first time; each further time twice as many."""
    quarantines: Annotated[int, AtLeast(1)] = 3
    """How many times, before it has failed for good."""
    discount: Annotated[float, Between(0.0, 1.0)] = 0.9
    """What is left of earlier evidence after a cycle, since the agent has changed."""
    staleness: Annotated[float, AtLeast(0.0)] = 0.01
    """What is added to the fitness of a spec for every cycle that it was not played in; 0.25 is all that learnability can be."""
    neighbours: Annotated[int, AtLeast(1)] = 3
    """Of how many nearest specs the mean distance is a spec's novelty."""
    temperature: Annotated[float, Above(0.0)] = 0.5
    """The share of play of the i-th best spec is proportional to i^(-1/temperature)."""

    def __post_init__(self) -> None:
        check(self)
