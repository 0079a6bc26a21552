"""All specs that there ever were: who made them from what, what is believed of each, and which are worth playing now.

An archive is a value: functions give a new one. So a proposer that thinks in a thread of its own reads what was, and a loop that
is killed has the archive of its last cycle.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from jaxrl_evolve.generation.archive_config import ArchiveConfig
from jaxrl_evolve.generation.belief import NOTHING, Belief

Status = Literal["active", "learned", "failed", "quarantined", "rejected"]
"""Of a spec: it may be played; the agent can do it; it never could, for good; it is left alone until a cycle; it was found invalid."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One spec in the archive.

    Attributes:
        identity: hash of its content.
        data: JSON data, as the language writes it.
        features: for distances.
        cell: the skill that it is for, and the level of each descriptor.
        born: the cycle in which it was added.
        author: who wrote it.
        operator: by what change.
        parents: identities, of specs in the archive.
        target: the skill that it is for, or empty.
        purpose: in words.
        status: see `Status`.
        reasons: why it was rejected.
        belief: of the agent's success, later evidence counting more.
        trial: episodes that decided whether it is taken in; nothing is ranked by them.
        episodes: all that were counted.
        seen: the last cycle in which it was played.
        grants: how many easier children it has.
        quarantines: how many times it was left alone.
        retry: the cycle from which on it is tried again, where it is left alone now.
    """

    identity: str
    data: Mapping[str, Any]
    features: tuple[float, ...]
    cell: tuple[int, ...] = (0,)
    born: int = 0
    author: str = ""
    operator: str = ""
    parents: tuple[str, ...] = ()
    target: str = ""
    purpose: str = ""
    status: Status = "active"
    reasons: tuple[str, ...] = ()
    belief: Belief = NOTHING
    trial: Belief = NOTHING
    episodes: int = 0
    seen: int = 0
    grants: int = 0
    quarantines: int = 0
    retry: int | None = None


@dataclasses.dataclass(frozen=True)
class Archive:
    """Specs by identity, the oldest first; the first is the original.

    Attributes:
        entries: all that were ever taken up, those that were found invalid too, so that nobody looks at them again.
        cycle: of the loop, from 0.
        rejections: what was not taken up, counted by reason.
        refused: by reason, the sentence that the first of them got.
        config: when statuses change.
    """

    entries: Mapping[str, Entry]
    cycle: int = 0
    rejections: Mapping[str, int] = dataclasses.field(default_factory=dict)
    config: ArchiveConfig = dataclasses.field(default_factory=ArchiveConfig)
    refused: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.entries:
            raise ValueError("entries is empty; an archive has the original at least")

    @property
    def original(self) -> Entry:
        """The environment that all this is for: spec 0."""
        return next(iter(self.entries.values()))

    def with_status(self, *statuses: Status) -> list[Entry]:
        """Entries of these statuses, the oldest first."""
        return [entry for entry in self.entries.values() if entry.status in statuses]

    def fitness(self, entry: Entry) -> float:
        """Expected learnability, and more the longer it was not played."""
        return entry.belief.learnability + self.config.staleness * max(self.cycle - entry.seen, 0)

    def distance(self, features: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
        """Of each vector, the distance to the nearest spec that was not rejected."""
        return self._distances(features, 1)

    def novelty(self, features: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
        """Of each vector, the mean distance to the nearest `ArchiveConfig.neighbours` specs that were not rejected."""
        return self._distances(features, self.config.neighbours)

    def _distances(self, features: np.ndarray, neighbours: int) -> np.ndarray:
        there = np.asarray([e.features for e in self.entries.values() if e.status != "rejected"], np.float64)
        if features.size == 0 or there.size == 0:
            return np.zeros(len(features))
        most = min(neighbours, len(there))
        return np.stack([np.sort(np.linalg.norm(there - one, axis=1))[:most].mean() for one in features])

    def elites(self) -> list[Entry]:
        """The fittest active spec of each cell, the fittest first; of equals the more novel, then the older."""
        return first_of_cells(self.ranked())

    def ranked(self) -> list[Entry]:
        """Active specs, the fittest first; of equals the more novel, then the older."""
        active = self.with_status("active")
        if not active:
            return []
        novelty = self._novelty_inside(active)
        order = sorted(range(len(active)), key=lambda i: (-round(self.fitness(active[i]), 9), -novelty[i], i))
        return [active[i] for i in order]

    def _novelty_inside(self, entries: list[Entry]) -> list[float]:
        """Of specs of the archive: each is its own nearest besides, at no distance, which changes no order."""
        features = np.asarray([e.features for e in entries], np.float64)
        most = self.config.neighbours + 1
        return [round(float(x), 9) for x in self._distances(features, most)]

    def playing(self) -> list[Entry]:
        """What is played in this cycle: the original, then the elites, then the fittest of the others, as many as there may be."""
        chosen = {self.original.identity: self.original}
        order = self.ranked()
        for entry in [*first_of_cells(order), *order]:
            if len(chosen) >= self.config.active:
                break
            chosen.setdefault(entry.identity, entry)
        return list(chosen.values())

    def counting(self, refusals: Iterable[tuple[str, Sequence[str]]]) -> Archive:
        """With these refusals counted, each a reason and sentences; of each reason the first sentence is kept."""
        counts, said = dict(self.rejections), dict(self.refused)
        for reason, sentences in refusals:
            counts[reason] = counts.get(reason, 0) + 1
            if sentences:
                more = f" (and {len(sentences) - 1} more)" if len(sentences) > 1 else ""
                said.setdefault(reason, f"{sentences[0]}{more}")
        return dataclasses.replace(self, rejections=counts, refused=said)

    def lineage(self, identity: str) -> list[str]:
        """Ancestors of a spec, parents before grandparents, none twice."""
        found: dict[str, None] = {}
        waiting = list(self.entries[identity].parents)
        while waiting:
            one = waiting.pop(0)
            if one not in found and one in self.entries:
                found[one] = None
                waiting.extend(self.entries[one].parents)
        return list(found)

    def replaced(self, entries: Iterable[Entry]) -> Archive:
        """With these entries in place of those of the same identities, or added."""
        return dataclasses.replace(self, entries={**self.entries, **{e.identity: e for e in entries}})


def first_of_cells(order: Iterable[Entry]) -> list[Entry]:
    """Of entries in some order, the first of each cell."""
    best: dict[tuple[int, ...], Entry] = {}
    for entry in order:
        best.setdefault(entry.cell, entry)
    return list(best.values())
