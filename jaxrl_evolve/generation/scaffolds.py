"""Specs by rule instead of by proposal: scaffolds that fade, and the two curricula by hand."""

from __future__ import annotations

import copy

import numpy as np
from jaxtyping import Array

from jaxrl_evolve.generation.archive import Archive, Entry
from jaxrl_evolve.generation.candidates import look_at_all
from jaxrl_evolve.generation.domain import Domain, Operator
from jaxrl_evolve.generation.proposal import Candidate, Proposed, generator

FADING, BY_HAND = "fading", "by hand"
"""Who wrote such specs."""


def faded(domain: Domain, archive: Archive, k: int, key: Array, easy: float) -> Proposed:
    """Of each spec in which the agent succeeds, a child with less help; those that succeed most come first.

    Args:
        domain: whose operators of kind ``fade`` are applied.
        archive: what there is.
        k: how many, at most.
        key: randomness.
        easy: expected share of successes from which on help is taken away.
    """
    rng = generator(key)
    fading = [operator for operator in domain.operators if operator.kind == "fade" and operator.parents == 1]
    first = archive.original.identity
    done = [
        e
        for e in archive.with_status("active", "learned")
        if e.identity != first and e.belief.episodes >= archive.config.episodes and e.belief.mean >= easy
    ]
    parents = {parent for e in archive.entries.values() if e.author == FADING for parent in e.parents}
    done = sorted((e for e in done if e.identity not in parents), key=lambda e: -e.belief.mean)
    candidates = [c for e in done for o in fading if (c := _child(rng, o, e, FADING)) is not None]
    return look_at_all(domain, archive, candidates, k)


def by_hand(domain: Domain, archive: Archive, kind: str, times: int, k: int, key: Array) -> Proposed:
    """Children of the original by so many operators of one kind, one after the other.

    Args:
        domain: whose operators.
        archive: what there is.
        kind: of operator.
        times: how many; 0 is the original itself, of which there is no child.
        k: how many specs, at most.
        key: randomness.
    """
    rng = generator(key)
    operators = [operator for operator in domain.operators if operator.kind == kind and operator.parents == 1]
    targets = [skill.name for skill in domain.skills]
    candidates: list[Candidate] = []
    for i in range(4 * k if operators else 0):  # some are the same
        target = targets[-1 - i % len(targets)]
        data = copy.deepcopy(dict(archive.original.data))
        for _ in range(times):
            changed = operators[int(rng.integers(len(operators)))].change(rng, (copy.deepcopy(data),), target)
            data = data if changed is None else dict(changed)
        candidates.append(Candidate(data, BY_HAND, kind, (archive.original.identity,), target))
    return look_at_all(domain, archive, candidates, k)


def _child(rng: np.random.Generator, operator: Operator, entry: Entry, author: str) -> Candidate | None:
    changed = operator.change(rng, (copy.deepcopy(dict(entry.data)),), entry.target)
    if changed is None:
        return None
    return Candidate(dict(changed), author, operator.name, (entry.identity,), entry.target)
