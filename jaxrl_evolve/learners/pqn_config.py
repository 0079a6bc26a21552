"""Settings of PQN: what compiles anew, and what a sweep varies in one program."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from jaxrl_evolve.networks.action_values_config import ActionValuesConfig
from jaxrl_evolve.settings.checks import AtLeast, Between, check
from jaxrl_evolve.settings.scalar import Scalar, hyperparameters


@hyperparameters
class PQNHyperparameters:
    """What a sweep can vary without compiling anew: traced float32 scalars."""

    learning_rate: Annotated[Scalar, AtLeast(0.0)] = 5e-4
    """Step size of rectified Adam."""
    learning_rate_end: Annotated[Scalar, AtLeast(0.0)] = 0.0
    """Fraction of the learning rate left at the horizon, reached in a straight line."""
    gamma: Annotated[Scalar, Between(0.0, 1.0)] = 0.99
    """Discount factor."""
    q_lambda: Annotated[Scalar, Between(0.0, 1.0)] = 0.65
    """Decay of the traces of returns."""
    epsilon_start: Annotated[Scalar, Between(0.0, 1.0)] = 1.0
    """Probability of a random action at first."""
    epsilon_end: Annotated[Scalar, Between(0.0, 1.0)] = 0.05
    """Probability of a random action from the end of exploration on."""
    exploration: Annotated[Scalar, Between(0.0, 1.0)] = 0.1
    """Fraction of the horizon over which that probability falls, in a straight line."""
    max_grad_norm: Annotated[Scalar, AtLeast(0.0, infinite=True)] = 10.0
    """Largest norm of the whole gradient."""


@dataclasses.dataclass(frozen=True)
class PQNConfig:
    """Static settings of PQN: a change compiles anew."""

    epochs: Annotated[int, AtLeast(1)] = 2
    """Passes over each rollout."""
    minibatches: Annotated[int, AtLeast(1)] = 4
    """Gradient steps of a pass."""
    network: ActionValuesConfig = dataclasses.field(
        default_factory=lambda: ActionValuesConfig(hidden=(128, 128), layer_norm=True)
    )
    """Shape of the network. Without a target network it is the normalisation of its layers that keeps learning stable."""

    def __post_init__(self) -> None:
        check(self, "learner")
        if self.network.noisy or self.network.dropout:
            raise ValueError(
                f"network.noisy is {self.network.noisy} and network.dropout {self.network.dropout}; PQN explores by epsilon and "
                "has no use for either"
            )
