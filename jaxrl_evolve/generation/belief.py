"""How often an agent succeeds in one environment, as it is believed on the host: a Beta posterior over counts of episodes."""

from __future__ import annotations

from typing import NamedTuple


class Belief(NamedTuple):
    """Episodes of one environment; the prior is even: one success and one failure before the first.

    Attributes:
        won: successes.
        lost: the others.
    """

    won: float = 0.0
    lost: float = 0.0

    @property
    def episodes(self) -> float:
        """How many are counted."""
        return self.won + self.lost

    @property
    def mean(self) -> float:
        """``E[p]``."""
        return (self.won + 1.0) / (self.episodes + 2.0)

    @property
    def learnability(self) -> float:
        """``E[p (1 - p)]``: 1/6 of what nothing is known of, 1/4 at most. ``p (1 - p)`` of the bare shares would take few episodes at
        their word.
        """
        a, b = self.won + 1.0, self.lost + 1.0
        return a * b / ((a + b) * (a + b + 1.0))

    def faded(self, discount: float) -> Belief:
        """What is left of it after the agent has changed."""
        return Belief(discount * self.won, discount * self.lost)

    def with_episodes(self, won: float, lost: float) -> Belief:
        """After so many more."""
        return Belief(self.won + won, self.lost + lost)


NOTHING = Belief()
"""No episode yet."""
