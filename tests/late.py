"""Runs that get a signal when nothing of them is left that it could stop."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from jaxrl_evolve.training.interrupts import Interrupts


def late(run: Callable[..., Any]) -> Callable[..., Any]:
    """The same run, which a SIGTERM does not keep from its end."""

    def signalled(*given: Any, **named: Any) -> Any:
        with Interrupts():
            os.kill(os.getpid(), signal.SIGTERM)
            return run(*given, **named)

    return signalled
