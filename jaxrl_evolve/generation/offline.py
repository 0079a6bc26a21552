"""The proposer that needs nobody: quality-diversity by changes of the specs that the agent learns most from.

Archive cells, elites by expected learnability and one change per child are those of MAP-Elites (Mouret and Clune 2015, arXiv
1504.04909); which skill a child is for follows from how the agent does in the original.
"""

from __future__ import annotations

import copy

import numpy as np
from jaxtyping import Array

from jaxrl_evolve.generation.archive import Archive, Entry
from jaxrl_evolve.generation.candidates import look_at_all
from jaxrl_evolve.generation.domain import Domain, Operator
from jaxrl_evolve.generation.feedback import Feedback
from jaxrl_evolve.generation.offline_config import OfflineConfig
from jaxrl_evolve.generation.proposal import Candidate, Proposed, Proposer, Rejection, generator
from jaxrl_evolve.generation.targets import kinds_for, target_weights
from jaxrl_evolve.settings.foreign import called

NAME = "quality-diversity"


def offline_proposer(domain: Domain, config: OfflineConfig | None = None) -> Proposer:
    """The offline proposer of a domain. It has no state: the same arguments give the same specs."""
    chosen = config or OfflineConfig()

    def propose(feedback: Feedback, archive: Archive, k: int, key: Array) -> Proposed:
        return _propose(domain, chosen, feedback, archive, k, key)

    return Proposer(NAME, propose)


def _propose(
    domain: Domain, config: OfflineConfig, feedback: Feedback, archive: Archive, k: int, key: Array
) -> Proposed:
    rng = generator(key)
    weights = target_weights(domain, feedback, config)
    elites = archive.elites() or [archive.original]
    candidates: list[Candidate] = []
    stuck = 0
    for _ in range(k * config.oversample):
        for _ in range(config.tries):
            child = _child(domain, config, archive, elites, weights, rng)
            if child is not None:
                candidates.append(child)
                break
        else:
            stuck += 1
    found = look_at_all(domain, archive, candidates, k)
    # More were made than are wanted, so that some are too many is no news.
    rejections = tuple(r for r in found.rejections if r.reason != "surplus")
    rejections += (Rejection("unchanged", ("no operator found anything to change",), NAME),) * stuck
    return Proposed(found.proposals, rejections)


def _child(
    domain: Domain,
    config: OfflineConfig,
    archive: Archive,
    elites: list[Entry],
    weights: np.ndarray,
    rng: np.random.Generator,
) -> Candidate | None:
    """One spec with one change, or None where the operator has nothing to change."""
    target = domain.skills[int(rng.choice(len(weights), p=weights))].name
    parent = _drawn(rng, [e for e in elites if e.target == target] or elites)
    operator = _operator(domain, config, archive, parent, rng)
    parents = [parent]
    if operator.parents > 1:
        others = [e for e in elites if e.identity != parent.identity]
        if len(others) < operator.parents - 1:
            return None
        parents += [others[int(i)] for i in rng.choice(len(others), operator.parents - 1, replace=False)]
    if operator.kind == "reset":
        parents = [archive.original]
    # Operators may be anyone's: what they change is a copy.
    data = tuple(copy.deepcopy(dict(e.data)) for e in parents)
    changed = called(f"operator {operator.name!r}", operator.change, rng, data, target)
    if changed is None:
        return None
    return Candidate(dict(changed), NAME, operator.name, tuple(e.identity for e in parents), target)


def _drawn(rng: np.random.Generator, elites: list[Entry]) -> Entry:
    """One of the elites, the i-th of them proportional to 1 / i."""
    shares = 1.0 / np.arange(1, len(elites) + 1)
    return elites[int(rng.choice(len(elites), p=shares / shares.sum()))]


def _operator(
    domain: Domain, config: OfflineConfig, archive: Archive, parent: Entry, rng: np.random.Generator
) -> Operator:
    kinds = kinds_for(parent, config, archive.config.episodes)
    fitting = [o for o in domain.operators if o.kind in kinds]
    if rng.random() < config.uniform or not fitting:
        fitting = list(domain.operators)
    return fitting[int(rng.integers(len(fitting)))]
