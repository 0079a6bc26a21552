"""Settings of evolution strategies."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from jaxrl_evolve.settings.checks import AtLeast, Between, check
from jaxrl_evolve.settings.nested import UNWRITTEN_BY_DEFAULT


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
    keys: Literal["pair", "generation"] = dataclasses.field(default="pair", metadata=UNWRITTEN_BY_DEFAULT)
    """Who shares random numbers (initial agent, environments, actions, evaluation): the two of a pair, or all
    members of a generation. Each generation has new ones. The pair's own average over more of them."""
    only: tuple[str, ...] = dataclasses.field(default=(), metadata=UNWRITTEN_BY_DEFAULT)
    """Parameters that may move; none named is all. By name (`time`, `core_time`), or one row of one by its number
    or by the time feature it belongs to (`time.fraction`). The others stay what they are at the start."""

    def __post_init__(self) -> None:
        check(self, "evolution")
        if self.population < 2 or self.population % 2:
            raise ValueError(
                f"evolution.population is {self.population}; members come in antithetic pairs, so it must be even"
            )
        if len(set(self.only)) < len(self.only) or "" in self.only:
            raise ValueError(f"evolution.only is {self.only}; each name can be there once only, none empty")
        for name in ("sigma", "learning_rate", "sigma_decay", "learning_rate_decay"):
            if not getattr(self, name) > 0:
                raise ValueError(f"evolution.{name} is {getattr(self, name)}; it must be above 0")

    @property
    def pairs(self) -> int:
        """Antithetic pairs per generation."""
        return self.population // 2
