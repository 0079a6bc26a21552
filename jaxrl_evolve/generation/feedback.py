"""How an agent does, as data: by skill in the original environment, and by spec."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from jaxrl_evolve.generation.intervals import wilson


class Rate(NamedTuple):
    """A share of episodes.

    Attributes:
        mean: the share; 0.5 where there is no episode.
        low: the lower end of its 95 % interval; 0 where there is no episode.
        high: the upper end; 1 where there is no episode.
        episodes: of how many.
    """

    mean: float
    low: float
    high: float
    episodes: int

    @classmethod
    def of(cls, won: int, episodes: int) -> Rate:
        """So many successes of so many episodes."""
        mean, low, high = (float(x) for x in wilson(np.asarray(won), np.asarray(episodes)))
        return cls(mean, low, high, int(episodes))

    @property
    def width(self) -> float:
        """Of the interval."""
        return self.high - self.low


UNKNOWN = Rate(0.5, 0.0, 1.0, 0)
"""Of what was not seen."""


class SkillReport(NamedTuple):
    """One skill in the original environment.

    Attributes:
        rate: the share of episodes in which it was done.
        trend: by how much that is more than in the cycle before; 0 if either is not known.
    """

    rate: Rate
    trend: float = 0.0


@dataclasses.dataclass(frozen=True)
class Feedback:
    """What proposers are told of the agent; where specs come from, and what became of them, the archive knows.

    Attributes:
        skills: by name.
        specs: success by the identities of specs.
        rejections: of the last cycle, sentences that say why a spec was not taken.
    """

    skills: Mapping[str, SkillReport] = dataclasses.field(default_factory=dict)
    specs: Mapping[str, Rate] = dataclasses.field(default_factory=dict)
    rejections: tuple[str, ...] = ()

    def rate(self, skill: str) -> Rate:
        """Of a skill in the original; nothing is known of one that is not there."""
        return self.skills[skill].rate if skill in self.skills else UNKNOWN


def feedback_of(
    skills: Mapping[str, tuple[int, int]],
    specs: Mapping[str, tuple[int, int]],
    before: Feedback | None = None,
    rejections: tuple[str, ...] = (),
) -> Feedback:
    """Feedback from counts.

    Args:
        skills: by name, episodes of the original and in how many of them the skill was done.
        specs: by identity, episodes and how many of them succeeded.
        before: the feedback of the cycle before, from which trends are told.
        rejections: why specs were not taken.
    """
    reports = {}
    for name, (episodes, won) in skills.items():
        rate, old = Rate.of(won, episodes), before.rate(name) if before else UNKNOWN
        known = rate.episodes > 0 and old.episodes > 0
        reports[name] = SkillReport(rate, rate.mean - old.mean if known else 0.0)
    return Feedback(reports, {i: Rate.of(won, n) for i, (n, won) in specs.items()}, rejections)
