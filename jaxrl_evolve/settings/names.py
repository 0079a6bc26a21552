"""How fields are spelled, and what to say of a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def spelled(name: str) -> str:
    """A field's name as it is spelled everywhere, with underscores; hyphens mean the same."""
    return name.replace("-", "_")


def suggestion(
    name: str, known: Iterable[str], otherwise: str = "known are", inside: Iterable[str] = ()
) -> str:
    """``did you mean a or b?`` for the known names near to ``name``, else ``otherwise`` and all of them.

    Args:
        name: which does not exist.
        known: names that do.
        otherwise: what to say before all of them.
        inside: dotted names of what lies deeper: those that end in ``name`` are meant rather than any other.
    """
    known = list(known)
    alike = lambda other: difflib.SequenceMatcher(None, name, other).ratio()
    deeper = {other: max(alike(other), alike(other.rpartition(".")[2])) for other in inside}
    best = max(deeper.values(), default=0.0)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if best > max([0.5, *map(alike, near)]):
        near = [other for other in sorted(deeper, key=lambda x: -deeper[x]) if deeper[other] > best - 0.1][:3]
    return f"did you mean {' or '.join(near)}?" if near else f"{otherwise} {', '.join(known)}"
