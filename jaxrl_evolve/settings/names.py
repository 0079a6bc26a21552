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
    known, inside = list(known), list(inside)
    near = [other for other in inside if other.rpartition(".")[2] == name]
    if not near:
        best = difflib.get_close_matches(name, [*known, *inside], n=1, cutoff=0.5)
        near = difflib.get_close_matches(name, known if set(best) <= {*known} else inside, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"{otherwise} {', '.join(known)}"
