"""The interface of proposers: `propose(feedback, archive, k, key)`, whoever it is that proposes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from jaxtyping import Array

from jaxrl_evolve.generation.archive import Archive, Entry
from jaxrl_evolve.generation.feedback import Feedback


class Candidate(NamedTuple):
    """A spec as someone gave it, not looked at yet.

    Attributes:
        data: JSON data, or anything that was in its place.
        author: who wrote it.
        operator: by what change, if that is known.
        parents: identities of those that it was made from.
        target: the skill that it is for.
        purpose: what it is meant to do, in words.
    """

    data: Any
    author: str
    operator: str = ""
    parents: tuple[str, ...] = ()
    target: str = ""
    purpose: str = ""


@dataclasses.dataclass(frozen=True)
class Proposal:
    """A spec that its language reads and that the archive has not.

    Attributes:
        identity: hash of its content.
        data: as its language writes it.
        features: for distances between specs.
        author: who wrote it.
        operator: by what change.
        parents: identities of those that it was made from.
        target: the skill that it is for, or empty.
        purpose: in words, cleaned.
        changes: what had to be repaired, a sentence each.
    """

    identity: str
    data: Mapping[str, Any]
    features: tuple[float, ...]
    author: str
    operator: str = ""
    parents: tuple[str, ...] = ()
    target: str = ""
    purpose: str = ""
    changes: tuple[str, ...] = ()


class Rejection(NamedTuple):
    """A candidate that is none.

    Attributes:
        reason: a word for counting: ``"invalid"``, ``"duplicate"``, ``"unchanged"``, ``"surplus"``.
        faults: a sentence each.
        author: who wrote it.
    """

    reason: str
    faults: tuple[str, ...]
    author: str


@dataclasses.dataclass(frozen=True)
class Proposed:
    """What came of asking.

    Attributes:
        proposals: at most as many as were asked for.
        rejections: what was not taken, and why.
        notes: what whoever runs the loop should know, a sentence each.
        seconds: that the loop had to wait.
        steps: environment steps that proposing took, which no agent of the loop learned from.
    """

    proposals: tuple[Proposal, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    steps: int = 0

    def and_then(self, later: Proposed) -> Proposed:
        """Both, one after the other."""
        return Proposed(
            self.proposals + later.proposals,
            self.rejections + later.rejections,
            self.notes + later.notes,
            self.seconds + later.seconds,
            self.steps + later.steps,
        )

    def new(self, archive: Archive) -> Proposed:
        """Each spec once, and none that is in the archive: what comes again is a rejection. Specs are shared out by how many there are."""
        left, again = dict[str, Proposal](), list[Rejection]()
        for proposal in self.proposals:
            if proposal.identity in left or proposal.identity in archive.entries:
                why = "it was proposed twice" if proposal.identity in left else "it is there already"
                again.append(Rejection("duplicate", (why,), proposal.author))
            else:
                left[proposal.identity] = proposal
        if not again:
            return self
        return dataclasses.replace(
            self, proposals=tuple(left.values()), rejections=(*self.rejections, *again)
        )


class Propose(Protocol):
    """Ask for specs.

    Args:
        feedback: how the agent does.
        archive: what there is.
        k: how many specs are wanted; fewer may come.
        key: randomness: the same arguments give the same specs, unless someone is asked who does not.
    """

    def __call__(self, feedback: Feedback, archive: Archive, k: int, key: Array) -> Proposed: ...


def _nothing() -> dict[str, Any]:
    return {}


class Proposer(NamedTuple):
    """Who proposes.

    Attributes:
        name: of the kind.
        propose: asks.
        state: what a resumed loop has to hand back, as JSON data.
        restore: takes it.
        close: to be called once, at the end.
        judge: ``(proposal, nearest learned entries) -> why it is not interesting``, or nothing where it is; None of who cannot judge.
        cost: what all its asking took so far, numbers by name.
        scarce: whether what it proposes and nobody takes up is lost: a loop that takes one at a time asks for one.
    """

    name: str
    propose: Propose
    state: Callable[[], dict[str, Any]] = _nothing
    restore: Callable[[Mapping[str, Any]], None] = lambda state: None
    close: Callable[[], None] = lambda: None
    judge: Callable[[Proposal, Sequence[Entry]], str] | None = None
    cost: Callable[[], Mapping[str, float]] = dict
    scarce: bool = False


def generator(key: Array) -> np.random.Generator:
    """Randomness on the host that grows from a key."""
    return np.random.default_rng(np.asarray(jax.random.key_data(key)).reshape(-1).tolist())
