"""The spec of a file as options that a run can record: its text and its hash, so that nobody needs the file again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from jaxrl_envs.specs.files import language_of, read_file
from jaxrl_envs.specs.text import shown

SOURCE, IDENTITY, SPEC = "source", "identity", "spec"
"""Options in place of ``path``: the file that it was, the hash of what was in it, and that itself as JSON text."""


def with_spec(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of ``specs/file`` with the spec itself in place of ``path``; those without a path as they are.

    Raises:
        ValueError: the file cannot be read, or holds no sound spec (a `SpecError`).
    """
    if "path" not in options:
        return dict(options)
    path = options["path"]
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"path of specs/file is {shown(path)}; it must be the path of a file, as text")
    path = os.fspath(path)
    try:
        spec = read_file(path, _level(options))
    except OSError as error:
        raise ValueError(f"path of specs/file is {path!r}: {error.strerror or error}") from None
    others = {name: value for name, value in options.items() if name not in ("path", SOURCE, IDENTITY, SPEC)}
    own = language_of(spec)
    text = json.dumps(own.write(spec), separators=(",", ":"))
    return {**others, SOURCE: path, IDENTITY: own.identity(spec), SPEC: text}


def change(options: Mapping[str, Any]) -> str:
    """A sentence if the file that a recorded spec was read from is there and holds another by now, else nothing."""
    path = options.get(SOURCE)
    if not isinstance(path, str) or not os.path.exists(path):
        return ""
    known = str(options.get(IDENTITY, ""))[:8]
    try:
        spec = read_file(path, _level(options))
        now = f"spec {language_of(spec).identity(spec)[:8]}"
    except (OSError, ValueError):
        now = "no sound spec"
    if now == f"spec {known}":
        return ""
    return f"{path} holds {now} by now: what is here was made with spec {known}, and keeps it"


def _level(options: Mapping[str, Any]) -> int:
    """Which level of a game, whether it was given as a number or as words of a command."""
    value = options.get("level", 1)
    if not str(value).isdecimal():
        raise ValueError(f"level of specs/file is {value!r}; it must be a whole number from 1 on")
    return int(value)
