"""A file of JSON lines that is only ever added to. What a killed process had written half is cut off when it is opened again.

A last line that is whole counts, also where nothing ends it, as where a person wrote it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxrl_evolve.files import Unreadable, parse_json, read_regular
from jaxrl_evolve.storage.folder import FolderError, Unwritable, plain

_MOST_BYTES = 2**30
_ENDS = (b"\n", b"\r")


class Journal:
    """Lines of a file, and more of them.

    Attributes:
        path: the file; None keeps the lines in memory.
        lines: JSON objects, the oldest first.
        torn: whether there was half a line at the end, which is left out.
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
        self.torn = False
        self._numbers: list[int] = []  # of the lines, in the file
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
        whole = self._read(content)
        if writing and content and not content.endswith(_ENDS):
            self._mend(whole)

    def _read(self, content: bytes) -> int:
        """Take the lines; the bytes of those that are whole."""
        lines, size = content.splitlines(keepends=True), 0
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    self.lines.append(self._line(number, line))
                except FolderError:
                    # What is written half is the beginning of an object, and never one.
                    self.torn = number == len(lines) and not line.endswith(_ENDS)
                    if not self.torn:
                        raise
                    break
                self._numbers.append(number)
            size += len(line)
        return size

    def _line(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            value = parse_json(line)
        except Unreadable as error:
            raise FolderError(f"{self.path} is damaged: line {number}: {error}") from None
        if not isinstance(value, dict):
            raise FolderError(f"{self.path} is damaged: line {number} is no JSON object")
        return value

    def damaged(self, index: int, why: str) -> FolderError:
        """The error of a line that holds what it must not.

        Args:
            index: of the line among `lines`, as they were read.
            why: a clause.
        """
        return FolderError(f"{self.path} is damaged: line {self._numbers[index]}: {why}")

    def _mend(self, whole: int) -> None:
        """Cut off what is written half, or end the last line."""
        assert self.path is not None
        try:
            with open(self.path, "r+b") as file:
                if self.torn:
                    file.truncate(whole)
                elif whole:
                    file.seek(0, os.SEEK_END)
                    file.write(b"\n")
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
