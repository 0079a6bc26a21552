"""One process at a time trains into a folder, on file systems with locks and on those without."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
from pathlib import Path
from types import TracebackType
from typing import Self

from jaxrl_evolve.storage.folder import FolderError, RunFolder

try:
    import fcntl
except ImportError:  # no advisory locks on this system: a run folder then goes unlocked
    fcntl = None

NAME, HELD = ".lock", ".lock.held"
_TAKEN = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


class Lock:
    """Held by the one process that trains into a folder.

    The operating system releases the lock when its holder ends, however it ends, so a lock file left by
    a killed process binds nobody. A file system without locks has a file in its stead that only one process can
    make, ``.lock.held``. It says which process of which machine that was: one that ended on this machine binds
    nobody; of one on another machine nothing can be known, and the message says what to delete.

    Raises:
        FolderError: on entry, another process holds it (its process id is named), the lock file is a symbolic
            link, or it cannot be written.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder.path
        self._path, self._held = folder.path / NAME, folder.path / HELD
        self._descriptor: int | None = None
        self._made = False

    def __enter__(self) -> Self:
        if fcntl is None:
            return self
        descriptor = self._open(self._path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            if error.errno in _NO_LOCKS:
                self._make_file()
                return self
            if error.errno not in _TAKEN:
                raise FolderError(f"cannot lock output folder {self._folder}: {error.strerror}") from None
            raise self._taken(holder) from None
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
        if self._made:
            self._made = False
            with contextlib.suppress(OSError):
                self._held.unlink()

    def _taken(self, holder: str) -> FolderError:
        return FolderError(f"another process ({holder}) is training into {self._folder}")

    def _open(self, path: Path, flags: int) -> int:
        try:
            return os.open(path, flags | os.O_NOFOLLOW, 0o644)
        except FileExistsError:
            raise
        except OSError as error:
            why = f"{path.name} is a symbolic link" if error.errno == errno.ELOOP else error.strerror
            raise FolderError(f"cannot write to output folder {self._folder}: {why}") from None

    def _make_file(self) -> None:
        ours = f"{os.getpid()} {platform.node()}\n".encode()
        for _ in range(2):  # once more where the holder is gone
            try:
                descriptor = self._open(self._held, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            except FileExistsError:
                self._put_away()
                continue
            os.write(descriptor, ours)
            os.close(descriptor)
            self._made = True
            return
        raise self._taken("unknown")

    def _put_away(self) -> None:
        """Remove the file of a process that has ended.

        Raises:
            FolderError: it has not, or that can't be known.
        """
        seen = self._read(self._held)
        process, _, machine = seen.strip().partition(" ")
        if not process.isdecimal() or machine != platform.node():
            who = f"process {process} on {machine}" if machine else "another process"
            raise FolderError(
                f"{who} is training into {self._folder}, or was killed there; if it has ended, delete {self._held} "
                "(this file system has no locks, which would tell)"
            )
        if _lives(int(process)):
            raise self._taken(process)
        away = self._held.with_name(f".lock.{os.getpid()}.tmp")
        with contextlib.suppress(FileNotFoundError):
            os.rename(self._held, away)
            if (
                self._read(away) != seen
            ):  # others found the same, and one was faster: the file is its own by now
                os.rename(away, self._held)
                raise self._taken("unknown")
            away.unlink()

    def _read(self, path: Path) -> str:
        try:
            return path.read_bytes()[:300].decode(errors="replace")
        except FileNotFoundError:
            return ""


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True
