"""Settings of where the levels of a meta-training come from."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from jaxrl_evolve.curricula.buffer_config import BufferConfig
from jaxrl_evolve.settings.checks import AtLeast, Between, check, whole


@dataclasses.dataclass(frozen=True)
class AntagonistConfig:
    """The A2C agents that lives are compared with; batch, network and normalisation are those of the lives."""

    learning_rate: Annotated[float, AtLeast(0.0)] = 0.0
    """Adam's step size; 0 is 0.1 for tables and 1e-3 for networks."""
    gamma: Annotated[float, Between(0.0, 1.0)] = 0.99
    """Discount factor."""
    gae_lambda: Annotated[float, Between(0.0, 1.0)] = 0.95
    """Trace parameter of the advantage estimate."""
    entropy_coef: Annotated[float, AtLeast(0.0)] = 0.01
    """Weight of the entropy bonus."""
    lanes: int = 1
    """Antagonists of finished agents side by side on one device (meta-gradients); more pays on accelerators."""

    def __post_init__(self) -> None:
        check(self, "levels.antagonist")
        whole("levels.antagonist.lanes", self.lanes, 1)


@dataclasses.dataclass(frozen=True)
class LevelsConfig:
    """Where the levels of a meta-training come from, in families of levels."""

    kind: Literal["uniform", "groove"] = "uniform"
    """Always new ones, or (GROOVE) also such as were lived on before and left much to be learnt there: those
    on which an A2C agent ended far above the agents of the objective."""
    buffer: BufferConfig = dataclasses.field(default_factory=BufferConfig)
    """Levels lived on before."""
    antagonist: AntagonistConfig = dataclasses.field(default_factory=AntagonistConfig)
    """A2C agents of GROOVE."""

    @property
    def curated(self) -> bool:
        """Whether levels come again."""
        return self.kind != "uniform"

    def __post_init__(self) -> None:
        if self.kind not in ("uniform", "groove"):
            raise ValueError(f"levels.kind is {self.kind!r}; it must be 'uniform' or 'groove'")
