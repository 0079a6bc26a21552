"""A file of JSON lines that is only ever added to. What a killed process had written half is cut off when it is opened again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxrl_evolve.files import Unreadable, parse_json, read_regular
from jaxrl_evolve.storage.folder import FolderError, Unwritable, plain

_MOST_BYTES = 2**30


class Journal:
    """Lines of a file, and more of them.

    Attributes:
        path: the file; None keeps the lines in memory.
        lines: JSON objects, the oldest first.
    """

    def __init__(self, path: str | os.PathLike[str] | None, *, writing: bool = True) -> None:
        """Read what is there.

        Args:
            path: the file; None for none.
            writing: whether lines will be added.

        Raises:
            FolderError: it cannot be read or written, or a line is no JSON object; the message names it.
        """
        self.path = None if path is None else Path(path)
        self.lines: list[dict[str, Any]] = []
        if self.path is None:
            return
        try:
            content = read_regular(self.path, _MOST_BYTES)
        except FileNotFoundError:
            return
        except (OSError, Unreadable) as error:
            raise FolderError(
                f"cannot read {self.path}: {getattr(error, 'strerror', None) or error}"
            ) from None
        end = content.rfind(b"\n") + 1
        self.lines = [self._line(number, line) for number, line in enumerate(content[:end].splitlines(), 1)]
        if writing and end < len(content):
            self._cut(end)

    def _line(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            value = parse_json(line)
        except Unreadable as error:
            raise FolderError(f"{self.path} is damaged: line {number}: {error}") from None
        if not isinstance(value, dict):
            raise FolderError(f"{self.path} is damaged: line {number} is no JSON object")
        return value

    def _cut(self, end: int) -> None:
        assert self.path is not None
        try:
            os.truncate(self.path, end)
        except OSError as error:
            raise Unwritable(f"cannot write {self.path}: {error.strerror}") from None

    def append(self, line: Mapping[str, Any]) -> None:
        """Add a line; on return it is on disk.

        Raises:
            FolderError: it cannot be written.
        """
        made = plain(line)
        self.lines.append(made)
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "ab") as file:
                file.write(json.dumps(made, allow_nan=False).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise Unwritable(f"cannot write {self.path}: {error.strerror}") from None
