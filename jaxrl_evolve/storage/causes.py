"""Why something could not be written, in one sentence, whatever stands between the operating system and us."""

from __future__ import annotations

import contextlib
import errno
import functools
import logging
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

_TOLD_AS_TEXT = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ESTALE, errno.EACCES)
_LATE = ("Event loop is closed", "sys.meta_path is None, Python is likely shutting down")


def system_cause(error: BaseException) -> BaseException:
    """The operating system's error that another comes from, without its way through other programs; or that other."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno is not None:
            return OSError(seen.errno, seen.strerror, seen.filename)
        for number in _TOLD_AS_TEXT:
            if os.strerror(number) in str(seen):
                return OSError(number, os.strerror(number))
        seen = seen.__cause__ or seen.__context__
    return error


def brief(error: BaseException) -> str:
    """An error in one line; those of storage can run to pages."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error).partition("\n")[0][:200] or type(error).__name__


class _Quiet(logging.Filter):
    """Lets nothing through that orbax says of an error while that is sure to be raised, too."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = 0
        self.lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        return not (self.blocks and f"{os.sep}orbax{os.sep}" in record.pathname)


_QUIET = _Quiet()


@contextlib.contextmanager
def without_traces() -> Iterator[None]:
    """Keep orbax from printing the traceback of each of its threads; errors of the block are raised as ever."""
    with _QUIET.lock:
        _ignore_late_writes()
        _QUIET.blocks += 1
    try:
        yield
    finally:
        with _QUIET.lock:
            _QUIET.blocks -= 1


@functools.cache
def _ignore_late_writes() -> None:
    """After the first of many writes has failed, orbax does not wait for the others, and each would print a traceback of
    its own that nobody hears it any more, at any later time.
    """
    logging.getLogger("absl").addFilter(_QUIET)
    usual = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if unraisable.object is not None or str(unraisable.exc_value) not in _LATE:
            usual(unraisable)

    sys.unraisablehook = hook
