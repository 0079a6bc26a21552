"""Sizes of an LPG meta-network."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

from jaxrl_evolve.objectives.time_config import NO_TIME, TimeFeatures
from jaxrl_evolve.settings.checks import AtLeast, check


@dataclasses.dataclass(frozen=True)
class LPGConfig:
    """Shape of the meta-network. The defaults are a small preset that trains on a CPU."""

    core: Literal["gru", "lstm"] = "gru"
    """Recurrent core."""
    width: Annotated[int, AtLeast(1)] = 32
    """Units of the core; 256 in the papers."""
    predictions: Annotated[int, AtLeast(1)] = 8
    """Width of ``y``; 30 in the first paper, 8 in the second's code."""
    embedding: Annotated[int, AtLeast(1)] = 16
    """Hidden units of the network that reads ``y``."""
    gamma_input: bool = False
    """Whether the discount is read (as in the first paper)."""
    time: TimeFeatures = NO_TIME
    """What is read of the clock; nothing is LPG, anything TA-LPG."""
    start: Literal["zeros", "random"] = "zeros"
    """Initial parameters: zeros (``pi_hat`` is zero and ``y_hat`` uniform, the start of evolution), or
    random ones, which a meta-gradient needs."""

    def __post_init__(self) -> None:
        check(self)
        if self.predictions == 1:
            raise ValueError("predictions is 1; a categorical prediction needs at least 2 classes")

    @classmethod
    def paper(cls, **changes: Any) -> LPGConfig:
        """The sizes of Oh et al. (2020): an LSTM of 256 units and 30 classes."""
        return cls(**{"core": "lstm", "width": 256, "predictions": 30, "gamma_input": True, **changes})

    @property
    def inputs(self) -> int:
        """Numbers read at every step, without the clock's."""
        return 5 + self.gamma_input


TA_LPG = LPGConfig(time=TimeFeatures(("fraction",)))
"""TA-LPG where the range of horizons is not known; meta-training adds ``log_horizon`` and their range."""
