"""Settings that every learner has whose rewards are win rates, whichever learner is inside."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from jaxrl_evolve.settings.checks import AtLeast
from jaxrl_evolve.settings.nested import UNWRITTEN_BY_DEFAULT


@dataclasses.dataclass(frozen=True)
class SelfPlayConfig:
    """Static settings: a change compiles anew."""

    preference: str = "max_reward"
    """Who prefers: the name of an oracle with numbers, and what is done to it, such as `flips:0.3`, `bt:1`, `populations:0.4:0.35:0.25`."""
    soft: bool = False
    """Whether the oracle tells its probability instead of drawing a label."""
    pay: Literal["spread", "end"] = "spread"
    """Whether an episode is paid in equal parts at its steps, or at its last step. On PPO, the steps of the rollout in which it ends."""
    segment: Annotated[int, AtLeast(0)] = 0
    """Steps of the pieces of an episode that are compared and paid each by itself, which is for preferences that add up over steps; 0 takes episodes as wholes."""
    horizon: Annotated[int, AtLeast(0)] = 0
    """Steps of an episode that runs its whole length; 0 asks the environment for its time limit."""
    time: bool = True
    """Whether policy and critic see how much of the horizon has passed: what is still to be paid depends on it."""
    check_oracle: bool = True
    """Whether the oracle is tried on a thousand pairs before anything compiles."""
    queries: Annotated[int, AtLeast(0)] = dataclasses.field(default=0, metadata=UNWRITTEN_BY_DEFAULT)
    """The most labels that are asked for in the whole run. Where an update's comparisons would take more, it asks for none: on PPO nothing is learned
    from then on, on SAC from what was compared before. 0 is without a bound."""
    criteria: str = dataclasses.field(default="return,effort,length", metadata=UNWRITTEN_BY_DEFAULT)
    """What `populations` judge by, a criterion for each share: `return`, `effort`, `length`, `observed:PLACE` (a number of observations, counted from 0),
    `near:PLACE:TARGET:WIDTH` (how near that is to a target), joined by commas; summed over an episode."""
