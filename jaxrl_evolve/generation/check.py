"""What is refused of a proposer of one's own: said in one sentence that names it, before anything of it is trained on or written down."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from jaxtyping import Array

from jaxrl_envs.specs.language import Language, SpecError
from jaxrl_envs.specs.text import shown
from jaxrl_evolve.generation.archive import Archive, Entry
from jaxrl_evolve.generation.domain import Domain
from jaxrl_evolve.generation.feedback import Feedback
from jaxrl_evolve.generation.proposal import Proposal, Proposed, Proposer, Rejection
from jaxrl_evolve.generation.texts import MOST_CHARACTERS, cleaned
from jaxrl_evolve.settings.foreign import Refused, called, told
from jaxrl_evolve.storage.folder import plain

Judge = Callable[[Proposal, Sequence[Entry]], str]
_FUNCTIONS = ("propose", "state", "restore", "close", "cost")
_TEXTS = {"author": 100, "operator": 40, "target": 100, "purpose": MOST_CHARACTERS}
"""Characters that are kept of each."""


def checked(whose: str, proposer: Proposer, domain: Domain) -> Proposer:
    """The proposer, each of whose answers is looked at.

    Args:
        whose: in a message, such as ``proposer 'mine'``.
        proposer: of whoever.
        domain: whose specs it proposes.

    Raises:
        Refused: something in the place of a function is none. So do the functions, where they fail or give what they must not.
    """
    for name in _FUNCTIONS:
        if not callable(function := getattr(proposer, name)):
            raise Refused(f"{name} of {whose} is {told(function)}; it must be a function")

    def propose(feedback: Feedback, archive: Archive, k: int, key: Array) -> Proposed:
        what = f"propose of {whose}"
        found = called(what, proposer.propose, feedback, archive, k, key)
        return _proposed(what, found, domain, archive, k)

    def state() -> dict[str, Any]:
        what = f"state of {whose}"
        found = called(what, proposer.state)
        if not isinstance(found, Mapping):
            raise Refused(f"{what} gave {told(found)}; it must be an object of JSON data")
        return called(what, plain, found)

    def cost() -> dict[str, float]:
        what = f"cost of {whose}"
        found = called(what, proposer.cost)
        if not isinstance(found, Mapping) or not all(_is_number(n) for n in found.values()):
            raise Refused(f"{what} gave {told(found)}; it must be an object of finite numbers")
        return {str(name): n for name, n in found.items()}

    return proposer._replace(
        propose=propose,
        state=state,
        restore=lambda state: called(f"restore of {whose}", proposer.restore, state),
        close=lambda: called(f"close of {whose}", proposer.close),
        judge=_judge(f"judge of {whose}", proposer.judge),
        cost=cost,
    )


def _judge(what: str, function: Judge | None) -> Judge | None:
    if function is None:
        return None

    def judge(proposal: Proposal, near: Sequence[Entry]) -> str:
        found = called(what, function, proposal, near)
        if not isinstance(found, str):
            raise Refused(f"{what} gave {told(found)}; it must be text, empty where a spec is interesting")
        return cleaned(found)

    return judge


def _proposed(what: str, found: Any, domain: Domain, archive: Archive, k: int) -> Proposed:
    """What came, its text cleaned; what is there already, or came twice, is a rejection.

    Raises:
        Refused: it is none.
    """
    if not isinstance(found, Proposed):
        raise Refused(f"{what} gave {told(found)}; it must be a Proposed")
    proposals = _all(what, "proposals", found.proposals, Proposal)
    rejections = _all(what, "rejections", found.rejections, Rejection)
    for name, most in (("seconds", math.inf), ("steps", 2**53)):
        value = getattr(found, name)
        if not _is_number(value) or not 0 <= value < most or (name == "steps" and value != int(value)):
            raise Refused(f"{what} gave {name} {shown(value)}; it must be a number from 0")
    new: dict[str, Proposal] = {}
    again: list[Rejection] = []
    for i, each in enumerate(proposals):
        made = _proposal(f"{what} gave proposals[{i}], whose", each, domain, archive)
        if made.identity in archive.entries or made.identity in new:
            why = "it is there already" if made.identity in archive.entries else "it was proposed twice"
            again.append(Rejection("duplicate", (why,), made.author))
        else:
            new[made.identity] = made
    if len(new) > k:
        raise Refused(f"{what} gave {len(new)} new specs; there must be at most {k}, as were asked for")
    refused = [
        Rejection(
            cleaned(r.reason, 40),
            _texts(f"{what} gave rejections, whose faults", r.faults),
            cleaned(r.author, 100),
        )
        for r in rejections
    ]
    notes = _texts(f"{what} gave a Proposed, whose notes", found.notes)
    return Proposed(tuple(new.values()), (*refused, *again), notes, float(found.seconds), int(found.steps))


def _proposal(what: str, proposal: Proposal, domain: Domain, archive: Archive) -> Proposal:
    """The proposal, its text cleaned."""
    language = domain.language
    for name in _TEXTS:
        if not isinstance(value := getattr(proposal, name), str):
            raise Refused(f"{what} {name} is {told(value)}; it must be text")
    spec = _spec(what, proposal.data, language)
    if proposal.identity != (identity := language.identity(spec)):
        raise Refused(
            f"{what} identity is {shown(proposal.identity)}; it must be that of its data, {identity[:8]}…"
        )
    features = np.asarray(language.features(spec), np.float64)
    try:
        near = np.allclose(np.asarray(proposal.features, np.float64), features, atol=1e-6)
    except (TypeError, ValueError):  # no numbers, or not as many
        near = False
    if not near:
        raise Refused(
            f"{what} features are not the {features.size} numbers that the language has of its data"
        )
    for parent in _texts(f"{what} parents", proposal.parents):
        if parent not in archive.entries:
            raise Refused(f"{what} parents have {shown(parent)}, which is no spec of the archive")
    texts = {name: cleaned(getattr(proposal, name), most) for name, most in _TEXTS.items()}
    return dataclasses.replace(
        proposal,
        data=language.write(spec),
        features=tuple(features.tolist()),
        parents=tuple(proposal.parents),
        changes=_texts(f"{what} changes", proposal.changes),
        **texts,
    )


def _spec(what: str, data: Any, language: Language) -> Any:
    """The spec in the data of a proposal."""
    if not isinstance(data, Mapping):
        raise Refused(f"{what} data are {told(data)}; they must be an object of fields")
    reads = f"read of language {language.name!r}"
    try:
        spec = called(reads, language.read, dict(data), saying=(SpecError,))
        written = called(f"write of language {language.name!r}", language.write, spec)
    except SpecError as error:
        raise Refused(f"{what} data are no spec: {cleaned(error.faults[0])}") from None
    except Refused as error:
        raise Refused(f"{what} data are no spec: {cleaned(error)}") from None
    if called(f"{what} data", lambda: plain(data) != plain(written)):
        raise Refused(f"{what} data are not as the language writes them; candidates.look_at_all reads any")
    return spec


def _all(what: str, name: str, found: Any, kind: type) -> list[Any]:
    if not isinstance(found, list | tuple):
        raise Refused(f"{what} gave {name} that are {told(found)}; they must be a tuple")
    for i, each in enumerate(found):
        if not isinstance(each, kind):
            raise Refused(f"{what} gave {name}[{i}] that is {told(each)}; it must be a {kind.__name__}")
    return list(found)


def _texts(what: str, found: Any) -> tuple[str, ...]:
    if not isinstance(found, list | tuple) or not all(isinstance(each, str) for each in found):
        raise Refused(f"{what} are {told(found)}; they must be a tuple of text")
    return tuple(cleaned(each) for each in found)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
