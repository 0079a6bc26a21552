"""Specs by mutation of what is informative, after eva (Ye et al. 2024, arXiv 2411.00062), whose creator evolves prompts.

A spec's informativeness is the gap that is expected between the best and the worst of a few episodes; parents are drawn in proportion to
it, over everything that may be played, and each child has one change, of any kind. There are no targets and no feedback by skill.
"""

from __future__ import annotations

import copy

import numpy as np
from jaxtyping import Array

from jaxrl_evolve.generation.archive import Archive
from jaxrl_evolve.generation.belief import Belief
from jaxrl_evolve.generation.candidates import look_at_all
from jaxrl_evolve.generation.domain import Domain
from jaxrl_evolve.generation.proposal import Candidate, Proposed, generator
from jaxrl_evolve.settings.foreign import called

MUTATION = "mutation"
"""Who wrote such specs."""
_EPISODES = 4  # of which the best and the worst are compared
_TRIES = 8


def informativeness(belief: Belief) -> float:
    """``1 - p^m - (1 - p)^m`` of successes that are 0 or 1: how likely it is that not all of ``m`` episodes come out alike."""
    p = belief.mean
    return 1.0 - p**_EPISODES - (1.0 - p) ** _EPISODES


def mutated(domain: Domain, archive: Archive, k: int, key: Array) -> Proposed:
    """Children of informative specs.

    Args:
        domain: whose operators of one parent are applied, all alike.
        archive: what there is; the original is among the parents.
        k: how many, at most.
        key: randomness.
    """
    rng = generator(key)
    parents = archive.with_status("active") or [archive.original]
    shares = np.asarray([informativeness(e.belief) for e in parents])
    shares /= shares.sum()
    operators = [o for o in domain.operators if o.parents == 1 and o.kind != "reset"]
    candidates: list[Candidate] = []
    for _ in range(_TRIES * k if operators else 0):
        if len(candidates) == 2 * k:  # some are there already
            break
        parent = parents[int(rng.choice(len(parents), p=shares))]
        operator = operators[int(rng.integers(len(operators)))]
        target = parent.target or domain.skills[int(rng.integers(len(domain.skills)))].name
        data = (copy.deepcopy(dict(parent.data)),)
        child = called(f"operator {operator.name!r}", operator.change, rng, data, target)
        if child is not None:
            candidates.append(Candidate(dict(child), MUTATION, operator.name, (parent.identity,), target))
    found = look_at_all(domain, archive, candidates, 2 * k)
    return Proposed(found.proposals[:k], tuple(r for r in found.rejections if r.reason != "surplus"))
