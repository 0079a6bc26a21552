"""Specs in files: JSON of whichever language, and games of PuzzleScript."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from jaxrl_envs.specs import LANGUAGES, language
from jaxrl_envs.specs.fields import close_to
from jaxrl_envs.specs.language import Fault, Language, Spec, SpecError
from jaxrl_envs.specs.puzzles.translation import ENDINGS, translate
from jaxrl_envs.specs.text import MOST_BYTES, parse, refuse, shown


def read_file(path: str | os.PathLike[str], level: int = 1) -> Spec:
    """The spec in a file: of JSON a grid spec, unless its field ``language`` says otherwise; where the name ends in .txt or .puzzle, that
    of a game of PuzzleScript.

    Args:
        path: of the file.
        level: of a game, from 1.

    Raises:
        SpecError: it is none; a sentence for each fault.
        ValueError: it has no such level.
        OSError: it cannot be read.
    """
    # Of a folder, `open` says that it is one.
    if not stat.S_ISREG(os.stat(path).st_mode) and not Path(path).is_dir():
        raise refuse("it is no regular file")
    with open(path, "rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        size = os.stat(path).st_size
        raise refuse(f"it has {size:,} bytes, more than the {MOST_BYTES:,} that are read")
    if Path(path).suffix.lower() not in ENDINGS:
        if level != 1:
            raise ValueError(f"level is {level}, but only games of PuzzleScript have levels; it must be 1")
        return read(content)
    levels = translate(content)
    if not 1 <= level <= len(levels):
        raise ValueError(
            f"level is {level}; the game has {len(levels)}, so it must be from 1 to {len(levels)}"
        )
    return levels[level - 1]


def read(content: str | bytes) -> Spec:
    """The spec in JSON text, likewise.

    Raises:
        SpecError: it is none; a sentence for each fault.
    """
    data = parse(content)
    named = data.get("language", "grid") if isinstance(data, dict) else "grid"
    if named not in LANGUAGES:
        near = close_to(named, LANGUAGES) if isinstance(named, str) else ()
        raise SpecError(Fault("language", shown(named), f"it must be one of {', '.join(LANGUAGES)}", near))
    if named == "grid" and isinstance(data, dict):  # whose specs are those without a word about it
        data.pop("language", None)
    return language(named).read(data)


def language_of(spec: Spec) -> Language:
    """The language that a spec is of."""
    return language(getattr(spec, "language", LANGUAGES[0]))
