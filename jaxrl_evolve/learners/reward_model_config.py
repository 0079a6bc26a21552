"""Settings of learners whose rewards are a model's that is learned from preferences between segments: on PPO, and on SAC (PEBBLE)."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from jaxrl_evolve.learners.ppo_config import PPOConfig
from jaxrl_evolve.learners.sac_config import SACConfig
from jaxrl_evolve.settings.checks import Above, AtLeast, NotEmpty
from jaxrl_evolve.settings.nested import UNWRITTEN_BY_DEFAULT


@dataclasses.dataclass(frozen=True)
class RewardModelConfig:
    """Static settings: a change compiles anew."""

    preference: str = "max_reward"
    """Who prefers: the name of an oracle with numbers, and what is done to it, such as `flips:0.3`, `bt:1`, `populations:0.4:0.35:0.25`."""
    soft: bool = False
    """Whether the oracle tells its probability instead of drawing a label."""
    segment: Annotated[int, AtLeast(1)] = 50
    """Steps of the segments that are compared. One in which the task ends counts up to there, one that a time limit cuts is none
    but with `whole`."""
    queries: Annotated[int, AtLeast(1)] = 1_400
    """How many labels are asked for in the whole run, a multiple of `sessions`. What a session finds too few pairs for is asked in those after it."""
    sessions: Annotated[int, AtLeast(1)] = 10
    """How often the model is taught, in equal distances over the horizon: first before anything is learned from its rewards."""
    select: Literal["disagreement", "uniform"] = "disagreement"
    """Which pairs are asked: those of the `candidates` about which the ensemble disagrees most, or the first that are drawn."""
    candidates: Annotated[int, AtLeast(1)] = 10
    """Pairs that are drawn for each that is asked."""
    members: Annotated[int, AtLeast(1)] = 3
    """Reward models in the ensemble; rewards are their mean."""
    model_hidden: Annotated[tuple[int, ...], NotEmpty(), AtLeast(1)] = (128, 128)
    """Widths of the hidden layers of a reward model."""
    model_steps: Annotated[int, AtLeast(1)] = 200
    """Gradient steps of the ensemble in each session, on all labels so far."""
    model_batch: Annotated[int, AtLeast(1)] = 64
    """Labels that each of them learns from."""
    model_learning_rate: Annotated[float, Above(0.0)] = 1e-3
    """Step size of Adam for the reward models."""
    check_oracle: bool = True
    """Whether the oracle is tried on a thousand pairs before anything compiles."""
    criteria: str = dataclasses.field(default="return,effort,length", metadata=UNWRITTEN_BY_DEFAULT)
    """What `populations` judge by, a criterion for each share: `return`, `effort`, `length`, `observed:PLACE` (a number of observations, counted from 0),
    `near:PLACE:TARGET:WIDTH` (how near that is to a target), joined by commas; summed over an episode."""
    whole: bool = dataclasses.field(default=False, metadata=UNWRITTEN_BY_DEFAULT)
    """Whether whole episodes are asked about, from their first step to their end of whatever kind, which a preference that does not add up over steps needs.
    `segment` is then the most steps of one: at least the time limit."""


@dataclasses.dataclass(frozen=True)
class RewardModelPPOConfig(RewardModelConfig, PPOConfig):
    """Static settings: a change compiles anew."""


@dataclasses.dataclass(frozen=True)
class PebbleConfig(RewardModelConfig, SACConfig):
    """Static settings: a change compiles anew."""
