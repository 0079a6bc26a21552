"""The folders of checkpoints: ``step_<step>``, or ``step_<step>.<revision>`` where a step was saved again.

What is listed is whole: a checkpoint comes into being, and goes, by one rename.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from jaxrl_evolve.storage.manifest import PROGRAM, CheckpointError, read

_T = TypeVar("_T")
_READINGS = 100
_LISTINGS = 100
_FOLDER = re.compile(r"step_(\d{9,})(?:\.(\d+))?")


def folder_name(step: int, revision: int) -> str:
    """The name of a checkpoint's folder."""
    return f"step_{step:09d}" + (f".{revision}" if revision else "")


def entries(folder: Path) -> list[tuple[int, int]]:
    """(step, revision) of every checkpoint in a folder, sorted.

    A folder that is being listed may show neither what was renamed into it meanwhile nor what was renamed away, so
    only what is seen twice counts.
    """
    seen, again = None, _listed(folder)
    for _ in range(_LISTINGS):
        if seen == again:
            break
        seen, again = again, _listed(folder)
    return again


def newest(folder: Path) -> Path:
    """The folder of the newest checkpoint.

    Raises:
        CheckpointError: there is none; it says what there is.
    """
    if listed := entries(folder):
        return folder / folder_name(*listed[-1])
    if not folder.is_dir():
        begun = (folder.parent / "config.json").is_file()
        hint = f", so {folder.parent} ended before its first one; `jaxrl-evolve resume` goes on with it"
        raise CheckpointError(
            f"{folder} is not a checkpoint folder: there is no such folder{hint if begun else ''}"
        )
    others = sorted(name for name in os.listdir(folder) if not name.startswith("tmp-"))
    holds = f"only {', '.join(others[:5])}" if others else "nothing finished"
    raise CheckpointError(f"{folder} has no checkpoint of {PROGRAM}: it holds {holds}")


def best(place: Callable[[int], Path], steps: Iterable[int], name: str) -> int | None:
    """The step whose record has the largest number of a name (the later of equals); None if none has one.

    Args:
        place: the folder of a step's checkpoint; raises CheckpointError if there is none.
        steps: to choose from, in rising order.
        name: in the record.
    """
    found, most = None, -math.inf
    for step in steps:
        try:
            value = read(place(step)).record.get(name)
        except CheckpointError:
            continue
        if isinstance(value, (int, float)) and value >= most:
            found, most = step, value
    return found


def settled(find: Callable[[], Path], look: Callable[[Path], _T]) -> _T:
    """What ``look`` makes of a checkpoint that is still there when it has been read.

    A process that trains into the folder may delete it meanwhile. What is missing then is no damage: the checkpoint is
    looked for anew, and whoever wants the newest finds another.

    Args:
        find: the folder of the checkpoint, as it is at that time.
        look: what to do with it.

    Raises:
        CheckpointError: of ``find``, or of ``look`` for a checkpoint that is there, or there is none for long enough.
    """
    for _ in range(_READINGS):
        path = find()
        before = _state(path)
        try:
            found = look(path)
        except CheckpointError:
            if before is not None and _state(path) == before:
                raise
        else:
            if before is not None and _state(path) == before:
                return found
    raise CheckpointError(f"the checkpoints in {path.parent} are deleted faster than they can be read")


def _state(path: Path) -> tuple[int, ...] | None:
    """What differs once a checkpoint's folder was deleted, or another has taken its name; None if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns


def publish(work: Path, folder: Path, step: int) -> None:
    """Make a finished folder the checkpoint of a step.

    It gets a name of its own each time: an existing checkpoint of this step stays valid until this one is.
    """
    sync_folder(work)
    taken = [revision for s, revision in entries(folder) if s == step]
    os.rename(work, folder / folder_name(step, max(taken, default=-1) + 1))
    sync_folder(folder)


def remove(folder: Path, step: int, revision: int) -> None:
    """Delete a checkpoint: first out of the list, so that no half-deleted one is listed.

    Raises:
        OSError: it cannot be deleted; it may be out of the list all the same.
    """
    doomed = folder / folder_name(step, revision)
    hidden = folder / f"tmp-deleted-{doomed.name}-{time.time_ns()}"
    os.rename(doomed, hidden)
    shutil.rmtree(hidden)


def workplace(folder: Path, step: int) -> Path:
    """The folder that a checkpoint is written in before it is one."""
    return folder / f"tmp-step_{step:09d}"


def make_workplace(folder: Path, step: int) -> None:
    """Make an empty `workplace`, and delete what earlier writers left as far as that is possible.

    Raises:
        OSError: it cannot be made.
    """
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        sync_folder(folder.parent)
    work = workplace(folder, step)
    for leftover in folder.glob("tmp-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    if work.is_dir():  # network file systems keep a file that some process has open
        os.rename(work, work.with_name(f"tmp-left-{time.time_ns()}"))
    work.mkdir()


def _listed(folder: Path) -> list[tuple[int, int]]:
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    matches = (_FOLDER.fullmatch(name) for name in names)
    return sorted((int(match[1]), int(match[2] or 0)) for match in matches if match)


def forget_after(folder: Path, step: int) -> None:
    """Delete the checkpoints of later steps, the newest first."""
    for later, revision in reversed(entries(folder)):
        if later > step:
            remove(folder, later, revision)


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to disk: without it a file may be there after a crash, and its name not."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
