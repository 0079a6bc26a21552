"""Settings of meta-gradients."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from jaxrl_evolve.settings.checks import AtLeast, Between, check, whole


@dataclasses.dataclass(frozen=True)
class GradientConfig:
    """Settings of meta-gradients; weights are those of Jackson et al. (2023)."""

    lifetimes: int = 64
    """Agents that live in parallel, each on its own task (512 in the paper)."""
    inner_updates: int = 5
    """Updates of every agent that one step differentiates through."""
    learning_rate: Annotated[float, AtLeast(0.0)] = 1e-3
    """Adam's step size for the objective (1e-4 in the paper, for 5,000 steps and more)."""
    max_norm: Annotated[float, AtLeast(0.0, infinite=True)] = 1.0
    """Largest norm of the meta-gradient."""
    gamma: Annotated[float, Between(0.0, 1.0)] = 0.99
    """Discount of the returns that are improved."""
    gae_lambda: Annotated[float, Between(0.0, 1.0)] = 0.95
    """Trace parameter of their advantages."""
    critic_learning_rate: Annotated[float, AtLeast(0.0)] = 0.0
    """Adam's step size for the critics; 0 is 0.05 for tables and 1e-3 for networks."""
    critic_epochs: int = 5
    """Gradient steps of a critic on every validation rollout."""
    policy_entropy: Annotated[float, AtLeast(0.0)] = 0.05
    """Weight of the policy's entropy."""
    prediction_entropy: Annotated[float, AtLeast(0.0)] = 0.001
    """Weight of the prediction's entropy (LPG)."""
    policy_target: Annotated[float, AtLeast(0.0)] = 0.005
    """Weight of the squared policy targets, which are kept small (LPG)."""
    prediction_target: Annotated[float, AtLeast(0.0)] = 0.001
    """Weight of the squared norm of the prediction targets (LPG)."""

    def __post_init__(self) -> None:
        check(self, "gradient")
        for name in ("lifetimes", "inner_updates", "critic_epochs"):
            whole(f"gradient.{name}", getattr(self, name), 1)
