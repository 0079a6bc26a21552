"""A run that fails before it has written anything leaves nothing behind, so that the next may have its folder."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from jaxrl_evolve.storage import kinds
from jaxrl_evolve.storage.lock import HELD, NAME

ASIDE = ".overwritten.tmp"
"""The folder, in that of a run, of what the run overwrites."""
_OF_THE_START = (kinds.RUN, kinds.SWEEP, "points.json")
_TRACKERS = ("tensorboard", "wandb")


@contextlib.contextmanager
def nothing_left(path: Path, made: Sequence[Path]) -> Iterator[None]:
    """Empty a folder that was empty again if the block fails with no row, checkpoint or result in it.

    Args:
        path: the folder, locked.
        made: folders that were made for it, innermost first, which go with it.
    """
    new = all(name.startswith(".") for name in os.listdir(path))
    try:
        yield
    except BaseException as error:
        # Whoever stops a run by a signal is told to resume it.
        if new and not hasattr(error, "signal"):
            with contextlib.suppress(OSError):
                _empty(path, made)
        raise


def is_unwritten(path: Path) -> bool:
    """Whether a folder has no row, checkpoint or result."""
    return all(_says_nothing(entry) for entry in path.iterdir() if not entry.name.startswith("."))


def _says_nothing(entry: Path) -> bool:
    if entry.is_symlink():
        return False
    if entry.is_dir():
        return entry.name in _TRACKERS or not any(x.is_file() for x in entry.rglob("*"))
    return entry.name in _OF_THE_START or entry.stat().st_size == 0


def _empty(path: Path, made: Sequence[Path]) -> None:
    if not is_unwritten(path):
        return
    # Who comes for the folder while an earlier run is put back into it must find the lock.
    spared = (ASIDE, NAME, HELD) if (path / ASIDE).exists() else ()
    for entry in (entry for entry in path.iterdir() if entry.name not in spared):
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    for folder in made:
        folder.rmdir()
