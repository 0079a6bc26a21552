"""Sizes of a Disco rule."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from jaxrl_evolve.objectives.time_config import NO_TIME, TimeFeatures
from jaxrl_evolve.settings.checks import Above, AtLeast, check

INPUTS = 27
"""Numbers that the rule reads at every step, besides what it reads of the clock."""
ACTION_INPUTS = 9
"""Numbers that it reads of every action at every step."""


@dataclasses.dataclass(frozen=True)
class DiscoConfig:
    """Shape of the rule and of what its agents predict. The defaults are a small preset for a CPU."""

    predictions: Annotated[int, AtLeast(2)] = 16
    """Classes of ``y`` and ``z``; 600 as published."""
    bins: Annotated[int, AtLeast(2)] = 51
    """Classes of the action values ``q``; 601 as published."""
    limit: Annotated[float, Above(0.0)] = 25.0
    """Largest absolute action value on the signed-hyperbolic scale, which the bins span; 300 as published."""
    width: Annotated[int, AtLeast(1)] = 32
    """Units of the core that reads a rollout backwards; 256 as published."""
    lifetime_width: Annotated[int, AtLeast(1)] = 16
    """Units of the core that makes one step per update; 128 as published."""
    hidden: Annotated[int, AtLeast(1)] = 16
    """Hidden units of the small networks that read predictions and actions."""
    action_features: Annotated[int, AtLeast(1)] = 2
    """Numbers that the network of single actions passes on."""
    time: TimeFeatures = NO_TIME
    """What the gate reads of the clock; nothing is Disco, anything TA-Disco."""

    def __post_init__(self) -> None:
        check(self)

    @classmethod
    def published(cls, **changes: Any) -> DiscoConfig:
        """The sizes of Disco57 and Disco103 (Oh et al. 2025): 754,778 parameters."""
        sizes = {"predictions": 600, "bins": 601, "limit": 300.0, "width": 256, "lifetime_width": 128}
        return cls(**{**sizes, **changes})


TA_DISCO = DiscoConfig(time=TimeFeatures(("fraction",)))
"""TA-Disco where the range of horizons is not known; meta-training adds ``log_horizon`` and their range."""
