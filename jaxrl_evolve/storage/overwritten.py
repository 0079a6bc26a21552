"""A run that is overwritten lies aside in its folder, and comes back if the new one fails before it has written anything."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from jaxrl_evolve.storage.unwritten import ASIDE, is_unwritten

_kept: list[
    Path
] = []  # folders that this process took, in which something may lie aside, the outermost first


def put_aside(path: Path, entries: Sequence[str]) -> None:
    """Move what an earlier run left out of the way of a new one.

    What lies aside already stays if nothing was written since, as after a kill: it is what is worth keeping.

    Args:
        path: the folder, locked.
        entries: the names of what is in it, in the order in which it is moved.
    """
    aside = path / ASIDE
    if aside.exists() and is_unwritten(path):
        for name in entries:
            _delete(path / name)
        return
    _delete(aside)
    aside.mkdir(exist_ok=True)
    try:
        for name in entries:
            os.rename(path / name, aside / name)
    except OSError:
        with contextlib.suppress(OSError):
            _put_back(path)
        raise


@contextlib.contextmanager
def overwritten(path: Path) -> Iterator[None]:
    """Delete what lies aside in a folder once the block has written something, or put it back if it fails before.

    Args:
        path: the folder, locked; it is emptied by the time that a block has failed which wrote nothing.
    """
    _kept.append(path)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            if all(name.startswith(".") for name in os.listdir(path)):
                _put_back(path)
            elif not is_unwritten(path):  # else it was cut by a signal and is to be resumed: neither is lost
                _delete(path / ASIDE)
        raise
    else:
        _delete(path / ASIDE)
    finally:
        if path in _kept:
            _kept.remove(path)


def has_written() -> None:
    """Delete what lies aside, as the run has written a row: what it overwrites itself, and what the sweep around it does."""
    while _kept:
        _delete(_kept.pop() / ASIDE)


def _put_back(path: Path) -> None:
    aside = path / ASIDE
    if aside.exists():
        for name in os.listdir(aside):
            os.rename(aside / name, path / name)
        aside.rmdir()


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
