"""How much jax traces and compiles."""

import contextlib
from collections import Counter

import jax

_TRACED, _COMPILED = "/jax/core/compile/jaxpr_trace_duration", "/jax/core/compile/backend_compile_duration"


@contextlib.contextmanager
def counted():
    """Counts, filled while the block runs: functions ``traced``, programs ``compiled`` (or found on disk)."""
    counts = Counter(traced=0, compiled=0)

    def note(event, seconds, **facts):
        counts["traced"] += event == _TRACED
        counts["compiled"] += event == _COMPILED

    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        yield counts
    finally:
        jax.monitoring.unregister_event_duration_listener(note)
