"""Settings of SAC: what compiles anew, and what a sweep varies in one program."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from jaxrl_evolve.settings.checks import Above, AtLeast, Between, NotEmpty, check
from jaxrl_evolve.settings.scalar import Scalar, hyperparameters


@hyperparameters
class SACHyperparameters:
    """What a sweep can vary without compiling anew: traced float32 scalars."""

    learning_rate: Annotated[Scalar, AtLeast(0.0)] = 3e-4
    """Step size of Adam for the policy."""
    critic_learning_rate: Annotated[Scalar, AtLeast(0.0)] = 1e-3
    """That for the critics."""
    temperature_learning_rate: Annotated[Scalar, AtLeast(0.0)] = 3e-4
    """That for the logarithm of the temperature; 0 keeps the temperature as it begins."""
    learning_rate_end: Annotated[Scalar, AtLeast(0.0)] = 1.0
    """Fraction of all three left at the horizon, reached in a straight line."""
    adam_eps: Annotated[Scalar, Above(0.0)] = 1e-8
    """Adam's denominator offset."""
    max_grad_norm: Annotated[Scalar, AtLeast(0.0, infinite=True)] = float("inf")
    """Largest norm of the gradient of the policy, and of that of the critics by itself."""
    gamma: Annotated[Scalar, Between(0.0, 1.0)] = 0.99
    """Discount factor."""
    target_rate: Annotated[Scalar, Between(0.0, 1.0)] = 0.005
    """What of the critics goes into the target critics with each gradient step."""
    temperature: Annotated[Scalar, Above(0.0)] = 1.0
    """Weight of the entropy at the start."""
    target_entropy: Annotated[Scalar, AtLeast(-10.0)] = -1.0
    """Entropy that the temperature is learned for, in nats for each element of an action that is scaled to [-1, 1]."""
    reward_scale: Annotated[Scalar, AtLeast(0.0)] = 1.0
    """What rewards are multiplied by when they are learned from."""


@dataclasses.dataclass(frozen=True)
class SACConfig:
    """Static settings: a change compiles anew."""

    capacity: Annotated[int, AtLeast(1)] = 1_000_000
    """Steps that the replay buffer holds, rounded up to whole rollouts."""
    batch: Annotated[int, AtLeast(1)] = 256
    """Steps of experience that one gradient step learns from."""
    gradient_steps: Annotated[int, AtLeast(1)] = 1
    """Gradient steps of one update, each of critics, policy and temperature."""
    warm_up: Annotated[int, AtLeast(0)] = 5_000
    """Environment steps before the first gradient step; actions are uniform till then."""
    hidden: Annotated[tuple[int, ...], NotEmpty(), AtLeast(1)] = (256, 256)
    """Widths of the hidden layers of the policy and of each critic."""
    activation: Literal["tanh", "relu", "swish", "gelu", "elu"] = "relu"
    """Their nonlinearity."""
    layer_norm: bool = False
    """Whether the critics' hidden layers are normalised before their nonlinearity (Ba et al. 2016)."""
    normalise_observations: bool = False
    """Whether observations are centred and scaled by their running moments."""

    def __post_init__(self) -> None:
        check(self, "learner")
        if self.capacity < max(self.batch, self.warm_up):
            raise ValueError(
                f"capacity is {self.capacity}; it must be at least batch ({self.batch}) and warm_up ({self.warm_up})"
            )
