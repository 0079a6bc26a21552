"""Settings of SPO on PPO: those of PPO, and what replaces its rewards."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from jaxrl_evolve.learners.ppo_config import PPOConfig, PPOHyperparameters
from jaxrl_evolve.settings.checks import AtLeast, Between
from jaxrl_evolve.settings.nested import UNWRITTEN_BY_DEFAULT
from jaxrl_evolve.settings.scalar import Scalar, hyperparameters


@hyperparameters
class SPOHyperparameters(PPOHyperparameters):
    """What a sweep can vary without compiling anew: traced float32 scalars."""

    payoff_scale: Annotated[Scalar, AtLeast(0.0)] = 10.0
    """What an episode that wins every comparison is paid in all; one that loses every comparison is paid its negative."""
    magnet: Annotated[Scalar, AtLeast(0.0)] = 0.0
    """Weight of the divergence from the reference policy, times `payoff_scale`, at every step."""
    reference_rate: Annotated[Scalar, Between(0.0, 1.0)] = 0.01
    """What of the policy goes into the reference with each update, where that is `average`."""


@dataclasses.dataclass(frozen=True)
class SPOConfig(PPOConfig):
    """Static settings: a change compiles anew."""

    preference: str = "max_reward"
    """Who prefers: the name of an oracle with numbers, and what is done to it, such as `flips:0.3`, `bt:1`, `populations:0.4:0.35:0.25`."""
    soft: bool = False
    """Whether the oracle tells its probability instead of drawing a label."""
    comparators: Literal["batch", "subsample", "queue"] = "batch"
    """With whom an episode is compared: all that ended in the same rollout, some of them, or the newest before them."""
    number: Annotated[int, AtLeast(1)] = 64
    """How many comparators a subsample or a queue has."""
    episodes: Annotated[int, AtLeast(0)] = 0
    """The most episodes of a rollout that are compared; those beyond it are paid nothing. 0 is as many as may end if all run their whole length, and no
    fewer than 256."""
    pay: Literal["spread", "end"] = "spread"
    """Whether an episode is paid in equal parts at its steps of this rollout, or at its last step."""
    horizon: Annotated[int, AtLeast(0)] = 0
    """Steps of an episode that runs its whole length; 0 asks the environment for its time limit."""
    time: bool = True
    """Whether policy and critic see how much of the horizon has passed: what is still to be paid depends on it."""
    magnetic: bool = False
    """Whether a reference policy is kept, and `magnet` read."""
    reference: Literal["first", "average", "every", "stages"] = "average"
    """The policy from which `magnet` keeps the distance small: the first one, the moving average of all, or the newest of every `reference_every` updates, or
    of every stage, of which there are `reference_every` in the horizon."""
    reference_every: Annotated[int, AtLeast(1)] = 10
    """Updates between two references, or stages of the horizon."""
    snapshots: Annotated[int, AtLeast(0)] = dataclasses.field(default=0, metadata=UNWRITTEN_BY_DEFAULT)
    """How many policies are kept of those after each update, a uniform sample: together they play the average policy."""
    against: str = dataclasses.field(default="", metadata=UNWRITTEN_BY_DEFAULT)
    """File of summaries of others' episodes with which all are compared, instead of with each other: what comes out is an answer to them. `preferences
    exploitability` writes one."""
    check_oracle: bool = True
    """Whether the oracle is tried on a thousand pairs before anything compiles."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.against and self.comparators != "batch":
            raise ValueError(
                f"learner.comparators is {self.comparators!r}; with learner.against it must be 'batch'"
            )
