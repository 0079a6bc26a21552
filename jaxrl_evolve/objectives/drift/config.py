"""Settings of drift objectives: LPO and TA-LPO, and discovered policy optimisation."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from jaxrl_evolve.objectives.time_config import NO_TIME, TimeFeatures
from jaxrl_evolve.settings.checks import Above, AtLeast, check


@dataclasses.dataclass(frozen=True)
class LPOConfig:
    """Settings of LPO and TA-LPO; those that decide the shapes of ``eta`` are ``width`` and ``time``."""

    width: Annotated[int, AtLeast(1)] = 128
    """Hidden units."""
    ppo_start: bool = True
    """Whether PPO's own drift is added inside, so that zero parameters are PPO-clip (minus the margin)."""
    margin: Annotated[float, AtLeast(0.0)] = 1e-4
    """Output below which there is no drift."""
    feature_clip: Annotated[float, Above(0.0)] = 2.0
    """Largest absolute value of an input."""
    time: TimeFeatures = NO_TIME
    """What is known of time; nothing is LPO, anything TA-LPO."""
    start: Literal["zeros", "hidden"] = "zeros"
    """Initial parameters: zeros, or a drawn input layer under an output of zero, time columns and all. Both are
    PPO. But the network is an odd function of an odd function: around zeros ``-eta`` means what ``eta`` means, so
    antithetic pairs would live the same lives for ever. Evolution starts from 'hidden'."""

    def __post_init__(self) -> None:
        check(self)

    @property
    def name(self) -> str:
        """``"lpo"``, or ``"ta-lpo"`` where it knows the time."""
        return "ta-lpo" if self.time.size else "lpo"


TA_LPO = LPOConfig(time=TimeFeatures(("fraction",)))
"""TA-LPO of a single horizon; for several, give ``log_horizon`` and their range too."""


@dataclasses.dataclass(frozen=True)
class DiscoveredConfig:
    """Settings of discovered policy optimisation."""

    alpha: float = 2.0
    """Width of the free region where the advantage is positive."""
    beta: float = 0.6
    """Width of the free region where the advantage is negative."""

    def __post_init__(self) -> None:
        check(self)
        for name in ("alpha", "beta"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0")
