"""How much each spec is played in the next phase: a fixed share of the original, the rest by rank of what is learned from each.

The ranks are those of prioritised level replay (`curricula.level_buffer.log_weights`): of expected learnability, with a bonus for what
was not played for long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from jaxrl_evolve.generation.archive import Archive
from jaxrl_evolve.generation.loops import Order


def shares(archive: Archive, original: float, order: Order = "learnability") -> dict[str, float]:
    """The share of each spec that is played, by identity, the original first; they add up to 1.

    Args:
        archive: what there is.
        original: the share of the original; all of it where nothing else is active.
        order: by what the rest is shared out: rank ``i`` of fitness in proportion to ``i^(-1/temperature)``, or evenly.

    Raises:
        ValueError: the share of the original is none.
    """
    if not 0.0 <= original <= 1.0:
        raise ValueError(f"original is {original}; it must be a share, from 0 to 1")
    first, *others = archive.playing()
    if not others or original == 1.0:
        return {first.identity: 1.0}
    place = {entry.identity: i for i, entry in enumerate(archive.ranked())}
    others = sorted(others, key=lambda entry: place[entry.identity])
    ranks = np.arange(1, len(others) + 1)
    weights = np.ones(len(others)) if order == "even" else ranks ** (-1.0 / archive.config.temperature)
    weights = (1.0 - original) * weights / weights.sum()
    return {first.identity: original, **{e.identity: float(w) for e, w in zip(others, weights, strict=True)}}


def evenly(original: Mapping[str, float], latest: Sequence[str], generated: float) -> dict[str, float]:
    """The original, and the same share of each of some specs; all of it where there are none.

    Args:
        original: its identity, and a share.
        latest: identities of the specs.
        generated: their share together.
    """
    first = next(iter(original))
    others = {identity for identity in latest if identity != first}
    if not others:
        return {first: 1.0}
    share = generated / len(others)  # of each once, however often it is named
    return {first: 1.0 - generated, **{identity: share for identity in latest if identity in others}}
