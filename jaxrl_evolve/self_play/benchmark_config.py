"""What is compared: methods on games at the same number of queries."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from jaxrl_evolve.settings.checks import AtLeast, check, root_seed

RECORDS = 20
"""Points of a learning curve."""


@dataclasses.dataclass(frozen=True)
class GamesConfig:
    """A comparison. Cells of one folder share all of it."""

    seeds: Annotated[int, AtLeast(1)] = 8
    """Seeds of each method on each game: another start, other draws."""
    seed: int = 0
    """Root seed; all methods share the starts."""
    steps: Annotated[int, AtLeast(1)] = 1_200
    """Times that a method asks; those that ask twice a step make half as many steps."""
    queries: Annotated[int, AtLeast(1)] = 810
    """Labels that it gets each time; a multiple of the number of options of every game."""
    feedback: Literal["sampled", "exact"] = "sampled"
    """Hard labels of single queries, or expectations, which count no queries."""
    start: Annotated[float, AtLeast(0)] = 1.0
    """Standard deviation of the logits that a method begins with."""
    tune: Annotated[int, AtLeast(0)] = 32
    """Settings of its numbers that each method may try on each game; 0 for the ones that come with it."""
    tuning_seeds: Annotated[int, AtLeast(1)] = 4
    """Seeds to try them on, other than those that are reported."""

    def __post_init__(self) -> None:
        check(self)
        root_seed("seed", self.seed)
        if self.steps % (2 * RECORDS):
            raise ValueError(f"steps is {self.steps}; it must be a multiple of {2 * RECORDS}")
