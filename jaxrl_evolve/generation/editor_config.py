"""Numbers of the level generator that is trained."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from jaxrl_evolve.settings.checks import AtLeast, Between, check


@dataclasses.dataclass(frozen=True)
class EditorConfig:
    """Numbers of the proposer `editor`, an agent that edits terrain."""

    first_updates: Annotated[int, AtLeast(0)] = 200
    """Updates before it proposes for the first time."""
    updates: Annotated[int, AtLeast(0)] = 10
    """Updates before each further time."""
    num_envs: Annotated[int, AtLeast(1)] = 16
    """Specs that it edits side by side while it learns."""
    edits: Annotated[int, AtLeast(1)] = 24
    """Edits of an episode, and of a proposal."""
    starts: Annotated[int, AtLeast(1)] = 4
    """Starts of a spec that are looked at after each edit; each counts as an environment step."""
    learning_rate: Annotated[float, AtLeast(0.0)] = 2e-3
    """Step size of its PPO."""
    drawn: Annotated[float, Between(0.0, 1.0)] = 0.3
    """Share of a parent's numbers that are drawn anew before a proposal is edited, so that proposals differ."""
    longer: Annotated[float, AtLeast(1.0)] = 1.25
    """How many times as long a way is asked for where the agent succeeds, and as short where it fails."""

    def __post_init__(self) -> None:
        check(self)
