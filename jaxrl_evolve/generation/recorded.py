"""Answers that were written down before: by a person, by a model, by whoever the file says.

They are taken in their order, one for each time that specs are asked for, whatever is asked; where a model was told of faults, its answers to that
belong to the first. So a loop on them needs no network, and
its results say who wrote its specs.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxtyping import Array

from jaxrl_evolve.generation.answers import ANSWER, TURN, in_order
from jaxrl_evolve.generation.archive import Archive, Entry
from jaxrl_evolve.generation.candidates import filled_up
from jaxrl_evolve.generation.domain import Domain
from jaxrl_evolve.generation.feedback import Feedback
from jaxrl_evolve.generation.journal import Journal
from jaxrl_evolve.generation.judgement import JUDGEMENT, judgement_in
from jaxrl_evolve.generation.proposal import Proposal, Proposed, Proposer
from jaxrl_evolve.generation.texts import cleaned
from jaxrl_evolve.generation.turns import Said, in_turns

NAME = "recorded"


def recorded_proposer(domain: Domain, path: str | os.PathLike[str], offline: Proposer) -> Proposer:
    """Specs from recorded answers; what is missing comes from the offline proposer.

    A line of the file is a JSON object with ``author`` and ``answer``, the words of one answer. What the proposer of language models
    writes down is such a file.

    Args:
        domain: whose specs.
        path: the file.
        offline: who fills up, also when there are no more answers.

    Raises:
        ValueError: there is no such file, it is damaged, or an answer does not say who wrote it.
    """
    journal = Journal(path, writing=False)
    every = in_order(line for line in journal.lines if line.get("kind", ANSWER) == ANSWER)
    lines = [line for line in every if line.get("asks") != JUDGEMENT]
    judged = [line for line in every if line.get("asks") == JUDGEMENT]
    if not lines:
        raise ValueError(
            f"{os.fspath(path)} has no answers; each line must be an object with author and answer"
        )
    for number, line in enumerate(lines, 1):
        for field in ("author", "answer"):
            if not isinstance(line.get(field), str) or not line[field]:
                raise ValueError(
                    f"{os.fspath(path)}: answer {number} has no {field}; it must be text that is not empty"
                )
    requests = _requests(lines)
    at = at_judged = 0

    def propose(feedback: Feedback, archive: Archive, k: int, key: Array) -> Proposed:
        nonlocal at
        found = _read(domain, archive, requests, at, k)
        if journal.torn and not at:
            torn = f"the last line of {os.fspath(path)} is written half, and left out"
            found = dataclasses.replace(found, notes=(torn, *found.notes))
        at += 1
        return filled_up(found, offline, feedback, archive, k, key)

    def judge(proposal: Proposal, near: Sequence[Entry]) -> str:
        nonlocal at_judged
        at_judged += 1
        return judgement_in(str(judged[at_judged - 1].get("answer", ""))) if at_judged <= len(judged) else ""

    def restore(state: Mapping[str, Any]) -> None:
        nonlocal at, at_judged
        at, at_judged = int(state.get("at", 0)), int(state.get("at_judged", 0))

    state = lambda: {"at": at, "at_judged": at_judged}
    return Proposer(NAME, propose, state, restore, judge=judge if judged else None)


def _requests(lines: Iterable[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The answers to each request for specs: the first, and those that were to mend it."""
    found: list[list[dict[str, Any]]] = []
    for line in lines:
        if found and line.get(TURN):
            found[-1].append(line)
        else:
            found.append([line])
    return found


def _read(
    domain: Domain, archive: Archive, requests: list[list[dict[str, Any]]], at: int, k: int
) -> Proposed:
    if at >= len(requests):
        return Proposed(notes=(f"all {len(requests)} recorded answers are used up",))
    turns = (
        Said(line["answer"], line.get("whole", True) is True, f"{NAME}: {cleaned(line['author'], 80)}")
        for line in requests[at]
    )
    found = in_turns(domain, archive, next(turns), lambda *_: next(turns, None), k, NAME)
    return dataclasses.replace(
        found, notes=tuple(f"recorded answer {at + 1}: {note}" for note in found.notes)
    )
