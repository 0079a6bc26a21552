"""What an open-ended loop finds interesting, what it looks up in its archive, and how far it has come.

Retrieval, gate and measures are those of OMNI-EPIC (Faldor et al. 2024, arXiv 2405.15568), on features of specs instead of embeddings of
code. ANNECS is the accumulated number of novel environments created and solved (Wang et al. 2020, arXiv 2003.08536).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from jaxrl_evolve.generation.archive import Archive, Entry
from jaxrl_evolve.generation.domain import Domain

Features = Float[np.ndarray, "n d"]
Learned = Float[np.ndarray, "m _"]
"""Features of other specs; where there are none, without columns."""


def features_of(entries: Sequence[Entry]) -> Features:
    """float64 ``[n, d]``."""
    length = len(entries[0].features) if entries else 0
    return np.asarray([e.features for e in entries], np.float64).reshape(len(entries), length)


def nearest(features: Sequence[float], entries: Sequence[Entry], most: int) -> list[Entry]:
    """The nearest entries, the nearest first; of equals the older."""
    if not entries:
        return []
    distance = np.linalg.norm(features_of(entries) - np.asarray(features, np.float64), axis=1)
    return [entries[i] for i in np.argsort(distance, kind="stable")[:most]]


def anchor(learned: Sequence[Entry], unused: Mapping[str, int], rng: np.random.Generator) -> Entry:
    """A learned spec, drawn in proportion to for how long it was not used; evenly where all were just used."""
    counts = np.asarray([unused.get(e.identity, 0) for e in learned], np.float64)
    shares = counts / counts.sum() if counts.sum() else np.full(len(learned), 1.0 / len(learned))
    return learned[int(rng.choice(len(learned), p=shares))]


def view(archive: Archive, shown: Sequence[Entry], failed: Sequence[Entry] = ()) -> Archive:
    """The archive as a proposer is shown it: the original, some specs that it may change, and some that came to nothing.

    The original is there to be changed only where nothing else is.
    """
    first = archive.original
    entries = [replace(first, status="learned" if shown else "active")]
    entries += [replace(e, status="active") for e in shown if e.identity != first.identity]
    entries += [replace(e, status="failed") for e in failed]
    return replace(archive, entries={e.identity: e for e in entries})


def typical(learned: Features, neighbours: int) -> float:
    """The median, over learned specs, of the mean distance to their nearest others; 0 of fewer than two."""
    if len(learned) < 2:
        return 0.0
    between = np.linalg.norm(learned[:, None] - learned[None], axis=-1)
    np.fill_diagonal(between, np.inf)
    most = min(neighbours, len(learned) - 1)
    return float(np.median(np.sort(between, axis=1)[:, :most].mean(1)))


def strangeness(features: Features, learned: Learned, neighbours: int) -> Float[np.ndarray, " n"]:
    """Of each vector the mean distance to the nearest learned specs; infinite where there is none."""
    if not len(learned):
        return np.full(len(features), np.inf)
    between = np.linalg.norm(features[:, None] - learned[None], axis=-1)
    return np.sort(between, axis=1)[:, : min(neighbours, len(learned))].mean(1)


def novel(features: Features, learned: Learned, neighbours: int, share: float) -> np.ndarray:
    """bool ``[n]``: whether each is so far from the learned specs, as a share of what they are from each other."""
    return strangeness(features, learned, neighbours) >= share * typical(learned, neighbours)


def cells(domain: Domain, entries: Sequence[Entry]) -> float:
    """The share of the archive's cells that these specs are in."""
    there = 1 + len(domain.skills)
    for descriptor in domain.descriptors:
        there *= descriptor.levels
    return len({e.cell for e in entries}) / there


def coverage(archives: Mapping[str, Features], bins: int = 20) -> dict[str, float]:
    """Share of cells that each archive is in, all laid out together: principal components to two dimensions, cut into ``bins`` by ``bins``.

    Args:
        archives: features of the learned specs, by name; what they come to depends on what else is there.
        bins: a side.
    """
    rows = [np.asarray(x, np.float64) for x in archives.values()]
    lengths = [len(x) for x in rows]
    if sum(lengths) < 2:
        return {name: length / bins**2 for name, length in zip(archives, lengths, strict=True)}
    every = np.concatenate([x for x in rows if len(x)])
    every = every - every.mean(0)
    flat = every @ np.linalg.svd(every, full_matrices=False)[2][:2].T
    width = np.maximum(np.ptp(flat, axis=0), 1e-12)
    place = np.minimum((bins * (flat - flat.min(0)) / width).astype(int), bins - 1)
    found, start = {}, 0
    for name, length in zip(archives, lengths, strict=True):
        found[name] = len({tuple(cell) for cell in place[start : start + length].tolist()}) / bins**2
        start += length
    return found
