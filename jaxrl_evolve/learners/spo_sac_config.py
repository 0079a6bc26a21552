"""Settings of SPO on SAC: those of SAC, and what replaces its rewards."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from jaxrl_evolve.learners.sac_config import SACConfig, SACHyperparameters
from jaxrl_evolve.learners.self_play_config import SelfPlayConfig
from jaxrl_evolve.settings.checks import AtLeast, Between
from jaxrl_evolve.settings.nested import UNWRITTEN_BY_DEFAULT
from jaxrl_evolve.settings.scalar import Scalar, hyperparameters


@hyperparameters
class SPOSACHyperparameters(SACHyperparameters):
    """What a sweep can vary without compiling anew: traced float32 scalars."""

    payoff_scale: Annotated[Scalar, AtLeast(0.0)] = 100.0
    """What an episode that wins every comparison is paid in all; one that loses every comparison is paid its negative."""
    magnet: Annotated[Scalar, AtLeast(0.0)] = 0.0
    """Weight of the divergence from the reference policy, times `payoff_scale`, at every step."""
    reference_rate: Annotated[Scalar, Between(0.0, 1.0)] = 0.001
    """What of the policy goes into the reference with each update, where that is `average`."""


@dataclasses.dataclass(frozen=True)
class SPOSACConfig(SelfPlayConfig, SACConfig):
    """Static settings: a change compiles anew."""

    number: Annotated[int, AtLeast(2)] = 64
    """How many comparators the queue has: the newest episodes that ended."""
    episodes: Annotated[int, AtLeast(0)] = 0
    """Of how many episodes of each environment the summaries are kept; steps of those before are not learned from. 0 is as many as the replay buffer holds if
    they last a sixteenth of the horizon."""
    relabel: Literal["none", "periodic", "sample"] = "periodic"
    """When what an episode is paid is found anew, against the queue of then: never after its end, in turn with all others, or whenever a step of it is learned
    from."""
    relabel_every: Annotated[int, AtLeast(1)] = 1_000
    """Updates in which every episode that is kept is compared once more, with `periodic`."""
    magnetic: bool = dataclasses.field(default=False, metadata=UNWRITTEN_BY_DEFAULT)
    """Whether a reference policy is kept, and `magnet` read."""
    reference: Literal["first", "average", "every", "stages"] = dataclasses.field(
        default="average", metadata=UNWRITTEN_BY_DEFAULT
    )
    """The policy from which `magnet` keeps the distance small: the first one, the moving average of all, or the newest of every `reference_every` updates, or
    of every stage, of which there are `reference_every` in the horizon."""
    reference_every: Annotated[int, AtLeast(1)] = dataclasses.field(
        default=1_000, metadata=UNWRITTEN_BY_DEFAULT
    )
    """Updates between two references, or stages of the horizon."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.queries and self.relabel == "sample":
            raise ValueError(
                f"learner.queries is {self.queries}; with learner.relabel 'sample', which asks for every step that is drawn, it must be 0"
            )
