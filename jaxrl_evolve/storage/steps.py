"""The folders of checkpoints: ``step_<step>``, or ``step_<step>.<revision>`` where a step was saved again.

What is listed is whole: a checkpoint comes into being, and goes, by one rename.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

_FOLDER = re.compile(r"step_(\d{9,})(?:\.(\d+))?")


def folder_name(step: int, revision: int) -> str:
    """The name of a checkpoint's folder."""
    return f"step_{step:09d}" + (f".{revision}" if revision else "")


def entries(folder: Path) -> list[tuple[int, int]]:
    """(step, revision) of every checkpoint in a folder, sorted."""
    if not folder.is_dir():
        return []
    matches = (_FOLDER.fullmatch(name) for name in os.listdir(folder))
    return sorted((int(match[1]), int(match[2] or 0)) for match in matches if match)


def publish(work: Path, folder: Path, step: int) -> None:
    """Make a finished folder the checkpoint of a step.

    It gets a name of its own each time: an existing checkpoint of this step stays valid until this one is.
    """
    _sync(work)
    taken = [revision for s, revision in entries(folder) if s == step]
    os.rename(work, folder / folder_name(step, max(taken, default=-1) + 1))
    _sync(folder)


def remove(folder: Path, step: int, revision: int) -> None:
    """Delete a checkpoint: first out of the list, so that no half-deleted one is listed."""
    doomed = folder / folder_name(step, revision)
    hidden = folder / f"tmp-deleted-{doomed.name}"
    os.rename(doomed, hidden)
    shutil.rmtree(hidden)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
