"""What the parser says of wrong words, as one sentence instead of a box."""

from __future__ import annotations

import contextlib
import io
import itertools
import sys
from collections.abc import Iterator

_WRONG_USAGE = 2
_FRAME, _RULE, _CORNER = "│ ", "─-╰╯", "╭"


@contextlib.contextmanager
def as_sentence() -> Iterator[None]:
    """Around a call of the parser: what it prints to standard error before it ends the process becomes the message of a ValueError.

    Raises:
        ValueError: instead of a SystemExit for wrong usage.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            yield
    except SystemExit as exit:
        sentence = first_paragraph(said.getvalue())
        if exit.code == _WRONG_USAGE and sentence:
            raise ValueError(sentence) from None
        sys.stderr.write(said.getvalue())
        raise
    sys.stderr.write(said.getvalue())


def first_paragraph(box: str) -> str:
    """What stands in a box between its title and the next rule, in one line; empty of what is no box.

    Boxes are drawn of lines where standard output takes UTF-8, and of hyphens elsewhere.
    """
    inside = [line.strip(_FRAME) for line in box.splitlines()[1:]]
    is_rule = lambda line: bool(line) and not line.strip(_RULE)
    text = list(itertools.dropwhile(is_rule, inside))
    if len(text) == len(inside) and not box.startswith(_CORNER):
        return ""
    text = itertools.takewhile(lambda line: not is_rule(line), text)
    return " ".join(filter(None, text)).removeprefix("Error parsing ")
