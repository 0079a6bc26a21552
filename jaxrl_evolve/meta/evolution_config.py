"""Settings of evolution strategies."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from jaxrl_evolve.settings.checks import AtLeast, Between, check


@dataclasses.dataclass(frozen=True)
class EvolutionConfig:
    """Settings of the strategy; the defaults are those of Jackson et al. (2024) for TA-LPG."""

    population: int = 64
    """Members per generation, an even number (1,024 in the paper)."""
    sigma: float = 0.1
    """Standard deviation of the noise."""
    sigma_decay: float = 1.0
    """Factor on it per generation."""
    learning_rate: float = 1e-2
    """Adam's step size."""
    learning_rate_decay: float = 0.999
    """Factor on it per generation."""
    learning_rate_floor: Annotated[float, AtLeast(0.0)] = 1e-5
    """Smallest step size."""
    beta1: Annotated[float, Between(0.0, 1.0)] = 0.9
    """Adam's decay of the mean gradient."""
    weight_decay: Annotated[float, AtLeast(0.0)] = 0.0
    """Fraction of the parameters taken off per unit of step size (AdamW)."""
    shaping: Literal["sign", "difference", "scaled_difference", "centred_rank", "z_score"] = "sign"
    """What a pair's fitnesses count for: who won; by how much; by how much relative to the pair's size;
    or the difference of ranks, or of standard scores, among all members (which need comparable levels)."""

    def __post_init__(self) -> None:
        check(self, "evolution")
        if self.population < 2 or self.population % 2:
            raise ValueError(
                f"evolution.population is {self.population}; members come in antithetic pairs, so it must be even"
            )
        for name in ("sigma", "learning_rate", "sigma_decay", "learning_rate_decay"):
            if not getattr(self, name) > 0:
                raise ValueError(f"evolution.{name} is {getattr(self, name)}; it must be above 0")

    @property
    def pairs(self) -> int:
        """Antithetic pairs per generation."""
        return self.population // 2
