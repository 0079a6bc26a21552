"""Messages for names and keywords that do not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def near(word: str, known: Iterable[str]) -> str:
    """``"; did you mean 'a' or 'b'?"`` for the known words close to `word`, or nothing."""
    words = list(known)
    folded = {w.lower(): w for w in words}
    close = difflib.get_close_matches(word.lower(), folded, n=3, cutoff=0.6)
    close += [f for f in folded if word.lower() in f and f not in close][: 3 - len(close)]
    return f"; did you mean {' or '.join(repr(folded[c]) for c in close)}?" if close else ""


def reject_unknown(name: str, kwargs: Iterable[str], known: Iterable[str]) -> None:
    """Raise ValueError for the first keyword of `kwargs` that `name` does not take."""
    known = list(dict.fromkeys(known))
    for word in kwargs:
        if word not in known:
            takes = ", ".join(known) if known else "no keywords"
            close = near(word, [*known, "wrappers"])  # which `make` itself takes
            raise ValueError(f"{name} has no option {word!r}{close or '.'} It takes {takes}.")
