"""Settings of the agents that learn action values from replay: what compiles anew, and what a sweep varies in one program.

As they stand they are those of DQN; every component of its descendants is a switch.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from jaxrl_evolve.networks.action_values_config import ActionValuesConfig
from jaxrl_evolve.settings.checks import Above, AtLeast, Between, check
from jaxrl_evolve.settings.scalar import Scalar, hyperparameters


@hyperparameters
class RainbowHyperparameters:
    """What a sweep can vary without compiling anew: traced float32 scalars."""

    learning_rate: Annotated[Scalar, AtLeast(0.0)] = 2.5e-4
    """Step size of Adam."""
    learning_rate_end: Annotated[Scalar, AtLeast(0.0)] = 1.0
    """Fraction of the learning rate left at the horizon, reached in a straight line."""
    adam_eps: Annotated[Scalar, AtLeast(0.0)] = 1e-5
    """Adam's denominator offset."""
    weight_decay: Annotated[Scalar, AtLeast(0.0)] = 0.0
    """Decoupled decay (AdamW) of all kernels; biases keep theirs."""
    max_grad_norm: Annotated[Scalar, AtLeast(0.0, infinite=True)] = 10.0
    """Largest norm of the gradient of encoder and head, and of that of the transition model by itself."""
    gamma: Annotated[Scalar, Between(0.0, 1.0)] = 0.99
    """Discount factor."""
    steps: Annotated[Scalar, AtLeast(1.0)] = 1.0
    """Steps of the returns, `n`; at most `learner.longest`."""
    anneal: Annotated[Scalar, AtLeast(0.0)] = 0.0
    """Gradient steps, from the start and from every reset, in which discount and steps of the returns go over to the two above; 0 starts with these."""
    gamma_start: Annotated[Scalar, Between(0.0, 1.0)] = 0.99
    """Discount factor from which that begins; `1 - gamma` goes over in a geometric line."""
    steps_start: Annotated[Scalar, AtLeast(1.0)] = 1.0
    """Steps of the returns from which that begins, in a geometric line, rounded."""
    epsilon_start: Annotated[Scalar, Between(0.0, 1.0)] = 1.0
    """Probability of a random action until the warm-up is over."""
    epsilon_end: Annotated[Scalar, Between(0.0, 1.0)] = 0.05
    """Probability of a random action from the end of exploration on."""
    exploration: Annotated[Scalar, Between(0.0, 1.0)] = 0.2
    """Fraction of the horizon over which that probability falls after the warm-up, in a straight line."""
    epsilon_evaluation: Annotated[Scalar, Between(0.0, 1.0)] = 0.05
    """Probability of a random action in mode `sample`."""
    target_rate: Annotated[Scalar, Between(0.0, 1.0)] = 1.0
    """What of the network goes into the target network when that is renewed; 1 copies it."""
    priority_exponent: Annotated[Scalar, AtLeast(0.0)] = 0.5
    """Power of what a step's loss was that makes its priority; 0 draws uniformly."""
    importance_start: Annotated[Scalar, Between(0.0, 1.0)] = 0.4
    """Power of the importance weights at the end of the warm-up."""
    importance_end: Annotated[Scalar, Between(0.0, 1.0)] = 1.0
    """That at the horizon, reached in a straight line."""
    prediction_coef: Annotated[Scalar, AtLeast(0.0)] = 5.0
    """Weight of the self-predictive loss, a mean over its steps."""
    kept: Annotated[Scalar, Between(0.0, 1.0)] = 0.8
    """What a reset keeps of encoder and transition model; the rest is drawn anew."""
    adapt_tolerance: Annotated[Scalar, AtLeast(0.0)] = 1e-3
    """How little the share of active units may change between two looks before the replay ratio is raised."""
    adapt_every: Annotated[Scalar, Above(0.0)] = 50.0
    """Episodes between two looks."""


@dataclasses.dataclass(frozen=True)
class RainbowConfig:
    """Static settings: a change compiles anew."""

    capacity: Annotated[int, AtLeast(1)] = 10_000
    """Steps that the replay buffer holds, rounded up to whole rollouts."""
    store_bytes: bool = False
    """Whether the buffer keeps each number of an observation in a byte, a quarter of the memory, as the nearest of 256 levels between the
    bounds of the space: exact for MinAtar's zeros and ones and for whole numbers from 0 to 255. What is in bytes anyway stays as it is."""
    batch: Annotated[int, AtLeast(1)] = 128
    """Steps of experience that one gradient step learns from."""
    gradient_steps: Annotated[int, AtLeast(1)] = 8
    """Gradient steps of one update, `gradient_steps / (num_envs * rollout_length)` for each environment step: a replay ratio below 1 has longer rollouts."""
    gradient_steps_at_first: Annotated[int, AtLeast(0)] = 0
    """Those until the share of active units has settled (Ma et al. 2024, adaptive replay ratio); 0 makes them all from the start."""
    warm_up: Annotated[int, AtLeast(0)] = 1_000
    """Environment steps before the first gradient step."""
    longest: Annotated[int, AtLeast(1)] = 1
    """The most steps of a return, `n`."""
    atoms: Annotated[int, AtLeast(1)] = 1
    """Atoms of the distribution of returns (C51, Bellemare et al. 2017); 1 learns expected returns."""
    low: float = -10.0
    """The least return with an atom of its own."""
    high: float = 10.0
    """The highest."""
    loss: Literal["huber", "squared"] = "huber"
    """Of an expected return: Huber's, half its square up to 1 and linear beyond, or half its square. Where values are far
    above 1 and episodes short, a linear loss hardly sees the ends, and values can grow without bound."""
    double: bool = True
    """Whether the network chooses the action of the successor that the target network values (van Hasselt et al. 2016)."""
    prioritised: bool = False
    """Whether experience is drawn by priority (Schaul et al. 2016)."""
    priority: Literal["kl", "loss"] = "kl"
    """What a priority is a power of: the divergence of the distributions of returns, or the loss."""
    new_priority: Literal["one", "highest"] = "one"
    """Of a step that was not yet learned from: 1, or the highest so far."""
    network: ActionValuesConfig = dataclasses.field(default_factory=ActionValuesConfig)
    """Shape of the network: encoder, widths, head."""
    shift: Annotated[int, AtLeast(0)] = 0
    """Pixels by which images are moved at random, in training only."""
    intensity: Annotated[float, AtLeast(0.0)] = 0.0
    """Scale of the random brightness of images, in training only."""
    target_period: Annotated[int, AtLeast(1)] = 100
    """Gradient steps between two renewals of the target network."""
    predicted: Annotated[int, AtLeast(0)] = 0
    """Steps ahead that the agent predicts its own features (SPR, Schwarzer et al. 2021), `K`; 0 does not."""
    act_by_target: bool = False
    """Whether the target network acts."""
    reset_every: Annotated[int, AtLeast(0)] = 0
    """Gradient steps between two resets (D'Oro et al. 2023), and at least after the last one; 0 makes none. Of the run's gradient steps, what whole
    stretches leave comes before the first reset, if it is half a stretch or more, and else after the last."""
    diagnostics: bool = False
    """Whether rank of the features, churn of the policy and norm of the weights are measured, once for each update."""
    legacy_bootstrap_offset: bool = False
    """Whether returns bootstrap one step too early, as in published JAX code; to reproduce what was measured with it."""

    def __post_init__(self) -> None:
        check(self, "learner")
        if not self.low < self.high:
            raise ValueError(f"low is {self.low} and high is {self.high}; low must be below high")
        if self.capacity < max(self.batch, self.warm_up):
            raise ValueError(
                f"capacity is {self.capacity}; it must be at least batch ({self.batch}) and warm_up ({self.warm_up})"
            )
        if self.gradient_steps_at_first > self.gradient_steps:
            raise ValueError(
                f"gradient_steps_at_first is {self.gradient_steps_at_first}; it must be at most gradient_steps "
                f"({self.gradient_steps})"
            )
        if self.prioritised and self.priority == "kl" and self.atoms == 1:
            raise ValueError(
                "priority is 'kl', but with 1 atom there are no distributions; 'loss' is possible"
            )
        if self.network.encoder == "flat" and (self.shift or self.intensity or self.predicted):
            raise ValueError(
                f"network.encoder is 'flat', with shift {self.shift}, intensity {self.intensity} and predicted {self.predicted}; "
                "all three are of images, and must be 0"
            )
        if self.predicted and len(self.network.hidden) > 1:
            raise ValueError(
                f"network.hidden is {self.network.hidden}, with predicted {self.predicted}; features that are predicted go "
                "straight into the head, so it must have one width"
            )
