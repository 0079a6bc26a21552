"""Environments as data: specs that one compiled program interprets, thousands of different ones side by side."""

from __future__ import annotations

from jaxrl_envs.keywords import near
from jaxrl_envs.specs.language import Fault, Language, SpecError

__all__ = ["LANGUAGES", "Fault", "Language", "SpecError", "language"]

LANGUAGES = ("grid", "craftax")
"""Names of the languages."""


def language(name: str = "grid") -> Language:
    """The language called ``name``; what it needs (pydantic) is imported now.

    Raises:
        ValueError: none is called so.
    """
    if name not in LANGUAGES:
        raise ValueError(
            f"there is no language {name!r}{near(name, LANGUAGES) or '.'} Known: {', '.join(LANGUAGES)}"
        )
    if name == "craftax":
        from jaxrl_envs.specs.craftax.language import CRAFTAX

        return CRAFTAX
    from jaxrl_envs.specs.grid import GRID

    return GRID
