"""A key that is used and never shown: from an environment variable, and taken out of every text that comes back."""

from __future__ import annotations

import base64
import os
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from urllib.parse import quote

_PIECE = 8  # letters of a key in a row that are no accident
HIDDEN = "[key]"
# What is something else, or nothing, once JSON is decoded (however often) and what is not seen is left out.
_UNLIKE = re.compile(r"\\+u[0-9a-fA-F]{4}|\\+[bfnrt]?|[^ -~\w]")


class Secret:
    """A key. Its text forms say nothing of it, and it cannot be stored."""

    def __init__(self, value: str = "") -> None:
        self._value = value
        forms = {value, quote(value, safe=""), *_base64(value)} if value else set()
        bare = {_UNLIKE.sub(_shown, form) for form in forms}
        self._pieces = {f[i : i + _PIECE] for f in bare for i in range(max(len(f) - _PIECE, 0) + 1)}

    def __repr__(self) -> str:
        return f"Secret({'set' if self._value else 'none'})"

    def __reduce__(self) -> str:
        raise TypeError("a secret cannot be stored")

    def __bool__(self) -> bool:
        return bool(self._value)

    def headers(self) -> dict[str, str]:
        """What a request carries it in."""
        return {"Authorization": f"Bearer {self._value}"} if self._value else {}

    def redacted(self, text: str) -> str:
        """Text without the key, also without longer pieces of it, and as it stands in URLs and in base64.

        It is looked for as it could be read later: with escapes of JSON decoded, and without characters that are not seen.
        """
        bare = _UNLIKE.sub(_shown, text)
        if not (hidden := self._found(bare)):
            return text
        parts, at = [], 0
        for start, end in _in_text(text, hidden):
            parts += [text[at:start], HIDDEN]
            at = end
        return "".join([*parts, text[at:]])

    def _found(self, bare: str) -> list[list[int]]:
        """Where stretches of the key begin and end, in their order."""
        starts: dict[int, int] = {}
        for piece in self._pieces:
            at = bare.find(piece)
            while at >= 0:
                starts[at] = max(starts.get(at, 0), at + len(piece))
                at = bare.find(piece, at + 1)
        found: list[list[int]] = []
        for start in sorted(starts):
            if found and start < found[-1][1]:
                found[-1][1] = max(found[-1][1], starts[start])
            else:
                found.append([start, starts[start]])
        return found


def _base64(value: str) -> Iterator[str]:
    """How a value is written there, wherever in a longer text it begins, in both alphabets."""
    for before, others in ((0, 0), (1, 2), (2, 3)):  # letters that others have a part in
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(b"\0" * before + value.encode()).decode().rstrip("=")[others:]


def _in_text(text: str, stretches: Sequence[Sequence[int]]) -> Iterator[tuple[int, int]]:
    """Where stretches of what could be seen of a text begin and end in the text."""
    bare, raw, long = [0], [0], {}  # from one place on, the other: until the next of both
    for each in _UNLIKE.finditer(text):
        at, seen = bare[-1] + each.start() - raw[-1], len(_shown(each))
        if seen:
            long[at] = each.end() - each.start()
            bare.append(at)
            raw.append(each.start())
        bare.append(at + seen)
        raw.append(each.end())
    for start, end in stretches:
        first, last = (bisect_right(bare, at) - 1 for at in (start, end - 1))
        last = raw[last] + end - 1 - bare[last]
        yield raw[first] + start - bare[first], last + long.get(end - 1, 1)


def _shown(found: re.Match[str]) -> str:
    """What could be seen in the end of what is like nothing that is seen."""
    said = found[0]
    if said[0] == "\\":
        coded = said.lstrip("\\")
        said = chr(int(coded[1:], 16)) if coded[:1] == "u" else " " if coded and coded != "b" else ""
    return said if said.isprintable() or said.isspace() else ""


def secret_from(variable: str) -> Secret:
    """The key in an environment variable; none where no variable is named.

    Raises:
        ValueError: it is not set, or holds what no key can be; the message names the variable and nothing of what it holds.
    """
    if not variable:
        return Secret()
    value = os.environ.get(variable, "").strip()
    if not value:
        raise ValueError(
            f"the environment variable {variable}, which key_variable names, is not set; it must hold the key of the language model's "
            "server, or key_variable be empty for a server that asks for none"
        )
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise ValueError(
            f"the environment variable {variable} holds no key: it must be printable ASCII without spaces"
        )
    return Secret(value)
