"""Settings of SPO on PPO: those of PPO, and what replaces its rewards."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from jaxrl_evolve.learners.ppo_config import PPOConfig, PPOHyperparameters
from jaxrl_evolve.learners.self_play_config import SelfPlayConfig
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
class SPOConfig(SelfPlayConfig, PPOConfig):
    """Static settings: a change compiles anew."""

    comparators: Literal["batch", "subsample", "queue"] = "batch"
    """With whom an episode is compared: all that ended in the same rollout, some of them, or the newest before them."""
    number: Annotated[int, AtLeast(1)] = 64
    """How many comparators a subsample or a queue has. Of fewer episodes, each is compared with all others; where both numbers are odd, a subsample has one
    comparator less, and with one comparator, one episode has none."""
    group: Annotated[int, AtLeast(0)] = 0
    """Neighbouring environments that are compared among themselves only, and only where their episodes began in the same step; with resets `full:K` so many
    begin alike. 0 compares all."""
    episodes: Annotated[int, AtLeast(0)] = 0
    """The most episodes of a rollout that are compared: of more a uniform choice, and the others are paid nothing. 0 is as many as may end if all run their
    whole length, and no fewer than 256."""
    magnetic: bool = False
    """Whether a reference policy is kept, and `magnet` read."""
    reference: Literal["first", "average", "every", "stages"] = "average"
    """The policy from which `magnet` keeps the distance small: the first one, the moving average of all, or the newest of every `reference_every` updates, or
    of every stage, of which there are `reference_every` in the horizon."""
    reference_every: Annotated[int, AtLeast(1)] = 10
    """Updates between two references, or stages of the horizon."""
    oracles: str = dataclasses.field(default="", metadata=UNWRITTEN_BY_DEFAULT)
    """Oracles among which a curriculum of arms chooses for every episode, in place of `preference`: as there, joined by commas, `flips:0.3,bt:1`. Episodes are
    compared with those of the same oracle only."""
    snapshots: Annotated[int, AtLeast(0)] = dataclasses.field(default=0, metadata=UNWRITTEN_BY_DEFAULT)
    """How many policies are kept of those after each update, a uniform sample: together they play the average policy."""
    against: str = dataclasses.field(default="", metadata=UNWRITTEN_BY_DEFAULT)
    """File of summaries of others' episodes with which all are compared, instead of with each other: what comes out is an answer to them. `preferences
    exploitability` writes one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.oracles:
            self._check_oracles()
        if self.against and self.comparators != "batch":
            raise ValueError(
                f"learner.comparators is {self.comparators!r}; with learner.against it must be 'batch'"
            )
        if self.against and self.group:
            raise ValueError(f"learner.group is {self.group}; with learner.against it must be 0")

    def _check_oracles(self) -> None:
        if self.preference != type(self).preference:
            raise ValueError(
                f"learner.preference is {self.preference!r}; with learner.oracles, who prefers is said there: leave it out"
            )
        if self.comparators != "batch" or self.against:
            raise ValueError(
                f"learner.comparators is {self.comparators!r} and learner.against {self.against!r}; with learner.oracles they must be 'batch' "
                "and empty"
            )
