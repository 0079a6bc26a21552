"""Whether groups of people go in circles among policies: the share of cyclic triples, from stored rows of a tournament."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from preference_control_hopper import CYCLIC

Rows = Sequence[Mapping[str, str]]


class Triples(NamedTuple):
    """What was counted.

    Attributes:
        policies: how many there are.
        number: of triples of them.
        cyclic: in how many the first is preferred to the second, that to the third, and that to the first.
        sure: in how many of these the 95 % interval of no win rate has 1/2 in it.
    """

    policies: int
    number: int
    cyclic: int
    sure: int

    @property
    def share(self) -> float:
        """Of triples that are surely cyclic."""
        return self.sure / self.number if self.number else 0.0

    @property
    def passed(self) -> bool:
        """Whether these are as many as were asked for beforehand."""
        return self.share >= CYCLIC


def cyclic_triples(meetings: Rows) -> Triples:
    """Of rows as a tournament writes them."""
    met = {(row["entry"], row["other"]): row for row in meetings}
    policies = sorted({entry for entry, _ in met})
    wins = lambda a, b, by: float(met[a, b][by]) > 0.5
    number = cyclic = sure = 0
    for a, b, c in itertools.combinations(policies, 3):
        number += 1
        for circle in (((a, b), (b, c), (c, a)), ((b, a), (c, b), (a, c))):
            if all(wins(*pair, "win_rate") for pair in circle):
                cyclic += 1
                sure += all(wins(*pair, "low") for pair in circle)
    return Triples(len(policies), number, cyclic, sure)


def verdict(meetings: Rows) -> str:
    """What came out, for readers."""
    found = cyclic_triples(meetings)
    share = found.cyclic / found.number if found.number else 0.0
    passed = "passed" if found.passed else "not passed"
    return (
        f"{found.policies} policies, {found.number:,} triples: {found.cyclic:,} ({share:.1%}) are cyclic, {found.sure:,} ({found.share:.1%}) of them with every win rate surely apart from 1/2. "
        f"Asked for are {CYCLIC:.0%}: {passed}."
    )
