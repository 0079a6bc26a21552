"""From what someone gave to proposals: read by the language, told apart from what is there, and the most novel taken."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Array

from jaxrl_envs.specs.language import SpecError
from jaxrl_evolve.files import Unreadable
from jaxrl_evolve.generation.archive import Archive
from jaxrl_evolve.generation.domain import Domain
from jaxrl_evolve.generation.feedback import Feedback
from jaxrl_evolve.generation.proposal import Candidate, Proposal, Proposed, Proposer, Rejection
from jaxrl_evolve.generation.texts import cleaned, cleaned_data
from jaxrl_evolve.settings.foreign import Refused, called


class Looked(NamedTuple):
    """What became of a candidate: one of the two.

    Attributes:
        proposal: it is one.
        rejection: it is none.
    """

    proposal: Proposal | None = None
    rejection: Rejection | None = None


def look_at(domain: Domain, archive: Archive, candidate: Candidate, *, repair: bool = False) -> Looked:
    """Read one candidate; nothing of it is ever executed.

    Args:
        domain: its language.
        archive: what is there already is a duplicate.
        candidate: of whoever.
        repair: whether what the language can mend is mended.
    """
    language, author = domain.language, cleaned(candidate.author, 100)
    refused = lambda reason, *faults: Looked(rejection=Rejection(reason, tuple(faults), author))
    if not isinstance(candidate.data, dict):
        return refused(
            "invalid", f"the spec is a {type(candidate.data).__name__}; it must be an object of fields"
        )
    changes, saying = [], (SpecError,)
    try:
        data = cleaned_data(candidate.data)
        if repair:
            data, changes = called(
                f"language {language.name!r}: repair", language.repair, data, saying=saying
            )
        spec = called(f"language {language.name!r}: read", language.read, data, saying=saying)
    except SpecError as error:
        return refused("invalid", *(cleaned(fault) for fault in error.faults))
    except Unreadable as error:
        return refused("invalid", f"the spec: {error}")
    except Refused as error:  # a language that stumbles over what anyone may write stops no loop
        return refused("invalid", cleaned(error))
    identity = language.identity(spec)
    if identity in archive.entries:
        same = "the original" if identity == archive.original.identity else f"spec {identity[:8]}"
        return refused("duplicate", f"it is the same as {same}")
    written = language.write(spec)
    target = called("goal of the domain", domain.goal, written) or candidate.target
    return Looked(
        Proposal(
            identity,
            written,
            tuple(float(x) for x in np.asarray(language.features(spec), np.float64)),
            author,
            cleaned(candidate.operator, 40),
            tuple(parent for parent in candidate.parents if parent in archive.entries),
            target if target in {skill.name for skill in domain.skills} else "",
            cleaned(candidate.purpose),
            tuple(cleaned(change) for change in changes),
        )
    )


def look_at_all(
    domain: Domain, archive: Archive, candidates: Iterable[Candidate], k: int, *, repair: bool = False
) -> Proposed:
    """Read candidates, leave out those that are none or come twice, and of more than ``k`` take the most novel."""
    found: dict[str, Proposal] = {}
    rejections: list[Rejection] = []
    for candidate in candidates:
        proposal, rejection = look_at(domain, archive, candidate, repair=repair)
        if rejection is not None:
            rejections.append(rejection)
        elif proposal is not None and proposal.identity in found:
            rejections.append(Rejection("duplicate", ("it was proposed twice",), proposal.author))
        elif proposal is not None:
            found[proposal.identity] = proposal
    chosen = most_novel(archive, list(found.values()), k)
    taken = {p.identity for p in chosen}
    left = [p for p in found.values() if p.identity not in taken]
    rejections += [Rejection("surplus", ("others are more novel",), p.author) for p in left]
    return Proposed(tuple(chosen), tuple(rejections))


def most_novel(archive: Archive, proposals: list[Proposal], k: int) -> list[Proposal]:
    """The ``k`` that lie farthest from the archive and from each other, one after the other; all in their order if there are no more."""
    if len(proposals) <= k:
        return proposals
    features = np.asarray([p.features for p in proposals], np.float64)
    nearest = archive.distance(features)
    chosen: list[int] = []
    for _ in range(k):
        chosen.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, np.linalg.norm(features - features[chosen[-1]], axis=1))
        nearest[chosen] = -1.0
    return [proposals[i] for i in chosen]


def filled_up(
    proposed: Proposed, offline: Proposer, feedback: Feedback, archive: Archive, k: int, key: Array
) -> Proposed:
    """What was proposed, and as much from the offline proposer as is missing, with a note that says so."""
    missing = k - len(proposed.proposals)
    if missing <= 0:
        return proposed
    # More than are missing: some may be the same as those that are there.
    more = offline.propose(feedback, archive, k, key)
    there = {p.identity for p in proposed.proposals}
    added = tuple(p for p in more.proposals if p.identity not in there)[:missing]
    note = f"{len(added)} of {k} specs are from the proposer {offline.name}"
    return proposed.and_then(Proposed(added, more.rejections, (note, *more.notes)))
