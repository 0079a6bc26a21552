"""Files in and out: written whole or not at all, and read as what anyone may have made.

Nothing here runs what a file says (no pickles), and nothing takes more memory than the file is long or a bound
allows. Whoever reads adds the file's name to what an `Unreadable` says.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import stat
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

MOST_BYTES = 2**28
"""What a file that is read at once may hold, unpacked: far more than any objective or configuration has."""
_DEEPEST = 100
_NUMBERS = "?biufc"
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Unreadable(ValueError):
    """Bytes are not what they should be; the message is a clause that says why, in one line."""


def one_line(text: object) -> str:
    """What someone else's file says, to be told in a sentence: in one line that can be printed anywhere."""
    line = " ".join(str(text).split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def write_whole(path: str | os.PathLike[str], content: bytes | memoryview) -> None:
    """Write a file so that it holds the old content or the new, never a part. A symbolic link is replaced, not followed.

    Raises:
        OSError: it cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.tmp")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()  # left by a killed process, or a link to somebody's file
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()  # a full disk needs the space
        raise


def read_regular(path: str | os.PathLike[str], most: int = MOST_BYTES) -> bytes:
    """What is in a file of at most ``most`` bytes.

    Raises:
        OSError: it cannot be read.
        Unreadable: it is a pipe or a device, which may have no end, or longer.
    """
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(21, os.strerror(21))
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable("it is no regular file")
    if status.st_size > most:
        raise Unreadable(f"it has {status.st_size:,} bytes, more than the {most:,} that are read")
    with open(path, "rb") as file:
        # A buffer of the size that is asked for is made, whatever there is to read.
        return file.read(min(status.st_size + 1, most))


def parse_json(content: bytes, *, endless: bool = False, strict: bool = False) -> Any:
    """JSON data of no more than 100 levels.

    Args:
        content: UTF-8 text.
        endless: whether ``NaN`` and ``Infinity`` may stand for numbers, for which JSON has no word.
        strict: whether a field that stands twice in one object and a number too large to be kept are refused, too.

    Raises:
        Unreadable: it is not that.
    """

    def refuse(word: str) -> Any:
        raise Unreadable(f"it has {word} for a number")

    hooks: dict[str, Any] = {"object_pairs_hook": _once, "parse_float": _finite} if strict else {}
    try:
        value = json.loads(content, parse_constant=None if endless else refuse, **hooks)
    except json.JSONDecodeError as error:
        raise Unreadable(f"{error.msg} in line {error.lineno}") from None
    except UnicodeDecodeError:
        raise Unreadable("it is not UTF-8 text") from None
    except RecursionError:
        raise Unreadable(f"it is nested more than {_DEEPEST} levels deep") from None
    except Unreadable:
        raise
    except ValueError:  # Python's own limit
        raise Unreadable("it has a number of thousands of digits") from None
    # Fewer brackets than levels cannot be too deep; that is nearly every file.
    if content.count(b"[") + content.count(b"{") > _DEEPEST and _levels(value) > _DEEPEST:
        raise Unreadable(f"it is nested more than {_DEEPEST} levels deep")
    return value


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these fields, each of which is there once."""
    made = dict(pairs)
    if len(made) < len(pairs):
        times = Counter(name for name, _ in pairs)
        twice = next(name for name in times if times[name] > 1)
        raise Unreadable(f"it has the field {twice[:40]!r} twice in one object")
    return made


def _finite(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise Unreadable(f"it has {digits[:20]} for a number, which no number can be")
    return number


def parse_npz(content: bytes, most: int = MOST_BYTES) -> dict[str, np.ndarray]:
    """The arrays of numbers in an ``.npz`` archive, by name; members that are no ``.npy`` files are left out.

    Args:
        content: of the archive.
        most: bytes that all of them may have, unpacked.

    Raises:
        Unreadable: it is no such archive, was changed, or has arrays of anything but numbers.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {name: _array(archive, member) for name, member in _members(archive, most).items()}
    except Unreadable:
        raise
    except Exception:  # whatever the parsers of three formats stumble over, it is in the bytes
        raise Unreadable("it is truncated, or its content was changed") from None


def _members(archive: zipfile.ZipFile, most: int) -> Mapping[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        if not member.filename.endswith(".npy"):
            continue
        name = member.filename.removesuffix(".npy")
        if name in found:
            raise Unreadable(f"it has two arrays {name!r}")
        if member.compress_type not in _PACKED:
            raise Unreadable(f"its array {name!r} is packed in another way than numpy's")
        found[name] = member
    if (total := sum(member.file_size for member in found.values())) > most:
        raise Unreadable(f"its arrays have {total:,} bytes, more than the {most:,} that are read")
    return found


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as packed:
        # No more than the size that was added up: a member may hold more than it says. Its checksum is compared here.
        file = io.BytesIO(packed.read(member.file_size))
    version = np.lib.format.read_magic(file)
    head = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    shape, by_column, dtype = head(file)
    data = file.getbuffer()[file.tell() :]
    if dtype.kind not in _NUMBERS:
        raise Unreadable(
            f"its array {member.filename.removesuffix('.npy')!r} holds {dtype.name[:20]}, not numbers"
        )
    if math.prod(shape) * dtype.itemsize != len(data):
        raise Unreadable(
            f"its array {member.filename.removesuffix('.npy')!r} is not of the size that it says"
        )
    return np.frombuffer(data, dtype).reshape(shape, order="F" if by_column else "C").copy(order="K")


def _levels(value: Any) -> int:
    deepest, waiting = 0, [(value, 1)]
    while waiting and deepest <= _DEEPEST:
        inside, level = waiting.pop()
        if isinstance(inside, dict | list):
            deepest = max(deepest, level)
            waiting.extend(
                (item, level + 1) for item in (inside.values() if isinstance(inside, dict) else inside)
            )
    return deepest
