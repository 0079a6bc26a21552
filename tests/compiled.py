"""How much jax traces and compiles, and functions as one program."""

import contextlib
from collections import Counter
from functools import wraps

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


def program(function, *static):
    """``function`` as one program whose results come to the host, as NumPy.

    Outside of a program each operation on arrays is one of its own for every shape, and compiling fifty small ones takes ten
    times as long as compiling the one that does it all.

    Args:
        function: of arrays and of what is static.
        static: names of arguments that are part of the program, such as configurations and lengths.
    """
    compiled = jax.jit(function, static_argnames=static)
    return wraps(function)(lambda *args, **kwargs: jax.device_get(compiled(*args, **kwargs)))
