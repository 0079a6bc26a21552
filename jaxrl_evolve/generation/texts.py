"""Words and data of others before anything is done with them: capped, and without characters that act on a screen or a prompt."""

from __future__ import annotations

from typing import Any

from jaxrl_evolve.files import Unreadable, parse_json

MOST_CHARACTERS = 400
"""What is kept of a description or a purpose."""


def cleaned(text: object, most: int = MOST_CHARACTERS) -> str:
    """Text in one line, without control, bidirectional and other invisible characters, at most ``most`` long."""
    said = str(text)[: 4 * most]  # what is left out below may be most of it, and what comes may have no end
    seen = "".join(" " if c.isspace() else c for c in said if c.isprintable() or c.isspace())
    return " ".join(seen.split())[:most].rstrip()


def cleaned_data(data: Any, most: int = MOST_CHARACTERS) -> Any:
    """JSON data with all its text `cleaned`, the names of fields too.

    Raises:
        Unreadable: two fields of one object have the same name then.
    """
    if isinstance(data, str):
        return cleaned(data, most)
    if isinstance(data, dict):
        seen: dict[str, Any] = {}
        for name, value in data.items():
            if (shown := cleaned(name, most)) in seen:
                raise Unreadable(
                    f"it has the field {shown[:40]!r} twice in one object, once without what is not seen of it"
                )
            seen[shown] = cleaned_data(value, most)
        return seen
    return [cleaned_data(item, most) for item in data] if isinstance(data, list) else data


def strict_json(text: str) -> Any:
    """JSON data in which no field stands twice and every number is one.

    Raises:
        Unreadable: it is not that.
    """
    return parse_json(text.encode(errors="replace"), strict=True)
