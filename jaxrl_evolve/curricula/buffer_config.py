"""Settings of a buffer of levels."""

from __future__ import annotations

import dataclasses

from jaxrl_evolve.settings.checks import check, whole


@dataclasses.dataclass(frozen=True)
class BufferConfig:
    """Settings of a level buffer; the defaults are those of Jackson et al. (2023)."""

    capacity: int = 4_000
    """Levels that are kept."""
    replay_probability: float = 0.5
    """Probability of a level from the buffer instead of a new one."""
    temperature: float = 1.0
    """The level of rank r is drawn in proportion to r^(-1/temperature)."""
    staleness: float = 0.0
    """Share of the drawing probability that goes by how long ago a level was scored."""
    min_fill: float = 0.0
    """Fraction of the buffer that must be filled before anything is replayed."""

    def __post_init__(self) -> None:
        check(self)
        whole("capacity", self.capacity, 1)
        for name in ("replay_probability", "staleness", "min_fill"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must lie between 0 and 1")
        if not self.temperature > 0.0:
            raise ValueError(f"temperature is {self.temperature}; it must be above 0")
