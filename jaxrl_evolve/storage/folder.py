"""The run folder: which files a run leaves, who may write there, and where its numbers come from."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import math
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import jax
import numpy as np

from jaxrl_evolve.settings.nested import written_fields

try:
    import fcntl
except ImportError:  # no advisory locks on this system: a run folder then goes unlocked
    fcntl = None

_LOCK = ".lock"
_RUN, _SWEEP = "config.json", "sweep.json"  # a folder without its one of these is none of ours
_FILES = (
    *(_RUN, _SWEEP, "metrics.jsonl", "metrics.csv", "points.json", "result.json", "sweep.csv", "sweep.md"),
    *("objective.npz", "meta_test.csv", "meta_test.md", "improvement.csv", "tuning.csv"),
)
_FOLDERS = re.compile(r"checkpoints|results|tensorboard|wandb|(shape|point)_\d{3,}|seed_\d+")
_FIGURES = (".png", ".pdf", ".svg", ".gif")
_DISTRIBUTIONS = ("jax", "jaxlib", "flax", "optax", "gymnax", "brax", "orbax-checkpoint", "jaxrl-evolve")


class FolderError(ValueError):
    """A run folder cannot be made, read or written; the message names what is wrong."""


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
        return self.path / "config.json"

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
        return self.path / _SWEEP


def create(
    out: str | os.PathLike[str], *, overwrite: bool = False, resume: bool = False, sweep: bool = False
) -> RunFolder:
    """A folder for a new run, or with ``resume`` that of a run to be continued.

    ``overwrite`` deletes what an earlier run left, and refuses if anything else lies there. ``resume``
    takes up a folder with a ``config.json``, and makes a new one where there is none. A run never takes
    the folder of a sweep, nor a sweep (``sweep.json``) that of a run.

    Raises:
        FolderError: the folder is not empty and neither was asked for (or both), it does not look like a
            run's, another process trains there, or it cannot be written.
    """
    if overwrite and resume:
        raise FolderError(
            "overwrite and resume exclude each other: one deletes the run, the other continues it"
        )
    path, kind, mark = Path(out), *_kind(sweep)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path, prefix=".", suffix=".tmp"):
            pass
        entries = sorted(name for name in os.listdir(path) if not _ignored(name))
    except OSError as error:
        raise FolderError(f"cannot write to output folder {path}: {error.strerror}") from None
    if not entries:
        return RunFolder(path)
    if resume:
        return existing(path, sweep=sweep)
    if not overwrite:
        raise FolderError(
            f"output folder {path} is not empty: continue its {kind} with --resume or delete it with --overwrite"
        )
    foreign = [name for name in entries if not _belongs(path / name)]
    if foreign or mark not in entries:
        what = f"it holds {', '.join(foreign[:3])}" if foreign else f"it has no {mark}"
        raise FolderError(f"will not overwrite {path}: it does not look like a {kind} folder ({what})")
    with Lock(RunFolder(path)):
        # The mark goes last: a deletion that was cut short can be taken up again.
        for name in sorted(entries, key=lambda name: name == mark):
            target = path / name
            shutil.rmtree(target) if target.is_dir() and not target.is_symlink() else target.unlink()
    return RunFolder(path)


def existing(path: str | os.PathLike[str], *, sweep: bool = False) -> RunFolder:
    """The folder of an earlier run, or of an earlier sweep.

    Raises:
        FolderError: there is none, or its ``config.json`` (``sweep.json``) is missing or not a JSON object.
    """
    folder, kind, mark = RunFolder(Path(path)), *_kind(sweep)
    if not folder.path.is_dir():
        raise FolderError(f"there is no {kind} folder {folder.path}")
    if not (folder.path / mark).is_file():
        raise FolderError(f"{folder.path} is not a {kind} folder: it has no {mark}")
    read_json(folder.path / mark)
    return folder


def _kind(sweep: bool) -> tuple[str, str]:
    return ("sweep", _SWEEP) if sweep else ("run", _RUN)


class Lock:
    """Held by the one process that trains into a folder.

    The operating system releases the lock when its holder ends, however it ends, so a lock file left by
    a killed process binds nobody.

    Raises:
        FolderError: on entry, another process holds it (its process id is named).
    """

    def __init__(self, folder: RunFolder) -> None:
        self._path = folder.path / _LOCK
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        if fcntl is None:
            return self
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise FolderError(
                f"cannot write to output folder {self._path.parent}: {error.strerror}"
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise FolderError(f"another process ({holder}) is training into {self._path.parent}") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def plain(value: Any) -> Any:
    """``value`` as strict JSON data: arrays as lists, NaN and infinities as None, paths as strings.

    float32 (and narrower) numbers become the shortest decimal that reads back as the same number.

    Raises:
        TypeError: something in it has no JSON form.
    """
    if value is None or isinstance(value, (bool, str, int)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in written_fields(value)}
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
    path = Path(path)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise FolderError(f"cannot write {path}: {error.strerror}") from None


def read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The JSON object in ``path``.

    Raises:
        FolderError: the file is missing, unreadable, or not a JSON object.
    """
    try:
        value = json.loads(Path(path).read_bytes())
    except FileNotFoundError:
        raise FolderError(f"there is no file {path}") from None
    except OSError as error:
        raise FolderError(f"cannot read {path}: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise FolderError(f"{path} is not valid JSON: {error.msg} in line {error.lineno}") from None
    except UnicodeDecodeError:
        raise FolderError(f"{path} is not valid JSON: it is not UTF-8 text") from None
    if not isinstance(value, dict):
        raise FolderError(f"{path} holds a {type(value).__name__}, but must hold a JSON object")
    return value


def provenance() -> dict[str, Any]:
    """What a result depends on beside its config: device, versions, source, precision.

    Returns:
        ``device`` (platform, kind, count, processes, cpu_cores), ``versions`` (None where a package is
        not installed), ``git`` (commit, dirty; None where the library does not run from a checkout), and
        ``matmul_precision`` (None is jax's default). No host or user names.
    """
    device = jax.devices()[0]
    precision = jax.config.jax_default_matmul_precision  # pyright: ignore[reportAttributeAccessIssue]
    return {
        "device": {
            "platform": device.platform,
            "kind": device.device_kind,
            "count": jax.device_count(),
            "processes": jax.process_count(),
            "cpu_cores": os.cpu_count(),
        },
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in _DISTRIBUTIONS},
        "git": _git_state(Path(__file__)),
        "matmul_precision": precision,
    }


def _belongs(path: Path) -> bool:
    if path.is_dir() and not path.is_symlink():
        return _FOLDERS.fullmatch(path.name) is not None
    return path.name in _FILES or path.suffix in _FIGURES


def _ignored(name: str) -> bool:
    return name == _LOCK or (name.startswith(".") and name.endswith(".tmp"))  # left by a killed process


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git_state(source: Path) -> dict[str, Any] | None:
    def git(*arguments: str) -> str | None:
        command = ["git", "-C", str(source.parent), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    # An installed copy may lie inside somebody else's repository: only a tracked source file counts.
    if git("ls-files", "--error-unmatch", source.name) is None:
        return None
    commit, changes = git("rev-parse", "HEAD"), git("status", "--porcelain", "--untracked-files=no")
    return None if commit is None or changes is None else {"commit": commit, "dirty": bool(changes)}
