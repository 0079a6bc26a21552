"""A person proposes: specs in a JSON file, looked at between phases of a loop."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from jaxtyping import Array

from jaxrl_evolve.files import Unreadable, read_regular
from jaxrl_evolve.generation.archive import Archive
from jaxrl_evolve.generation.candidates import filled_up, look_at_all, most_novel
from jaxrl_evolve.generation.domain import Domain
from jaxrl_evolve.generation.feedback import Feedback
from jaxrl_evolve.generation.proposal import Candidate, Proposed, Proposer
from jaxrl_evolve.generation.texts import cleaned, strict_json

NAME = "person"
_MOST_BYTES = 2**24
_MOST_SPECS = 1_000


def person_proposer(domain: Domain, path: str | os.PathLike[str], offline: Proposer) -> Proposer:
    """Specs from a file that a person may change while a loop runs; what is missing comes from the offline proposer.

    The file holds a list of specs, or an object with ``specs`` and, if wanted, ``author``. It is read again once its content is
    another, and each spec in it is proposed once. One that is missing, or wrong, stops nothing: the note says what is wrong with it.

    Args:
        domain: whose specs.
        path: the file; it may come into being later.
        offline: who fills up.
    """
    path = Path(path)
    seen = ""
    given: set[str] = set()

    def propose(feedback: Feedback, archive: Archive, k: int, key: Array) -> Proposed:
        nonlocal seen
        found, seen = _found(domain, archive, path, k, seen, given)
        given.update(p.identity for p in found.proposals)
        return filled_up(found, offline, feedback, archive, k, key)

    def restore(state: Mapping[str, Any]) -> None:
        nonlocal seen
        seen = str(state.get("seen", ""))
        given.clear()
        given.update(map(str, state.get("given", ())))

    state = lambda: {"seen": seen, "given": sorted(given)}
    return Proposer(NAME, propose, state, restore, scarce=True)


def _found(
    domain: Domain, archive: Archive, path: Path, k: int, seen: str, given: Set[str]
) -> tuple[Proposed, str]:
    """What is new in the file, and the digest of its content once all of it was proposed."""
    try:
        content = read_regular(path, _MOST_BYTES)
    except FileNotFoundError:
        return Proposed(notes=(f"there is no file {path} yet",)), seen
    except (OSError, Unreadable) as error:
        return Proposed(notes=(f"cannot read {path}: {getattr(error, 'strerror', None) or error}",)), seen
    digest = hashlib.sha256(content).hexdigest()
    if digest == seen:
        return Proposed(notes=(f"{path} has nothing new",)), seen
    try:
        author, specs = read_specs(strict_json(content.decode()))
    except UnicodeDecodeError:
        return Proposed(notes=(f"{path} is not UTF-8 text",)), digest
    except Unreadable as error:
        return Proposed(notes=(f"{path} is no list of specs: {error}",)), digest
    name = f"person: {author or path.name}"
    candidates = [Candidate(data, name, NAME) for data in specs]
    found = look_at_all(domain, archive, candidates, max(len(specs), 1))
    faults = tuple(
        f"{path}: {fault}" for r in found.rejections if r.reason == "invalid" for fault in r.faults
    )
    # One that was proposed and is not in the archive was refused for what the loop knows, and stands in nobody's way.
    new = [p for p in found.proposals if p.identity not in given]
    chosen = tuple(most_novel(archive, new, k))
    more = len(new) > len(chosen)  # those are for the next cycle
    return dataclasses.replace(found, proposals=chosen, notes=faults), seen if more else digest


def read_specs(data: Any) -> tuple[str, list[Any]]:
    """Who wrote the specs in JSON data, if it is said, and the specs.

    Raises:
        Unreadable: it is neither a list of specs nor an object with one.
    """
    author = ""
    if isinstance(data, dict) and "specs" in data:
        author, data = cleaned(data.get("author", ""), 100), data["specs"]
    if not isinstance(data, list):
        raise Unreadable("it must hold a list of specs, or an object with the field specs")
    if len(data) > _MOST_SPECS:
        raise Unreadable(f"it has {len(data):,} specs, more than the {_MOST_SPECS:,} that are read")
    return author, data
