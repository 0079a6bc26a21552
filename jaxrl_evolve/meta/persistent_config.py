"""Settings of evolution strategies over windows of lives."""

from __future__ import annotations

import dataclasses
import typing
from typing import Literal

from jaxrl_evolve.settings.checks import check, whole

Noise = Literal["persistent", "reuse", "truncated"]
Credit = Literal["change", "level"]


@dataclasses.dataclass(frozen=True)
class PersistentConfig:
    """Settings of evolution strategies over windows; population, shaping and steps are `EvolutionConfig`'s."""

    window: int = 20
    """Updates of every agent per generation. The last window of a life may be shorter, and a life no longer
    than this is one window."""
    noise: Noise = "persistent"
    """Noise of a pair from window to window: drawn anew in each and remembered for the whole life (PES); one
    draw for the whole life (NRES); or drawn anew and forgotten, which sees no effect beyond the window and is
    biased."""
    credit: Credit = "change"
    """What a window is credited with of the final evaluation's return: by how much it changed, so that a life's
    credits add up to its fitness; or its level at the window's end in proportion to the window's length, so
    that they add up to the life's average."""

    def __post_init__(self) -> None:
        check(self, "persistent")
        whole("persistent.window", self.window, 1)
        for name, kinds in (("noise", typing.get_args(Noise)), ("credit", typing.get_args(Credit))):
            value = getattr(self, name)
            if value not in kinds:
                raise ValueError(f"persistent.{name} is {value!r}; it must be {' or '.join(kinds)}")
