"""Settings of where an agent's lifetime comes from."""

from __future__ import annotations

import dataclasses
from typing import Literal

from jaxrl_evolve.settings.checks import check


@dataclasses.dataclass(frozen=True)
class HorizonConfig:
    """Lifetimes of meta-training, in updates."""

    kind: Literal["fixed", "uniform", "log_uniform", "inverse_budget", "curriculum", "arms"] = "log_uniform"
    """How a lifetime is drawn: always ``high``; uniformly, or uniformly in its logarithm, between ``low`` and
    ``high``; one of ``choices`` with probability inverse to its length, so that every choice costs as much
    experience in total (DiscoRL); log-uniformly up to a bound that grows from ``low`` to ``high`` in
    the course of meta-training; or one of ``choices``, by what came of earlier lives, as ``curriculum`` says."""
    low: int = 10
    """Shortest lifetime."""
    high: int = 250
    """Longest lifetime."""
    choices: tuple[int, ...] = (25, 50, 100, 200)
    """Lifetimes of 'inverse_budget' and 'arms', of the latter from easy to hard."""

    def __post_init__(self) -> None:
        check(self, "horizons")
        if not 1 <= self.low <= self.high:
            raise ValueError(
                f"horizons.low is {self.low} and horizons.high {self.high}; 1 <= low <= high must hold"
            )
        if self.kind in ("inverse_budget", "arms") and (not self.choices or min(self.choices) < 1):
            raise ValueError(
                f"horizons.choices is {self.choices}; {self.kind!r} needs lifetimes of at least 1"
            )
        if self.kind == "arms" and len({*self.choices}) < len(self.choices):
            raise ValueError(f"horizons.choices is {self.choices}; of 'arms' none may be there twice")

    @property
    def range(self) -> tuple[int, int]:
        """Shortest and longest lifetime that can be drawn."""
        match self.kind:
            case "fixed":
                return self.high, self.high
            case "inverse_budget" | "arms":
                return min(self.choices), max(self.choices)
        return self.low, self.high
