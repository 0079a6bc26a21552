"""Settings of PPO, and of A2C and LPG agents, which are PPO's learner with other objectives."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.settings.checks import Above, AtLeast, Between, check
from jaxrl_evolve.settings.nested import UNWRITTEN_BY_DEFAULT
from jaxrl_evolve.settings.scalar import Scalar, hyperparameters


@hyperparameters
class PPOHyperparameters:
    """What a sweep can vary without compiling anew: traced float32 scalars.

    Every ``*_end`` is the fraction of its quantity left at the horizon, reached in a straight line: 1 keeps
    it constant, 0 anneals it away.
    """

    learning_rate: Annotated[Scalar, AtLeast(0.0)] = 2.5e-4
    """Step size."""
    learning_rate_end: Annotated[Scalar, AtLeast(0.0)] = 0.0
    """Fraction of the learning rate left at the horizon."""
    gamma: Annotated[Scalar, Between(0.0, 1.0)] = 0.99
    """Discount factor."""
    gae_lambda: Annotated[Scalar, Between(0.0, 1.0)] = 0.95
    """Trace parameter of the advantage estimate."""
    clip: Annotated[Scalar, AtLeast(0.0)] = 0.2
    """Range of the probability ratio (and of the value, where clipped)."""
    clip_end: Annotated[Scalar, AtLeast(0.0)] = 1.0
    """Fraction of the ratio's range left at the horizon."""
    value_coef: Annotated[Scalar, AtLeast(0.0)] = 0.5
    """Weight of the value loss."""
    entropy_coef: Annotated[Scalar, AtLeast(0.0)] = 0.01
    """Weight of the entropy bonus."""
    entropy_end: Annotated[Scalar, AtLeast(0.0)] = 1.0
    """Fraction of the entropy bonus left at the horizon."""
    max_grad_norm: Annotated[Scalar, AtLeast(0.0, infinite=True)] = 0.5
    """Largest norm of the whole gradient."""
    adam_eps: Annotated[Scalar, Above(0.0)] = 1e-5
    """Adam's denominator offset."""
    prediction_coef: Annotated[Scalar, AtLeast(0.0)] = 0.5
    """Weight of the prediction loss, where the objective has one, or of the representation loss."""


@dataclasses.dataclass(frozen=True)
class PPOConfig:
    """Static settings of PPO: a change compiles anew."""

    epochs: Annotated[int, AtLeast(1)] = 4
    """Passes over each rollout."""
    minibatches: Annotated[int, AtLeast(1)] = 4
    """Gradient steps per pass."""
    shuffle: Literal["auto", "blocks", "samples", "envs"] = "auto"
    """What a minibatch is drawn from: blocks of environments at one time step, single samples, or whole
    environments. 'auto' is 'envs' with a recurrent network and 'blocks' otherwise."""
    normalise_observations: bool = False
    """Whether observations are normalised by running moments."""
    normalise_returns: bool = False
    """Whether rewards are divided by the running scale of returns."""
    normalise_advantage: bool = True
    """Whether advantages are normalised within each minibatch (read by the default objective)."""
    clip_value: bool = True
    """Whether the value loss is clipped (read by the default objective)."""
    optimiser: Literal["adam", "sgd"] = "adam"
    """Rule of the gradient steps; either clips the gradient's norm first."""
    network: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)
    """Shape of the actor-critic network."""
    predicted: Annotated[int, AtLeast(0)] = dataclasses.field(default=0, metadata=UNWRITTEN_BY_DEFAULT)
    """Steps ahead that the agent predicts its own features (SPR, Schwarzer et al. 2021), `K`; 0 does not."""
    target_rate: Annotated[float, Between(0.0, 1.0)] = dataclasses.field(
        default=1.0, metadata=UNWRITTEN_BY_DEFAULT
    )
    """What of the network goes, once per update, into the slow copy that makes the features to be predicted; 1 takes the
    network as it is at the start of the update."""
    shift: Annotated[int, AtLeast(0)] = dataclasses.field(default=0, metadata=UNWRITTEN_BY_DEFAULT)
    """Pixels by which images are moved at random where features are predicted; policy and value see them as they are."""

    def __post_init__(self) -> None:
        check(self, "learner")
        if self.network.encoder == "tabular" and self.normalise_observations:
            raise ValueError(
                "normalise_observations is True, but network.encoder is 'tabular': the number of a state is no "
                "quantity, so it must be False"
            )
        self._check_prediction()

    def _check_prediction(self) -> None:
        network = self.network
        if self.predicted and network.memory != "none":
            raise ValueError(
                f"predicted is {self.predicted}, with network.memory {network.memory!r}; features that are predicted are those "
                "of one observation, so the memory must be 'none'"
            )
        if self.predicted and network.encoder == "tabular":
            raise ValueError(
                f"predicted is {self.predicted}, but network.encoder is 'tabular': a table has no features, so it must be 0"
            )
        if self.shift and not (self.predicted and network.encoder in ("minatar", "atari")):
            raise ValueError(
                f"shift is {self.shift}, with predicted {self.predicted} and network.encoder {network.encoder!r}; images are moved "
                "where their features are predicted, so it must be 0"
            )

    def drawn_from(self, recurrent: bool) -> Literal["blocks", "samples", "envs"]:
        """What `shuffle` means for a network with a memory, or without.

        Raises:
            ValueError: it has a memory, and its sequences would be torn.
        """
        if self.shuffle == "auto":
            return "envs" if recurrent else "blocks"
        if recurrent and self.shuffle != "envs":
            raise ValueError(
                f"shuffle is {self.shuffle!r}; a recurrent network needs whole sequences, so only 'envs' or 'auto' is "
                "allowed"
            )
        return self.shuffle
