"""Answers to one request for specs, turn by turn: what holds is taken, what does not goes back to who answered, and what is left of that the
language mends. So a model's answers and their record are read in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import NamedTuple

from jaxrl_evolve.files import Unreadable
from jaxrl_evolve.generation.archive import Archive
from jaxrl_evolve.generation.candidates import look_at, look_at_all
from jaxrl_evolve.generation.domain import Domain
from jaxrl_evolve.generation.extraction import candidates_in
from jaxrl_evolve.generation.proposal import Candidate, Proposed, Rejection
from jaxrl_evolve.generation.texts import cleaned

_TOLD = 10  # faults of specs that nobody could mend


class Said(NamedTuple):
    """An answer.

    Attributes:
        text: the words.
        whole: whether they came to their end.
        author: whose they are.
    """

    text: str
    whole: bool
    author: str


class _Read(NamedTuple):
    """What an answer comes to: candidates that hold, those that do not, what is wrong with these; or why it has none."""

    held: Sequence[Candidate] = ()
    broken: Sequence[Candidate] = ()
    faults: Sequence[str] = ()
    unreadable: str = ""


Again = Callable[[Said, Sequence[str]], Said | None]
"""The answer to an answer and its faults; None where nobody is asked any more."""


def in_turns(domain: Domain, archive: Archive, said: Said, again: Again, k: int, operator: str) -> Proposed:
    """At most ``k`` proposals of all answers to one request.

    Args:
        domain: whose specs.
        archive: what there is.
        said: the first answer.
        again: who is told of faults.
        k: how many, at most.
        operator: by what change specs came.
    """
    good: list[Candidate] = []
    broken: Sequence[Candidate] = ()
    turn: Said | None = said
    read = _Read()
    while turn is not None:
        read = _read(domain, archive, turn, operator)
        good += read.held
        if not read.unreadable:  # else what was broken before was not mended, and is not lost
            broken = read.broken
        faults = [read.unreadable] if read.unreadable else read.faults
        turn = again(turn, faults) if faults else None
    held = look_at_all(domain, archive, good, k)
    # What was not mended, the language may mend; what neither did is refused with its faults.
    mended = look_at_all(domain, archive, broken, k - len(held.proposals), repair=True)
    refused = (fault for r in mended.rejections if r.reason == "invalid" for fault in r.faults)
    notes = (*((read.unreadable,) if read.unreadable else ()), *islice(refused, _TOLD))
    return _without_twice(held, mended).and_then(Proposed(notes=notes))


def _read(domain: Domain, archive: Archive, said: Said, operator: str) -> _Read:
    if not said.whole:
        return _Read(
            unreadable="the answer was cut off at its greatest length; give fewer specs, or shorter ones"
        )
    try:
        candidates = candidates_in(said.text, archive, said.author, operator)
    except Unreadable as error:
        return _Read(unreadable=f"the answer is not of the form: {cleaned(error)}")
    held, broken, faults = [], [], []
    for number, candidate in enumerate(candidates, 1):
        rejection = look_at(domain, archive, candidate).rejection
        if rejection is None or rejection.reason != "invalid":
            held.append(candidate)  # a duplicate is refused later, and is no matter of mending
            continue
        broken.append(candidate)
        faults += [f"environment {number}: {fault}" for fault in rejection.faults]
    return _Read(held, broken, faults)


def _without_twice(first: Proposed, second: Proposed) -> Proposed:
    there = {p.identity for p in first.proposals}
    new = tuple(p for p in second.proposals if p.identity not in there)
    again = [
        Rejection("duplicate", ("it was proposed twice",), p.author)
        for p in second.proposals
        if p.identity in there
    ]
    return first.and_then(Proposed(new, (*second.rejections, *again)))
