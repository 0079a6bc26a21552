"""A key that is used and never shown: from an environment variable, and taken out of every text that comes back."""

from __future__ import annotations

import base64
import os
from urllib.parse import quote

_PIECE = 8  # letters of a key in a row that are no accident
HIDDEN = "[key]"


class Secret:
    """A key. Its text forms say nothing of it, and it cannot be stored."""

    def __init__(self, value: str = "") -> None:
        self._value = value
        forms = (
            {value, quote(value, safe=""), base64.b64encode(value.encode()).decode().rstrip("=")}
            if value
            else set()
        )
        self._short = sorted((f for f in forms if len(f) < _PIECE), key=len, reverse=True)
        self._pieces = {f[i : i + _PIECE] for f in forms for i in range(len(f) - _PIECE + 1)}

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
        """Text without the key, also without longer pieces of it, and as it stands in URLs and in base64."""
        for form in self._short:
            text = text.replace(form, HIDDEN)
        if not self._pieces:
            return text
        found = [i for i in range(len(text) - _PIECE + 1) if text[i : i + _PIECE] in self._pieces]
        parts, at = [], 0
        for i in found:
            if i >= at:
                parts += [text[at:i], HIDDEN]
            at = max(at, i + _PIECE)
        return "".join([*parts, text[at:]])


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
