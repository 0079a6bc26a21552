"""What happens to an archive in a cycle: specs are added, rejected, played, learned, left alone and tried again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from jaxrl_evolve.generation.archive import Archive, Entry
from jaxrl_evolve.generation.archive_config import ArchiveConfig
from jaxrl_evolve.generation.belief import Belief
from jaxrl_evolve.generation.domain import Domain
from jaxrl_evolve.generation.proposal import Proposal, Rejection


def new_archive(domain: Domain, config: ArchiveConfig | None = None) -> Archive:
    """An archive of the original alone."""
    language = domain.language
    spec = language.read(dict(domain.original))
    features = tuple(float(x) for x in np.asarray(language.features(spec), np.float64))
    data = language.write(spec)
    first = Entry(
        language.identity(spec), data, features, domain.cell(data, ""), author="original", operator="original"
    )
    return Archive({first.identity: first}, config=config or ArchiveConfig())


def added(
    archive: Archive,
    domain: Domain,
    proposals: Iterable[Proposal],
    trials: Mapping[str, Belief] | None = None,
) -> Archive:
    """With proposals taken up, none of them twice. Parents of easier children remember that they have one.

    Args:
        archive: before.
        domain: by which cells are told.
        proposals: that hold.
        trials: by identity, the episodes that decided about them; nothing is ranked by these.
    """
    entries = dict(archive.entries)
    kind_of = {operator.name: operator.kind for operator in domain.operators}
    for proposal in proposals:
        if proposal.identity in entries:
            continue
        entries[proposal.identity] = _entry(
            archive, domain, proposal, (trials or {}).get(proposal.identity, Belief())
        )
        if kind_of.get(proposal.operator) == "grant":
            for parent in entries[proposal.identity].parents:
                entries[parent] = replace(entries[parent], grants=entries[parent].grants + 1)
    return replace(archive, entries=entries)


def _entry(archive: Archive, domain: Domain, proposal: Proposal, trial: Belief) -> Entry:
    return Entry(
        proposal.identity,
        proposal.data,
        proposal.features,
        domain.cell(proposal.data, proposal.target),
        born=archive.cycle,
        author=proposal.author,
        operator=proposal.operator,
        parents=tuple(parent for parent in proposal.parents if parent in archive.entries),
        target=proposal.target,
        purpose=proposal.purpose,
        trial=trial,
        seen=archive.cycle,
    )


def rejected(
    archive: Archive,
    domain: Domain,
    rejections: Iterable[Rejection] = (),
    invalid: Mapping[str, tuple[Proposal, tuple[str, ...]]] | None = None,
) -> Archive:
    """With what was not taken up counted, by reason, beside what one of each was told.

    Args:
        archive: before.
        domain: by which cells are told.
        rejections: candidates that came to nothing.
        invalid: by identity, proposals that a later rung found invalid, with the reasons. They are kept, so that nobody looks at
            them again.
    """
    refusals = [(rejection.reason, rejection.faults) for rejection in rejections]
    entries = dict(archive.entries)
    for identity, (proposal, reasons) in (invalid or {}).items():
        refusals.append((reasons[0] if reasons else "invalid", reasons[1:]))
        if identity not in entries:
            made = _entry(archive, domain, proposal, Belief())
            entries[identity] = replace(made, status="rejected", reasons=tuple(reasons))
    return replace(archive, entries=entries).counting(refusals)


def observed(archive: Archive, results: Mapping[str, tuple[int, int]]) -> Archive:
    """With the episodes of a cycle; earlier evidence of all counts less from now on, since the agent has changed.

    Args:
        archive: before.
        results: by identity, episodes and how many of them succeeded.

    Raises:
        ValueError: a spec is none of the archive's, or more episodes succeed than there are.
    """
    entries = {}
    for identity in results:
        if identity not in archive.entries:
            raise ValueError(f"results has {identity!r}, which is no spec of the archive")
    for identity, entry in archive.entries.items():
        episodes, won = results.get(identity, (0, 0))
        if not 0 <= won <= episodes:
            raise ValueError(
                f"results of {identity!r} are {won} successes of {episodes} episodes; there cannot be more than episodes"
            )
        belief = entry.belief.faded(archive.config.discount).with_episodes(won, episodes - won)
        seen = archive.cycle if episodes else entry.seen
        entries[identity] = replace(entry, belief=belief, episodes=entry.episodes + episodes, seen=seen)
    return replace(archive, entries=entries)


def settled(archive: Archive) -> Archive:
    """The next cycle: specs are learned, left alone, tried again or given up, by what is believed of them now.

    The original keeps its status, whatever comes.
    """
    cycle, original = archive.cycle + 1, archive.original.identity
    entries = {
        identity: entry if identity == original else _settled(entry, archive.config, cycle)
        for identity, entry in archive.entries.items()
    }
    return replace(archive, entries=entries, cycle=cycle)


def _settled(entry: Entry, config: ArchiveConfig, cycle: int) -> Entry:
    if entry.status == "quarantined" and entry.retry is not None and cycle >= entry.retry:
        # The agent is another by now: what it could not do then is no evidence.
        return replace(entry, status="active", belief=Belief(), retry=None, seen=cycle)
    if entry.status not in ("active", "learned") or entry.belief.episodes < config.episodes:
        return entry
    if entry.belief.mean >= config.mastery:
        return replace(entry, status="learned")
    if entry.status == "learned":  # it was, and is forgotten
        return replace(entry, status="active")
    if entry.belief.won > 0 or entry.grants < config.easier:
        return entry
    if entry.quarantines >= config.quarantines:
        return replace(entry, status="failed")
    wait = config.retry * 2**entry.quarantines
    return replace(entry, status="quarantined", quarantines=entry.quarantines + 1, retry=cycle + wait)


def judged(archive: Archive, identity: str, episodes: int, won: int, *, learned: bool) -> Archive:
    """With a test of one spec, which decides about it for good.

    Args:
        archive: before.
        identity: of the spec.
        episodes: of the test.
        won: how many of them succeeded.
        learned: whether that is enough.
    """
    entry = archive.entries[identity]
    belief = entry.belief.with_episodes(won, episodes - won)
    status = "learned" if learned else "failed"
    made = replace(
        entry, belief=belief, episodes=entry.episodes + episodes, seen=archive.cycle, status=status
    )
    return archive.replaced([made])
