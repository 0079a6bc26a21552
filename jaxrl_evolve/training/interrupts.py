"""Why work stops before its end: Ctrl-C and SIGTERM, a flag that the host reads between chunks, and divergence."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

import jax
import numpy as np
from jax.experimental import multihost_utils

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


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
    how = "nothing was saved" if out is None else f"continue with: jaxrl-evolve resume {out}"
    return Interrupted(signal, f"{signal} {where}; {how}")


class Interrupts:
    """While entered, the first SIGINT or SIGTERM sets `requested`; the second raises KeyboardInterrupt.

    A signal that arrives during a compiled chunk is noticed when the chunk returns to Python. Outside the
    main thread, where Python allows no handlers, this does nothing. Handlers are restored on exit.

    Attributes:
        requested: the name of the signal that came (``"SIGINT"``, ``"SIGTERM"``), or None.
    """

    def __init__(self) -> None:
        self.requested: str | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self.requested = None
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            # None stands for a handler that was not installed from Python and cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._previous = {}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested is not None:
            raise KeyboardInterrupt
        self.requested = signal.Signals(number).name


def agreed(name: str | None) -> str | None:
    """The signal that any process got: all must stop at the same update, or the rest would wait for ever."""
    if jax.process_count() == 1:
        return name
    got = int(signal.Signals[name]) if name else 0
    highest = int(multihost_utils.process_allgather(np.asarray(got)).max())
    return signal.Signals(highest).name if highest else None
