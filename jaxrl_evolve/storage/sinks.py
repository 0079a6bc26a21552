"""Where a run's numbers go, row by row, and the two files that are always written: JSON lines and CSV.

A row maps names to numbers or to nested lists of them whose first axis is the seeds::

    {"env_steps": 4096, "updates": 8, "seconds": 1.5, "episode_return": [20.5, 19.0], "loss": [0.1, 0.2]}

Numbers that are not finite are written as null (JSON), as an empty cell (CSV), or not at all. The lines are the
record, the table is made from them: after a kill it is brought back to what they say.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxrl_evolve.files import parse_json
from jaxrl_evolve.storage.folder import FolderError, plain, write_text
from jaxrl_evolve.storage.steps import sync_folder

STEP = "env_steps"
"""The column every row has: environment steps per seed. Resuming cuts the files by it."""


class SinkError(ValueError):
    """A sink cannot be opened; the message names what is wrong."""


class SinkUnwritable(SinkError, OSError):
    """Metrics cannot be written, or read again: the disk is full or the like."""


class Sink(NamedTuple):
    """One destination.

    Attributes:
        write: ``(row, step)``, with ``step`` the environment steps per seed. On return the files have the row
            (TensorBoard and W&B write in threads of their own). Write a step's row before its checkpoint, so that a resumed run lacks none.
        close: to be called once, at the end.
        sync: returns when the rows that were written are on disk, if that is the record of them. A checkpoint that
            counts has its rows there, also after a loss of power: so this comes before it, in a thread of its own.
    """

    write: Callable[[Mapping[str, Any], int], None]
    close: Callable[[], None]
    sync: Callable[[], None] = lambda: None


NOWHERE = Sink(lambda row, step: None, lambda: None)
"""Takes rows and keeps none."""


def together(*sinks: Sink) -> Sink:
    """One sink that writes to all of ``sinks``."""

    def write(row: Mapping[str, Any], step: int) -> None:
        row = plain(row)
        for sink in sinks:
            sink.write(row, step)

    def close() -> None:
        for sink in sinks:
            sink.close()

    def sync() -> None:
        for sink in sinks:
            sink.sync()

    return Sink(write, close, sync)


def jsonl(path: str | os.PathLike[str], resume_at: int | None = None) -> Sink:
    """One JSON object per line.

    Args:
        path: the file.
        resume_at: keep the rows of an earlier run up to this step, drop later ones and a half-written
            last line; None starts anew.

    Raises:
        SinkError: an earlier row is damaged (its line is named), or the file cannot be written.
    """
    path = Path(path)
    file = _open(path, "r+b" if path.exists() else "w+b")
    sync_folder(path.parent)
    try:
        file.truncate(0 if resume_at is None else _end_of_lines(file, path, resume_at))
    except SinkError:
        file.close()
        raise
    file.seek(0, os.SEEK_END)

    def write(row: Mapping[str, Any], step: int) -> None:
        line = json.dumps(plain({**row, STEP: int(step)}), allow_nan=False)
        file.write(line.encode() + b"\n")
        file.flush()

    return Sink(write, file.close, lambda: os.fsync(file.fileno()))


def read_jsonl(path: str | os.PathLike[str], resume_at: int = sys.maxsize) -> list[dict[str, Any]]:
    """The rows that `jsonl` wrote, oldest first; a half-written last line is left out.

    Args:
        path: the file.
        resume_at: leave later rows out.

    Raises:
        SinkError: an earlier row is damaged (its line is named), or the file cannot be read.
    """
    path = Path(path)
    with _open(path, "rb", "read") as file:
        end = _end_of_lines(file, path, resume_at)
        file.seek(0)
        return [json.loads(line) for line in file.read(end).splitlines()]


def drop_after(path: str | os.PathLike[str], name: str, number: int) -> None:
    """Cut off the first row whose ``name`` is above ``number``, and all that follow: where steps alone do not tell rows apart.

    Args:
        path: a file of `jsonl`; nothing is done where there is none.
        name: of a column that grows from row to row.
        number: the last that is kept.

    Raises:
        SinkError: an earlier row is damaged (its line is named), or the file cannot be written.
    """
    path = Path(path)
    if not path.exists():
        return
    with _open(path, "r+b") as file:
        file.truncate(_end_of_lines(file, path, number, name))


def has_rows(path: str | os.PathLike[str]) -> bool:
    """Whether there is a file with something in it."""
    return os.path.exists(path) and os.path.getsize(path) > 0


def table(path: str | os.PathLike[str], rows: Sequence[Mapping[str, Any]] = ()) -> Sink:
    """A CSV file with the columns of `per_seed`.

    The columns are those of the first row, in its order. A column that first appears later is added at
    the right, and the file rewritten in one atomic step.

    Args:
        path: the file.
        rows: those to begin with, as `read_jsonl` gives them; what was in the file is gone.

    Raises:
        SinkError: an earlier row is damaged (its line is named), or the file cannot be written.
    """
    path = Path(path)
    columns = write_table(path, rows)
    file = _open(path, "ab")

    def write(row: Mapping[str, Any], step: int) -> None:
        nonlocal file
        cells = per_seed({**row, STEP: int(step)})
        new = [name for name in cells if name not in columns]
        if new:
            file.close()
            _, there = _read_table(path) if columns else ([], [])
            columns.extend(new)
            _write_cells(path, columns, there)
            file = _open(path, "ab")
        file.write(_csv_line([cells.get(name) for name in columns]))
        file.flush()

    return Sink(write, lambda: file.close())


def write_table(path: str | os.PathLike[str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Write the file that `table` leaves after these rows, in one atomic step.

    Returns:
        Its columns.

    Raises:
        SinkError: it cannot be written.
    """
    cells = [per_seed(row) for row in rows]
    columns = list(dict.fromkeys(name for row in cells for name in row))
    _write_cells(Path(path), columns, cells)
    return columns


def per_seed(row: Mapping[str, Any]) -> dict[str, Any]:
    """A flat row with every seed by itself: ``seed_3/loss``; further axes follow, ``seed_3_0/loss``."""
    flat: dict[str, Any] = {}
    for name, value in plain(row).items():
        for index, number in _elements(value):
            flat[f"seed_{'_'.join(map(str, index))}/{name}" if index else name] = number
    return flat


def aggregate(row: Mapping[str, Any]) -> dict[str, Any]:
    """A flat row with ``loss/mean`` and ``loss/iqm`` over all finite numbers of ``loss`` (None if none is).

    The interquartile mean drops the ``floor(n / 4)`` smallest and as many largest of ``n`` numbers.
    """
    flat: dict[str, Any] = {}
    for name, value in plain(row).items():
        if not isinstance(value, list):
            flat[name] = value
            continue
        finite = np.sort(
            [float(number) for _, number in _elements(value) if isinstance(number, (int, float))]
        )
        cut = finite.size // 4
        flat[f"{name}/mean"] = float(finite.mean()) if finite.size else None
        flat[f"{name}/iqm"] = float(finite[cut : finite.size - cut].mean()) if finite.size else None
    return flat


def _elements(value: Any, index: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Any]]:
    if isinstance(value, list):
        for i, item in enumerate(value):
            yield from _elements(item, (*index, i))
    else:
        yield index, value


def _open(path: Path, mode: str, what: str = "write") -> Any:
    try:
        return open(path, mode)
    except OSError as error:
        raise SinkUnwritable(f"cannot {what} {path}: {error.strerror}") from None


def _end_of_lines(file: Any, path: Path, resume_at: int, name: str = STEP) -> int:
    """The offset behind the last whole row whose ``name`` is at most ``resume_at``."""
    end, lines = 0, file.readlines()
    for number, line in enumerate(lines, start=1):
        if not line.endswith(b"\n"):
            break
        try:
            step = int(parse_json(line)[name])
        except (ValueError, KeyError, TypeError, OverflowError):
            if number == len(lines):
                break
            raise SinkError(f"{path} is damaged: line {number} is not a row with {name}") from None
        if step > resume_at:
            break
        end += len(line)
    return end


def _read_table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and whole rows; a half-written last line is left out."""
    text = path.read_bytes().decode(errors="replace")
    try:
        columns, *cells = list(csv.reader(text.split("\n")[:-1])) or [[]]
    except csv.Error as error:
        raise SinkError(f"{path} is damaged: {error}") from None
    if columns and STEP not in columns:
        raise SinkError(f"{path} is damaged: line 1 has no column {STEP}")
    rows = []
    for number, row in enumerate(cells, start=2):
        if len(row) != len(columns) or not row[columns.index(STEP)].isdecimal():
            raise SinkError(f"{path} is damaged: line {number} is not a row with {STEP}")
        rows.append(dict(zip(columns, row, strict=True)))
    return columns, rows


def _write_cells(path: Path, columns: list[str], rows: Sequence[Mapping[str, Any]]) -> None:
    lines = [columns, *([row.get(name) for name in columns] for row in rows)] if columns else []
    try:
        write_text(path, b"".join(map(_csv_line, lines)).decode())
    except FolderError as error:
        raise SinkUnwritable(str(error)) from None


def _csv_line(cells: list[Any]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue().encode()
