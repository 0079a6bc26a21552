"""Taking the folder of a run or a sweep: new or emptied, locked, and with what it was started with."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax

from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.storage import kinds
from jaxrl_evolve.storage.configurations import HISTORY
from jaxrl_evolve.storage.folder import FolderError, RunFolder, existing, kind_of
from jaxrl_evolve.storage.kinds import Kind, with_kind, without_kind
from jaxrl_evolve.storage.lock import HELD, NAME, Lock
from jaxrl_evolve.storage.overwritten import overwritten, put_aside
from jaxrl_evolve.storage.unwritten import nothing_left

_FIGURES = (".png", ".pdf", ".svg", ".gif", ".mp4")


def claim(
    out: str | os.PathLike[str],
    kind: Kind,
    config: Mapping[str, Any],
    stack: contextlib.ExitStack,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> RunFolder:
    """The run folder, locked until ``stack`` closes; of several processes only the first touches it.

    Args:
        out: the folder.
        kind: of run.
        config: the whole configuration as JSON data, written with the kind where there is none.
        stack: holds the lock.
        resume: as in `create`.
        overwrite: as there.

    Raises:
        ValueError: the folder cannot be used, holds another kind, or its run was started with another configuration.
    """
    if jax.process_index() != 0:
        return RunFolder(Path(out))
    folder = _locked(out, kind, stack, resume=resume, overwrite=overwrite)
    if folder.config.exists():
        _same_config(without_kind(folders.read_json(folder.config)), config, folder)
    else:
        folders.write_json(folder.config, with_kind(kind, config))
    return folder


def claim_sweep(
    out: str | os.PathLike[str],
    kind: Kind,
    plan: Mapping[str, Any] | None,
    stack: contextlib.ExitStack,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> RunFolder:
    """Like `claim`, for the folder of a sweep with its plan; None takes the plan that is there.

    Raises:
        ValueError: the folder cannot be used, or its sweep was started with another plan.
    """
    if jax.process_index() != 0:
        return RunFolder(Path(out))
    folder = _locked(out, kind, stack, resume=resume, overwrite=overwrite)
    if plan is None:
        return folder
    if not folder.sweep.exists():
        folders.write_json(folder.sweep, with_kind(kind, plan))
    elif without_kind(folders.read_json(folder.sweep)) != plan:
        raise ValueError(
            f"the sweep in {folder.path} was started with other settings: resume it unchanged, or sweep into "
            "another folder"
        )
    return folder


def _locked(
    out: str | os.PathLike[str], kind: Kind, stack: contextlib.ExitStack, *, resume: bool, overwrite: bool
) -> RunFolder:
    """The folder as `create` gives it, locked. With a run that fails before it writes, what was new goes again, and what was
    overwritten is there again.
    """
    path = Path(out)
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    folder = create(out, kind, overwrite=overwrite, resume=resume)
    stack.enter_context(Lock(folder))
    # Under the lock: before, what is there may be another process's.
    if overwrite:
        _clear(path, kind)
    stack.enter_context(overwritten(path))
    stack.enter_context(nothing_left(path, made))
    return folder


def create(
    out: str | os.PathLike[str], kind: Kind, *, overwrite: bool = False, resume: bool = False
) -> RunFolder:
    """A folder for a new run or sweep, or with ``resume`` that of one to be continued.

    ``overwrite`` takes one that holds what an earlier run of the same kind left, and nothing else.
    ``resume`` takes up a folder of the same kind, and makes a new one where there is none.

    Raises:
        FolderError: the folder is not empty and neither was asked for (or both), it does not look like one of
            this kind, a file of the run to be continued is a symbolic link, another process trains there, or it
            cannot be written.
    """
    if overwrite and resume:
        raise FolderError(
            "overwrite and resume exclude each other: one deletes the run, the other continues it"
        )
    path = Path(out)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path, prefix=".", suffix=".tmp"):
            pass
        entries = _entries(path)
    except OSError as error:
        raise FolderError(f"cannot write to output folder {path}: {error.strerror}") from None
    if not entries:
        return RunFolder(path)
    if resume:
        _refuse_links(path, kind)
        return existing(path, kind)
    if not overwrite:
        raise FolderError(
            f"output folder {path} is not empty: continue its {kind.word} with --resume or delete it with "
            "--overwrite"
        )
    _check_deletable(path, kind, entries)
    return RunFolder(path)


def _entries(path: Path) -> list[str]:
    return sorted(name for name in os.listdir(path) if not _ignored(name))


def _clear(path: Path, kind: Kind) -> None:
    """Put what an earlier run left aside."""
    if not (entries := _entries(path)):
        return
    _check_deletable(path, kind, entries)
    try:
        # The mark goes last: what was cut short can be taken up again.
        put_aside(path, sorted(entries, key=lambda name: name == kind.mark))
    except OSError as error:
        raise FolderError(f"cannot overwrite {path}: {error.strerror}") from None


def _check_deletable(path: Path, kind: Kind, entries: list[str]) -> None:
    """Refuse to delete what is not the whole of a run or sweep of this kind."""
    try:
        found = kind_of(path)
    except FolderError:  # without a mark, or with a damaged one, it is judged by its files
        found = kind.name
    if found != kind.name:
        what, wanted = kinds.about(found).what, kinds.about(kind.name).what
        raise FolderError(f"will not overwrite {path}: it holds {what}, not {wanted}")
    foreign = [name for name in entries if not _belongs(path / name, kind)]
    if foreign or kind.mark not in entries:
        what = f"it holds {', '.join(foreign[:3])}" if foreign else f"it has no {kind.mark}"
        raise FolderError(f"will not overwrite {path}: it does not look like a {kind.word} folder ({what})")


_APART = ("objective_sha256", HISTORY)  # compared by other words, and no setting


def _same_config(there: Mapping[str, Any], asked: Mapping[str, Any], folder: RunFolder) -> None:
    ours, theirs = dict(_flat(asked)), dict(_flat(there))
    for name in [*ours, *theirs]:  # what says nothing is not written, so either may lack a name
        value, found = ours.get(name), theirs.get(name)
        if found != value and not name.startswith("sinks.") and name not in _APART:
            raise ValueError(
                f"{name} is {value!r}, but the run in {folder.path} was started with {found!r}: resume it "
                "unchanged, or train into another folder"
            )
    if there.get("objective_sha256") != asked.get("objective_sha256"):
        raise ValueError(
            f"objective is {asked['objective']!r}, whose file is not the one that the run in {folder.path} was "
            "started with: resume it unchanged, or train into another folder"
        )


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _refuse_links(path: Path, kind: Kind) -> None:
    """Refuse symbolic links where a run writes: what they point to is not its own. The folder may be one itself."""
    written = [entry for entry in path.iterdir() if _is_file_of(entry, kind) or _is_folder_of(entry, kind)]
    for entry in (*written, *RunFolder(path).checkpoints.glob("*")):
        if entry.is_symlink():
            raise FolderError(
                f"{entry} is a symbolic link, and what a run writes there would overwrite what it points to: put "
                "that in its place"
            )


def _belongs(path: Path, kind: Kind) -> bool:
    if path.is_dir() and not path.is_symlink():
        return _is_folder_of(path, kind)
    return _is_file_of(path, kind)


def _is_folder_of(path: Path, kind: Kind) -> bool:
    return re.fullmatch(kind.folders, path.name) is not None


def _is_file_of(path: Path, kind: Kind) -> bool:
    return path.name in (kind.mark, "result.json", *kind.files) or path.suffix in _FIGURES


def _ignored(name: str) -> bool:
    return name in (NAME, HELD) or (
        name.startswith(".") and name.endswith(".tmp")
    )  # left by a killed process
