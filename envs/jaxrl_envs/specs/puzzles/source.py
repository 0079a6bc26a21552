"""The text of a PuzzleScript game, cut into sections whose lines know their numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from jaxrl_envs.specs.fields import close_to
from jaxrl_envs.specs.language import Fault, SpecError
from jaxrl_envs.specs.text import MOST_BYTES, refuse, shown

SECTIONS = (
    "objects",
    "legend",
    "sounds",
    "collisionlayers",
    "rules",
    "winconditions",
    "levels",
)
"""In the order in which they stand; only sounds may be missing."""
_TOLD = ("title", "author", "homepage", "background_color", "text_color", "noaction", "noundo", "norestart")
"""What may stand before them, none of which changes how a game goes."""


class Line(NamedTuple):
    """One line: its number in the file, from 1, and what it says without comments."""

    number: int
    text: str


def wrong(line: Line, allowed: str, known: Sequence[str] = (), word: str = "") -> NoReturn:
    """Raises the fault of one line.

    Args:
        line: that is meant.
        allowed: a clause that says what may stand there.
        known: names that may be meant.
        word: in place of one of them.
    """
    raise SpecError(Fault(f"line {line.number}", shown(line.text), allowed, close_to(word, known)))


def sections_of(text: str | bytes) -> tuple[str, dict[str, list[Line]]]:
    """The title, and the lines of each section; blank ones stay, since they part objects and levels.

    Raises:
        SpecError: it is too long, no text, or not in the order of `SECTIONS`.
    """
    if len(text) > MOST_BYTES:
        raise refuse(f"it has {len(text):,} bytes, more than the {MOST_BYTES:,} that are read")
    try:
        text = text.decode() if isinstance(text, bytes) else text
    except UnicodeDecodeError:
        raise refuse("it is not UTF-8 text") from None
    title, found, now = "", dict[str, list[Line]](), ""
    for number, said in enumerate(_without_comments(text).splitlines(), start=1):
        line = Line(number, said.strip())
        word = line.text.lower()
        if word in SECTIONS:
            if [*found, word] != sorted({*found, word}, key=SECTIONS.index):
                wrong(line, f"each section must stand once, in the order {', '.join(SECTIONS)}")
            found[word], now = [], word
        elif word and set(word) == {"="} and (now != "levels" or len(word) > 9):
            continue
        elif now:
            found[now].append(line)
        elif word:
            told, _, rest = line.text.partition(" ")
            if told.lower() not in _TOLD:
                wrong(
                    line,
                    f"before the sections there may be {', '.join(_TOLD)}",
                    (*_TOLD, *SECTIONS),
                    told.lower(),
                )
            title = rest.strip() if told.lower() == "title" else title
    missing = [name for name in SECTIONS if name not in found and name != "sounds"]
    if missing:
        raise refuse(f"it has no section {missing[0].upper()}; it must have {', '.join(SECTIONS)}")
    return title, found


def _without_comments(text: str) -> str:
    """What stands in parentheses is left out; lines stay lines."""
    return re.sub(r"\([^()]*\)", lambda comment: "\n" * comment[0].count("\n"), text)


def blocks(lines: Sequence[Line]) -> list[list[Line]]:
    """Lines in groups between blank ones."""
    groups: list[list[Line]] = [[]]
    for line in lines:
        if line.text:
            groups[-1].append(line)
        elif groups[-1]:
            groups.append([])
    return [group for group in groups if group]
