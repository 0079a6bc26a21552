"""Contexts of MLIR that serve many programs.

jax makes one for every program and loads all dialects into it, a fifth of the work of compiling a small program. The tests
compile ten thousand, most of them small.
"""

from __future__ import annotations

import threading
from typing import Any

from jax._src.interpreters import mlir

PROGRAMS = 50
"""That one context serves: what they hold, such as constants, is only freed with it."""


class _Kept(threading.local):
    context: Any = None
    programs = PROGRAMS


def share_contexts() -> None:
    """Let programs of a thread share their context. A jax that makes them elsewhere goes on as it does."""
    make, kept = getattr(mlir, "make_ir_context", None), _Kept()
    if make is None:
        return

    def shared() -> Any:
        if kept.programs == PROGRAMS:
            kept.context, kept.programs = make(), 0
        kept.programs += 1
        return kept.context

    mlir.make_ir_context = shared
