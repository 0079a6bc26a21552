"""Settings of the loop with a population."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from jaxrl_evolve.settings.checks import Above, AtLeast, Between, check


@dataclasses.dataclass(frozen=True)
class PopulationConfig:
    """Settings of the loop with a population."""

    members: Annotated[int, AtLeast(2)] = 4
    """Agents, each of which makes the steps of a cycle."""
    trial: Annotated[int, AtLeast(1)] = 32
    """Episodes of each agent in each spec that it might play, which decide whether it does; they count as validation."""
    low: Annotated[float, Between(0.0, 1.0)] = 0.1
    """The most that a lower threshold begins with: specs in which an agent succeeds less often are not for it yet."""
    high: Annotated[float, Between(0.0, 1.0)] = 0.7
    """The least that an upper threshold begins with: specs in which it succeeds more often are behind it."""
    replaced: Annotated[float, Between(0.0, 0.5)] = 0.25
    """Share of the agents, the worst, that become copies of the best after a cycle."""
    factor: Annotated[float, Above(1.0)] = 1.2
    """By which a copy's thresholds are multiplied or divided."""

    def __post_init__(self) -> None:
        check(self)
        if self.low >= self.high:
            raise ValueError(f"low is {self.low} and high {self.high}; low must be below high")
