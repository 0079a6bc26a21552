"""The folder of a run or a sweep: where its files are, which kind it holds, and JSON in and out."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxrl_evolve.files import Unreadable, one_line, parse_json, read_regular, write_whole
from jaxrl_evolve.settings.names import names_of_a_run
from jaxrl_evolve.settings.nested import written_fields
from jaxrl_evolve.storage import kinds
from jaxrl_evolve.storage.kinds import Kind

_NAMED = 5  # folders in a message


class FolderError(ValueError):
    """A run folder cannot be made, read or written; the message names what is wrong."""


class Unwritable(FolderError, OSError):
    """A file cannot be written: nobody's usage is wrong, the disk is full or the like."""


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """Where a run keeps its files.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """What was asked for."""
        return self.path / kinds.RUN

    @property
    def points(self) -> Path:
        """Hyperparameters of a sweep's points, where the run has several."""
        return self.path / "points.json"

    @property
    def metrics(self) -> Path:
        """One line per logged chunk."""
        return self.path / "metrics.jsonl"

    @property
    def table(self) -> Path:
        """The same numbers as a table."""
        return self.path / "metrics.csv"

    @property
    def curves(self) -> Path:
        """The learning curves."""
        return self.path / "curves.png"

    @property
    def checkpoints(self) -> Path:
        """The folder of `jaxrl_evolve.storage.checkpoint`."""
        return self.path / "checkpoints"

    @property
    def result(self) -> Path:
        """What came out."""
        return self.path / "result.json"

    @property
    def sweep(self) -> Path:
        """What a sweep varies: the folder of a sweep has this file instead of `config`."""
        return self.path / kinds.SWEEP


def existing(path: str | os.PathLike[str], kind: Kind) -> RunFolder:
    """The folder of an earlier run or sweep of a kind.

    Raises:
        FolderError: there is none, it holds another kind (the message says which, and what can be done with
            it), or its ``config.json`` (``sweep.json``) is missing or not a JSON object.
    """
    folder = RunFolder(Path(path))
    found = _kind_in(folder.path, kind)
    if found != kind.name:
        raise FolderError(kinds.mismatch(folder.path, found, kind.name) + _inside(folder.path, kind))
    return folder


def configuration(path: str | os.PathLike[str], kind: Kind) -> Any:
    """What the run or sweep in a folder was asked for, as its kind reads it.

    Raises:
        FolderError: as `existing`, or the file is no configuration or plan.
        ValueError: a field is missing or unknown, or a value is not allowed.
    """
    mark = existing(path, kind).path / kind.mark
    try:
        with names_of_a_run(path):
            return kind.read(kinds.without_kind(read_json(mark)))
    except (LookupError, TypeError, AttributeError, ArithmeticError) as error:  # of data of another structure
        what = "plan of a sweep" if kind.mark == kinds.SWEEP else "configuration of a run"
        raise FolderError(f"{mark} is damaged: it is no {what} ({one_line(error)})") from None


def kind_of(path: str | os.PathLike[str]) -> str:
    """The name of the kind of run or sweep in a folder.

    Raises:
        FolderError: there is none, or its ``config.json`` (``sweep.json``) is not a JSON object.
    """
    return _kind_in(Path(path))


def _kind_in(path: Path, wanted: Kind | None = None) -> str:
    """As `kind_of`; what is said of a folder that holds nothing is said for whoever wants that kind."""
    word, mark = (wanted.word, wanted.mark) if wanted else ("run", kinds.RUN)
    if not path.is_dir():
        what = ": it is a file" if Path(path).is_file() else ""
        raise FolderError(f"there is no {word} folder {path}{what}")
    for name in (kinds.SWEEP, kinds.RUN):
        if (path / name).is_file():
            return kinds.name_of(read_json(path / name), name)
    raise FolderError(f"{path} is not a {word} folder: it has no {mark}{_inside(path, wanted)}")


def _inside(path: Path, wanted: Kind | None) -> str:
    """Which folders below may be meant instead, as the end of a message: those of a kind, or of any, a sweep as a whole."""
    marks = (wanted.mark,) if wanted else (kinds.RUN, kinds.SWEEP)
    # As deep as a part of a sweep among others; no walk through somebody's home.
    depths = ("*", "*/*", "*/*/*")
    found = {file.parent for mark in marks for depth in depths for file in path.glob(f"{depth}/{mark}")}
    if wanted:
        meant = [folder for folder in sorted(found) if _holds(folder, wanted)]
    else:
        meant = [folder for folder in sorted(found) if found.isdisjoint(folder.parents)]
    if not meant:
        return ""
    more = f" and {len(meant) - _NAMED} more" if len(meant) > _NAMED else ""
    return f"; give {'one of ' * (len(meant) > 1)}{', '.join(map(str, meant[:_NAMED]))}{more}"


def _holds(path: Path, kind: Kind) -> bool:
    """Whether a folder with the mark of a kind is of that kind."""
    try:
        return kinds.name_of(read_json(path / kind.mark), kind.mark) == kind.name
    except ValueError:
        return False


def plain(value: Any, *, whole: bool = False) -> Any:
    """``value`` as strict JSON data: arrays as lists, NaN and infinities as None, paths as strings.

    float32 (and narrower) numbers become the shortest decimal that reads back as the same number.

    Args:
        value: what it shall be.
        whole: also with those fields of dataclasses that say nothing (`UNWRITTEN_BY_DEFAULT`).

    Raises:
        TypeError: something in it has no JSON form.
    """
    if value is None or isinstance(value, (bool, str, int)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item, whole=whole) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, whole=whole) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value) if whole else written_fields(value)
        return {field.name: plain(getattr(value, field.name), whole=whole) for field in fields}
    if isinstance(value, (np.ndarray, np.generic, jax.Array)):
        array = np.asarray(value)
        if array.ndim:
            return [plain(item) for item in array]
        if array.dtype.kind in "biu":
            return array.item()
        number = array if array.dtype.itemsize >= 4 else array.astype(np.float32)
        return plain(float(str(number[()])))
    raise TypeError(f"{value!r} ({type(value).__name__}) has no JSON form")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `plain` ``value`` to ``path`` so that it holds the old content or the new, never a part.

    Raises:
        FolderError: it cannot be written.
        TypeError: something in it has no JSON form.
    """
    write_text(path, json.dumps(plain(value), indent=2, allow_nan=False) + "\n")


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Like `write_json`, for text."""
    write_bytes(path, text.encode())


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Like `write_json`, for bytes."""
    try:
        write_whole(path, content)
    except OSError as error:
        raise Unwritable(f"cannot write {path}: {error.strerror}") from None


def read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The JSON object in ``path``.

    Raises:
        FolderError: the file is missing, unreadable, or not a JSON object.
    """
    try:
        value = parse_json(read_regular(path))
    except FileNotFoundError:
        raise FolderError(f"there is no file {path}") from None
    except OSError as error:
        raise FolderError(f"cannot read {path}: {error.strerror}") from None
    except Unreadable as error:
        raise FolderError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise FolderError(f"{path} holds a {type(value).__name__}, but must hold a JSON object")
    return value
