"""Slips of spelling: which known word another is but for its spelling, so that putting it right does not change what is said.

Words that are merely near say another thing too often: a clause's ``one`` is no ``none``, ``not_near`` no ``near``, ``at_least`` no
``at_most``, and ``=`` no ``>=``. `fields.close_to` suggests these; nothing is replaced by them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from pydantic import BaseModel

from jaxrl_envs.specs.language import Data

_MOST_SLIPS = 32


def meant(word: str, known: Iterable[str]) -> str | None:
    """The known word that a word is a slip of, None if there is none.

    Both have the same letters and digits; or the same first one, which a prefix such as ``un`` or ``not_`` changes, and all others but for
    one that is missing, too many or wrong, or two that changed places.
    """
    letters = _letters(word)
    options = {_letters(other): other for other in known}
    if not letters or letters in options:
        return options[letters] if letters else None
    odd = {
        other: _odd(letters, other)
        for other in options
        if other[:1] == letters[0] and abs(len(other) - len(letters)) <= 1
    }
    best = min(odd, key=lambda other: odd[other], default=None)
    return options[best] if best and odd[best] <= min(2, (len(best) + len(letters)) // 4) else None


def _odd(one: str, other: str) -> int:
    """How many letters of two words have no partner; two of a wrong one, or of two that changed places."""
    blocks = difflib.SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()
    return len(one) + len(other) - 2 * sum(block.size for block in blocks)


def fields_meant(data: Data, model: type[BaseModel]) -> dict[str, str | None]:
    """The keys of an object that are no fields, each with the field that it means, or None.

    A field is meant by the same letters in another case, or with other signs between them. One that must be given and is not is meant
    by any slip: the object could not be read without it, while without an optional one it says what it says. Each field is meant once,
    and none that has a value. Of more than 32 unknown keys none is a slip.
    """
    unknown = [key for key in data if key not in model.model_fields]
    if len(unknown) > _MOST_SLIPS:
        return dict.fromkeys(unknown)
    left = {name: field.is_required() for name, field in model.model_fields.items() if name not in data}
    same = {_letters(name): name for name in left}
    found = dict[str, str | None]()
    for key in unknown:
        name = same.get(_letters(key)) or meant(key, [name for name, must in left.items() if must])
        found[key] = name if name in left else None
        left.pop(name or "", None)
    return found


def spelt(key: str, name: str) -> bool:
    """Whether a key has the letters of a field's name, in whatever case and with whatever signs between them."""
    return _letters(key) == _letters(name)


def _letters(word: str) -> str:
    return "".join(c for c in word.casefold() if c.isalnum())
