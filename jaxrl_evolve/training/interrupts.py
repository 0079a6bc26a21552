"""Why work stops before its end: Ctrl-C and SIGTERM, a flag that the host reads between chunks, and divergence.

Python runs its own handlers in the main thread, and not before a compiled program returns there: that may take long. So a
process of the command's own has a thread that hears of signals at once, and ends the process where nobody heeds them.

Light to import: it comes before everything that takes long.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, Self

EXIT_CODES = {"SIGINT": 130, "SIGTERM": 143}
"""What a process ends with after a signal, by its name: what a shell makes of one that died of it."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR = b"\x1b[?25h"  # which a progress bar hides

_owned = False  # whether this process is the command's own
_heeding: list[Interrupts] = []  # those entered, the innermost last
_folders: list[str] = []  # that can be resumed, the outermost first: that of a sweep before that of its run
_late: list[list[str]] = []  # of each `part_of_more` entered, the signals that its runs got


class Interrupted(Exception):
    """Work stopped at a signal, with its state saved.

    Attributes:
        signal: its name.
    """

    def __init__(self, signal: str, message: str) -> None:
        super().__init__(message)
        self.signal = signal


class Diverged(Exception):
    """Every run's loss stopped being finite; the last good state is saved."""


def interruption(signal: str, where: str, out: str | os.PathLike[str] | None) -> Interrupted:
    """What to raise at a signal: where the work stopped and how it goes on.

    Args:
        signal: its name.
        where: as in ``"after 64 of 640 steps"``.
        out: folder to resume; None if nothing was saved.
    """
    how = "nothing was saved" if out is None else _continue(out)
    return Interrupted(signal, f"{signal} {where}; {how}")


@contextlib.contextmanager
def resumable(out: str | os.PathLike[str]) -> Iterator[None]:
    """While entered, a message of a process that ends at once says that this folder can be resumed."""
    _folders.append(os.fspath(out))
    try:
        yield
    finally:
        _folders.pop()


@contextlib.contextmanager
def part_of_more(during: str, after: str, out: str | os.PathLike[str] | None = None) -> Iterator[None]:
    """While entered, one of several runs is made that are one piece of work, which a signal to the run ends as a whole.

    A run that gets a signal in its last stretch comes to its end. Then what would follow is not begun. Of several processes all
    make the same calls.

    Args:
        during: where the work stops if the run does, as in ``"in shape_001, 2 of 3"``.
        after: where it stops if the run is over, as in ``"after shape_001, 2 of 3"``; empty where nothing follows.
        out: folder to resume; None where the same command goes on.

    Raises:
        Interrupted: the run did, or got a signal.
    """
    how = "the same command goes on" if out is None else _continue(out)
    _late.append(signals := [])
    try:
        with contextlib.nullcontext() if out is None else resumable(out):
            yield
    except Interrupted as error:
        raise Interrupted(error.signal, f"{error.signal} {during}; {how}") from None
    finally:
        _late.pop()
    if after and (name := agreed(signals[0] if signals else None)):
        raise Interrupted(name, f"{name} {after}; {how}")


class Interrupts:
    """While entered, the first SIGINT or SIGTERM sets `requested`; the second ends.

    In a process of the command's own (`own_process`) it ends that at once. Elsewhere a second SIGINT raises
    KeyboardInterrupt and a second SIGTERM SystemExit, in the main thread and so not before a compiled program
    returns. A first signal during a compiled program is noticed when that returns. Outside the main thread, where
    Python allows no handlers, this does nothing. Handlers are restored on exit.

    Attributes:
        requested: the name of the signal that came (``"SIGINT"``, ``"SIGTERM"``), or None.
    """

    def __init__(self) -> None:
        self.requested: str | None = None
        self._heeded = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self.requested, self._heeded = None, False
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._handle) for number in _SIGNALS}
            _heeding.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self in _heeding:
            _heeding.remove(self)
        for number, handler in self._previous.items():
            # None stands for a handler that was not installed from Python and cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._previous = {}
        if self.requested is not None and _late:
            _late[-1].append(self.requested)

    def heed(self) -> bool:
        """Whether a signal is the first: to be asked once for each."""
        first, self._heeded = not self._heeded, True
        return first

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested is None:
            self.requested = signal.Signals(number).name
        elif not _owned:
            if number == signal.SIGTERM:
                raise SystemExit(EXIT_CODES["SIGTERM"])
            raise KeyboardInterrupt(_sentence("SIGINT", True))


def own_process() -> None:
    """Make this process one that signals end: at once, with one sentence and the signal's exit code.

    But for the first signal while an `Interrupts` is entered. For a command, not for a library: it holds until the
    process ends. Outside the main thread, or a second time, it does nothing.
    """
    global _owned
    if _owned or threading.current_thread() is not threading.main_thread():
        return
    _owned = True
    take_signals_back()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reader,), name="signals", daemon=True).start()


def take_signals_back() -> None:
    """In a process of the command's own, handle signals again after other code took them, as joining processes does."""
    if _owned:
        for number in _SIGNALS:
            signal.signal(number, _leave_to_watch)


def agreed(name: str | None) -> str | None:
    """The signal that any process got: all must stop at the same update, or the rest would wait for ever."""
    import jax

    if jax.process_count() == 1:
        return name
    import numpy as np
    from jax.experimental import multihost_utils

    got = int(signal.Signals[name]) if name else 0
    highest = int(multihost_utils.process_allgather(np.asarray(got)).max())
    return signal.Signals(highest).name if highest else None


def _leave_to_watch(number: int, frame: FrameType | None) -> None:
    """A handler in place of Python's, which would end the process with a traceback or without a word."""


def _watch(reader: int) -> None:
    """Read the numbers of signals, which the operating system's handler writes whatever the main thread does."""
    while numbers := os.read(reader, 64):
        for number in numbers:
            if number not in _SIGNALS:
                continue
            heeding = _heeding[-1:]
            if not (heeding and heeding[0].heed()):
                _end(signal.Signals(number).name, bool(heeding))


def _end(name: str, again: bool) -> None:
    try:
        shown = _SHOW_CURSOR + b"\n" if os.isatty(2) else b""
        os.write(2, shown + f"jaxrl-evolve: {_sentence(name, again)}\n".encode())
    finally:  # also if nobody reads what is said
        os._exit(EXIT_CODES[name])


def _sentence(name: str, again: bool) -> str:
    how = f"; {_continue(_folders[0])}" if _folders else ""
    return f"{name}{' again' if again else ''}: ended at once{how}"


def _continue(out: str | os.PathLike[str]) -> str:
    return f"continue with: jaxrl-evolve resume {os.fspath(out)}"
