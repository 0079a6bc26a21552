"""What a report can be made of, among and below the folders that it is given."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from jaxrl_evolve.results.report.runs import ReportError
from jaxrl_evolve.storage import kinds
from jaxrl_evolve.storage.folder import FolderError, kind_of
from jaxrl_evolve.storage.unwritten import ASIDE

TRAINED, SWEPT, META_TRAINED, META_SWEPT, GENERATED = "train", "sweep", "meta-train", "meta-sweep", "generate"
REPORTED = (TRAINED, SWEPT, META_TRAINED, META_SWEPT, GENERATED)
"""The kinds that a report has rows for."""


class Found(NamedTuple):
    """A folder with results.

    Attributes:
        folder: where it lies.
        kind: one of `REPORTED`.
        given: the number of the given folder that it is, or lies below.
        below: whether it lies below it: nobody has named it.
    """

    folder: Path
    kind: str
    given: int
    below: bool = False


def find(folders: Iterable[str | os.PathLike[str]]) -> tuple[list[Found], list[str]]:
    """Folders with results among and below the given ones, each once, and notes on what is left out.

    Raises:
        ReportError: for a folder that does not exist, or whose run has not finished, or if there are no results at all.
    """
    found, notes, useless = list[Found](), list[str](), list[str]()
    for number, folder in enumerate(map(Path, folders)):
        if not folder.is_dir():
            raise ReportError(f"{folder} is not a folder")
        kind = _kind(folder)
        if kind is None and not (folder / "result.json").exists():
            below, left_out = _below(folder, number)
            if not below:
                useless.append(f"{folder} holds no finished run: there is no result.json in it or below it")
            found += below
            notes += left_out
        elif kind not in (None, *REPORTED):
            useless.append(kinds.mismatch(folder, str(kind), TRAINED))
        elif here := _finished(folder, kind or TRAINED, number):
            found += here
        else:
            word = "sweep" if kind in (SWEPT, META_SWEPT) else "run"
            raise ReportError(f"{folder} has no result.json: its {word} has not finished; resume it first")
    if not found:
        raise ReportError(useless[0] if useless else "a report needs at least one run folder")
    unique = {item.folder.resolve(): item for item in reversed(found)}
    named = {item.folder.resolve() for item in found if not item.below}
    kept = [
        item._replace(below=item.folder.resolve() not in named)
        for item in found
        if unique.get(item.folder.resolve()) is item
    ]
    return kept, [*notes, *(f"{text}." for text in useless), *_missing_parts(kept)]


def _below(folder: Path, number: int) -> tuple[list[Found], list[str]]:
    """Everything with results at any depth, sorted, and notes on the rest; what lies in a sweep or another kind of run
    is theirs.
    """
    names = ("result.json", kinds.RUN, kinds.SWEEP)
    marked = sorted({p.parent for n in names for p in folder.rglob(n) if ASIDE not in p.parts})
    there = {path: _kind(path) or TRAINED for path in marked}
    whole = {path for path, kind in there.items() if kind != TRAINED}
    found, notes = list[Found](), list[str]()
    for path, kind in there.items():
        if not whole.isdisjoint(path.parents):
            continue
        if kind not in REPORTED:
            notes.append(f"{path} is left out: it holds {kinds.about(kind).what}.")
        elif here := _finished(path, kind, number):
            found += (item._replace(below=True) for item in here)
        else:
            notes.append(f"{path} is left out: it has no result.json yet.")
    return found, notes


def _finished(path: Path, kind: str, number: int) -> list[Found]:
    """What there is in a folder: itself, or the finished runs of a sweep of meta-trainings that is under way."""
    if kind == SWEPT:
        return [Found(path, kind, number)] if any(path.glob("shape_*/result.json")) else []
    if (path / "result.json").exists():
        return [Found(path, kind, number)]
    if kind == META_SWEPT:
        made = (p.parent for p in sorted(path.rglob("result.json")) if ASIDE not in p.parts)
        return [Found(p, META_TRAINED, number, below=True) for p in made]
    return []


def _missing_parts(found: Iterable[Found]) -> list[str]:
    """Notes on parts of sweeps that were given to several machines and are not all there.

    Who gave each part an ``out`` of its own has ``part_1_of_2/part_1_of_2``: these lie in one sweep all the same.
    """
    parts: dict[tuple[Path, int], set[int]] = {}
    for item in found:
        if item.kind == SWEPT and (match := re.fullmatch(kinds.PART, item.folder.name)):
            whole = next(p for p in item.folder.parents if not re.fullmatch(kinds.PART, p.name))
            parts.setdefault((whole, int(match[2])), set()).add(int(match[1]))
    notes = []
    for (folder, total), there in parts.items():
        if missing := sorted(set(range(1, total + 1)) - there):
            notes.append(f"{folder} lacks part {', '.join(map(str, missing))} of {total} of its sweep.")
    return notes


def _kind(folder: Path) -> str | None:
    """The kind of run or sweep in a folder; None of one that does not say."""
    try:
        return kind_of(folder)
    except FolderError:
        return None
