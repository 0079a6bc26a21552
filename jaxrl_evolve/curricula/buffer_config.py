"""Settings of a buffer of levels."""

from __future__ import annotations

import dataclasses
from typing import Literal

from jaxrl_evolve.settings.checks import check, whole
from jaxrl_evolve.settings.nested import UNWRITTEN_BY_DEFAULT

Prioritisation = Literal["rank", "proportional", "top-k"]


@dataclasses.dataclass(frozen=True)
class BufferConfig:
    """Settings of a level buffer; the defaults are those of Jackson et al. (2023)."""

    capacity: int = 4_000
    """Levels that are kept."""
    replay_probability: float = 0.5
    """Probability of a level from the buffer instead of a new one."""
    temperature: float = 1.0
    """The level of rank r is drawn in proportion to r^(-1/temperature), one of score s to max(s, 0)^(1/temperature)."""
    staleness: float = 0.0
    """Share of the drawing probability that goes by how long ago a level was scored."""
    min_fill: float = 0.0
    """Fraction of the buffer that must be filled before anything is replayed. A buffer of unique levels is also filled enough where it has
    had more updates than levels: there are hardly more of them."""
    prioritisation: Prioritisation = dataclasses.field(default="rank", metadata=UNWRITTEN_BY_DEFAULT)
    """Levels are drawn by the rank of their scores, in proportion to them, or evenly among the highest."""
    top: int = dataclasses.field(default=1, metadata=UNWRITTEN_BY_DEFAULT)
    """How many are the highest, for top-k."""
    repeats: bool = dataclasses.field(default=False, metadata=UNWRITTEN_BY_DEFAULT)
    """Whether a level may be drawn several times for one rollout."""
    unique: bool = dataclasses.field(default=False, metadata=UNWRITTEN_BY_DEFAULT)
    """Whether equal levels, as told by a hash of 64 bits, count as one."""

    def __post_init__(self) -> None:
        check(self)
        whole("capacity", self.capacity, 1)
        whole("top", self.top, 1)
        for name in ("replay_probability", "staleness", "min_fill"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must lie between 0 and 1")
        if not self.temperature > 0.0:
            raise ValueError(f"temperature is {self.temperature}; it must be above 0")
