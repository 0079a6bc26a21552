"""Specs that are asked for while an agent trains, as data that stand where the loop stands.

What came is written down with the cycle in which it came, before anything else is asked for. So a loop that is killed has what it had, and
asks again for what it was still waiting for: where the proposer gives the same answer again (offline, recorded, a kept answer of a model)
it comes to the same archive.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxtyping import Array

from jaxrl_evolve.generation.archive import Archive
from jaxrl_evolve.generation.background import Background
from jaxrl_evolve.generation.candidates import filled_up
from jaxrl_evolve.generation.config import GenerateConfig
from jaxrl_evolve.generation.domain import Domain
from jaxrl_evolve.generation.feedback import Feedback
from jaxrl_evolve.generation.offline import offline_proposer
from jaxrl_evolve.generation.proposal import Proposal, Proposed, Proposer, Rejection
from jaxrl_evolve.generation.standing import Standing
from jaxrl_evolve.storage.folder import plain


class Ahead:
    """A proposer that is asked a cycle ahead."""

    def __init__(self, proposer: Proposer, offline: Proposer, patience: float) -> None:
        self._background = Background(proposer, offline)
        self._offline, self._proposer, self._patience = offline, proposer, patience

    def begin(self, feedback: Feedback, archive: Archive, k: int, key: Array) -> None:
        """Ask for the specs of the next cycle, unless those of an earlier one are still waited for."""
        self._background.begin(feedback, archive, k, key)

    def wait(self, feedback: Feedback, archive: Archive, k: int, key: Array) -> dict[str, Any]:
        """What came, as JSON data; as much as is missing from the offline proposer once patience is at an end."""
        found = self._background.adopt(feedback, archive, k, key, self._patience)
        return plain(
            {
                "proposals": found.proposals,
                "rejections": found.rejections,
                "notes": found.notes,
                "steps": found.steps,
            }
        )

    def written(self, standing: Standing, k: int, key: Array) -> tuple[Standing, Exception | None]:
        """Where the loop stands with what came, and what the proposer failed with.

        The cycle that was trained meanwhile is not lost by that: a loop that is resumed after it asks once more.
        """
        own = {name: value for name, value in standing.own.items() if name != "came"}
        try:
            came = self.wait(standing.feedback, standing.archive, k, key)
            state = self.state(standing.proposer)
        except Exception as error:  # whatever a proposer does
            return dataclasses.replace(standing, own=own), error
        return dataclasses.replace(standing, proposer=state, own={**own, "came": came}), None

    def state(self, before: Mapping[str, Any]) -> Mapping[str, Any]:
        """The proposer's state; that of before while it is still thinking."""
        return before if self._background.busy else self._proposer.state()

    def taken(
        self, data: Mapping[str, Any], feedback: Feedback, archive: Archive, k: int, key: Array
    ) -> Proposed:
        """What was written down, without what is there by now, and filled up."""
        found = proposed_from(data)
        new = tuple(p for p in found.proposals if p.identity not in archive.entries)[:k]
        return filled_up(dataclasses.replace(found, proposals=new), self._offline, feedback, archive, k, key)


def ahead_of(config: GenerateConfig, domain: Domain, proposer: Proposer) -> Ahead | None:
    """A proposer asked ahead, if the configuration wants that."""
    if not config.background:
        return None
    return Ahead(proposer, offline_proposer(domain, config.offline), config.patience)


def proposed_from(data: Mapping[str, Any]) -> Proposed:
    """What came, from its JSON data."""
    return Proposed(
        tuple(_proposal(each) for each in data["proposals"]),
        tuple(Rejection(r[0], tuple(r[1]), r[2]) for r in data["rejections"]),
        tuple(data["notes"]),
        steps=int(data.get("steps", 0)),  # a loop of an earlier version wrote none down
    )


def _proposal(data: Mapping[str, Any]) -> Proposal:
    lists = {name: tuple(data[name]) for name in ("features", "parents", "changes")}
    return Proposal(**{**data, **lists})
