"""Settings of DQN: what compiles anew, and what a sweep varies in one program."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.settings.checks import AtLeast, Between, check
from jaxrl_evolve.settings.scalar import Scalar, hyperparameters


@hyperparameters
class DQNHyperparameters:
    """What a sweep can vary without compiling anew: traced float32 scalars."""

    learning_rate: Annotated[Scalar, AtLeast(0.0)] = 2.5e-4
    """Step size of Adam."""
    learning_rate_end: Annotated[Scalar, AtLeast(0.0)] = 1.0
    """Fraction of the learning rate left at the horizon, reached in a straight line."""
    gamma: Annotated[Scalar, Between(0.0, 1.0)] = 0.99
    """Discount factor."""
    epsilon_start: Annotated[Scalar, Between(0.0, 1.0)] = 1.0
    """Probability of a random action at first."""
    epsilon_end: Annotated[Scalar, Between(0.0, 1.0)] = 0.05
    """Probability of a random action from the end of exploration on."""
    exploration: Annotated[Scalar, Between(0.0, 1.0)] = 0.2
    """Fraction of the horizon over which that probability falls, in a straight line."""
    target_decay: Annotated[Scalar, Between(0.0, 1.0)] = 0.0
    """What the target network keeps of itself when it is renewed; 0 copies the network."""
    max_grad_norm: Annotated[Scalar, AtLeast(0.0, infinite=True)] = 10.0
    """Largest norm of the whole gradient."""
    adam_eps: Annotated[Scalar, AtLeast(0.0)] = 1e-5
    """Adam's denominator offset."""


@dataclasses.dataclass(frozen=True)
class DQNConfig:
    """Static settings of DQN: a change compiles anew."""

    capacity: Annotated[int, AtLeast(1)] = 10_000
    """Transitions that the replay buffer holds, rounded up to whole rollouts."""
    batch: Annotated[int, AtLeast(1)] = 128
    """Transitions of one gradient step."""
    gradient_steps: Annotated[int, AtLeast(1)] = 8
    """Gradient steps of one update."""
    warm_up: Annotated[int, AtLeast(0)] = 1_000
    """Environment steps before the first gradient step."""
    target_period: Annotated[int, AtLeast(1)] = 100
    """Gradient steps between two renewals of the target network."""
    loss: Literal["huber", "squared"] = "huber"
    """Of a temporal difference: Huber's, half its square up to 1 and linear beyond, or half its square. Where values are far
    above 1 and episodes short, a linear loss hardly sees the ends, and values can grow without bound."""
    double: bool = True
    """Whether the network chooses the action of the successor that the target network values."""
    network: NetworkConfig = dataclasses.field(
        default_factory=lambda: NetworkConfig(hidden=(120, 84), activation="relu")
    )
    """Shape of the network: encoder, widths, nonlinearity."""

    def __post_init__(self) -> None:
        check(self, "learner")
        if self.network.memory != "none":
            raise ValueError(f"network.memory is {self.network.memory!r}; DQN has none")
        if self.network.shared:
            raise ValueError(
                f"network.shared is {self.network.shared}; DQN has no critic to share a trunk with"
            )
        if self.network.kind != "actor-critic":
            raise ValueError(
                f"network.kind is {self.network.kind!r}; DQN has a network of its own, so it must be 'actor-critic'"
            )
        if self.network.encoder == "tabular":
            raise ValueError(
                "network.encoder is 'tabular'; DQN has no tables: 'flat' reads discrete observations"
            )
        if self.capacity < max(self.batch, self.warm_up):
            raise ValueError(
                f"capacity is {self.capacity}; it must be at least batch ({self.batch}) and warm_up ({self.warm_up})"
            )
