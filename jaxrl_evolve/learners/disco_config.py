"""Settings of agents that learn by a Disco rule: what compiles anew, and what a sweep varies in one program."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.settings.checks import Above, AtLeast, Between, check
from jaxrl_evolve.settings.scalar import Scalar, hyperparameters


@hyperparameters
class DiscoHyperparameters:
    """What a sweep can vary without compiling anew: traced float32 scalars, by default as published."""

    learning_rate: Annotated[Scalar, AtLeast(0.0)] = 3e-4
    """Step size of Adam."""
    learning_rate_end: Annotated[Scalar, AtLeast(0.0)] = 1.0
    """Fraction of the learning rate left at the horizon, reached in a straight line."""
    gamma: Annotated[Scalar, Between(0.0, 1.0)] = 0.997
    """Discount factor; rules expect the one they were meta-trained with."""
    retrace_lambda: Annotated[Scalar, Between(0.0, 1.0)] = 0.95
    """Trace parameter of the targets of action values."""
    policy_coef: Annotated[Scalar, AtLeast(0.0)] = 1.0
    """Weight of the policy's distance to its target."""
    prediction_coef: Annotated[Scalar, AtLeast(0.0)] = 1.0
    """Weight of that of ``y``, the prediction of observations."""
    action_prediction_coef: Annotated[Scalar, AtLeast(0.0)] = 1.0
    """Weight of that of ``z``, the prediction of actions."""
    next_policy_coef: Annotated[Scalar, AtLeast(0.0)] = 1.0
    """Weight of that of the predicted next policy."""
    value_coef: Annotated[Scalar, AtLeast(0.0)] = 0.2
    """Weight of the loss of action values."""
    target_decay: Annotated[Scalar, Between(0.0, 1.0)] = 0.9
    """What the target network keeps of itself at an update; the rest is the agent's network."""
    max_update: Annotated[Scalar, AtLeast(0.0, infinite=True)] = 1.0
    """Largest change of any parameter in one step, in learning rates."""
    adam_eps: Annotated[Scalar, Above(0.0)] = 1e-8
    """Adam's denominator offset."""


@dataclasses.dataclass(frozen=True)
class DiscoAgentConfig:
    """Static settings of agents that learn by a Disco rule: a change compiles anew."""

    epochs: Annotated[int, AtLeast(1)] = 1
    """Updates from each rollout; in each the rule reads it anew, as off-policy data from the second on."""
    model: Annotated[int, AtLeast(1)] = 128
    """Units of the LSTM that makes a step for each action."""
    head: Annotated[int, AtLeast(1)] = 128
    """Hidden units of the read-outs for each action."""
    network: NetworkConfig = dataclasses.field(
        default_factory=lambda: NetworkConfig(hidden=(512, 512), activation="relu")
    )
    """Shape of the torso: encoder, widths, nonlinearity."""

    def __post_init__(self) -> None:
        check(self, "learner")
        if self.network.memory != "none":
            raise ValueError(f"network.memory is {self.network.memory!r}; disco agents have none")
        if self.network.shared:
            raise ValueError(
                f"network.shared is {self.network.shared}; disco agents have no critic to share a trunk with"
            )
        if self.network.kind != "actor-critic":
            raise ValueError(
                f"network.kind is {self.network.kind!r}; disco agents have a network of their own, so it must be "
                "'actor-critic'"
            )
        if self.network.encoder == "tabular":
            raise ValueError(
                "network.encoder is 'tabular'; disco agents have no tables: 'flat' reads discrete observations"
            )
