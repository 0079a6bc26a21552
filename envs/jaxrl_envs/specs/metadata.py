"""Text in specs that is for people: what turns its direction or hides in it has no place there."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from pydantic import BaseModel

from jaxrl_envs.specs.language import Fault
from jaxrl_envs.specs.text import shown

FIELDS = ("name", "purpose", "parent")
"""Of a spec of whichever language: what is told of it."""


def faults(spec: BaseModel) -> Iterator[Fault]:
    """A fault for each of `FIELDS` with control or bidirectional characters, or with others that part lines."""
    for field in FIELDS:
        text = getattr(spec, field)
        for c in text:
            if unicodedata.category(c)[0] == "C" or unicodedata.category(c) in ("Zl", "Zp"):
                clause = f"it has {shown(c)}; control and bidirectional characters are no text"
                yield Fault(field, shown(text), clause)
                break
