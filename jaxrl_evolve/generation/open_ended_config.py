"""Settings of the open-ended loop, its two ablations among them."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from jaxrl_evolve.settings.checks import AtLeast, Between, check


@dataclasses.dataclass(frozen=True)
class OpenEndedConfig:
    """Settings of the open-ended loop; defaults follow OMNI-EPIC where it says them."""

    solved: Annotated[float, Between(0.0, 1.0)] = 0.5
    """Share of episodes in which an agent must succeed for a spec to be learned."""
    examples: Annotated[int, AtLeast(0)] = 5
    """Learned specs that the proposer is shown, those nearest to one that was not used for long; as many failed ones. 0 shows it the original
    alone: the ablation without an archive."""
    novelty: Annotated[float, AtLeast(0.0)] = 0.5
    """A spec is interesting whose mean distance to the nearest learned ones (`archive.neighbours`) is at least this many times the median of what
    theirs is. 0 takes whatever is proposed, and picks none for its novelty: the ablation without novelty."""
    judge: bool = True
    """Whether a proposer that can judge is asked besides what is interesting; the offline one cannot."""
    earlier: Annotated[int, AtLeast(1)] = 3
    """Agents of so many nearest earlier specs are tried on a learned one; it counts for ANNECS if at most half of them solve it."""

    def __post_init__(self) -> None:
        check(self)
