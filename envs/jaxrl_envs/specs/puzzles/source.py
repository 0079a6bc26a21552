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


class Game(NamedTuple):
    """The title; the lines of each section, with blank ones, which part objects and levels; the line that heads each section."""

    title: str
    sections: dict[str, list[Line]]
    heads: dict[str, Line]


def bar(line: Line) -> bool:
    """Whether it is a row of ``=`` alone, which frames a heading."""
    return {*line.text} == {"="}


def sections_of(text: str | bytes) -> Game:
    """What the text has. Bars are left out, but those below LEVELS, where they may be rows of a level.

    Raises:
        SpecError: it is too long, no text, or not in the order of `SECTIONS`.
    """
    if len(text) > MOST_BYTES:
        raise refuse(f"it has {len(text):,} bytes, more than the {MOST_BYTES:,} that are read")
    try:
        text = text.decode() if isinstance(text, bytes) else text
    except UnicodeDecodeError:
        raise refuse("it is not UTF-8 text") from None
    title, found, heads, now = "", dict[str, list[Line]](), dict[str, Line](), ""
    for number, said in enumerate(_without_comments(text).splitlines(), start=1):
        line = Line(number, said.strip())
        word = line.text.lower()
        if word in SECTIONS:
            if [*found, word] != sorted({*found, word}, key=SECTIONS.index):
                wrong(line, f"each section must stand once, in the order {', '.join(SECTIONS)}")
            found[word], heads[word], now = [], line, word
        elif bar(line) and now != "levels":
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
    return Game(title, found, heads)


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
