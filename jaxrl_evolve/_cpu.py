"""Turn off the XLA:CPU scheduler that deadlocks vmapped training, before a backend can start.

With jaxlib 0.10 to 0.12 a program that scans over many small parallel operations (a training loop
vmapped over seeds is one) can stop for ever at 0 % CPU under XLA's concurrency-optimised scheduler.
XLA reads ``XLA_FLAGS`` once, when the first backend starts, and aborts the process on a flag it does
not know: hence the version bounds and the care about order.
"""

from __future__ import annotations

import os
import sys
import warnings
from importlib.metadata import PackageNotFoundError, version

FLAG = "--xla_cpu_enable_concurrency_optimized_scheduler"
KNOWN_FROM, KNOWN_BELOW = (0, 10), (0, 13)  # jaxlib versions seen to accept the flag: 0.10.0 to 0.12.0.1


def use_safe_scheduler() -> None:
    """Append ``FLAG=false`` to ``XLA_FLAGS`` unless the user set it or this jaxlib may not know it.

    Warns once if a backend is already running without it, for then it is too late.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if FLAG in flags or not _jaxlib_knows_flag():
        return
    if _backend_is_running():
        warnings.warn(
            "jax had already started its backend when jaxrl_evolve was imported, so training vmapped over seeds "
            f"may hang on CPU; import jaxrl_evolve first, or set XLA_FLAGS={FLAG}=false",
            RuntimeWarning,
            stacklevel=3,
        )
        return
    os.environ["XLA_FLAGS"] = f"{flags} {FLAG}=false".strip()


def _jaxlib_knows_flag() -> bool:
    try:
        major, minor = version("jaxlib").split(".")[:2]
        return KNOWN_FROM <= (int(major), int(minor)) < KNOWN_BELOW
    except (PackageNotFoundError, ValueError):
        return False


def _backend_is_running() -> bool:
    # jax offers no public question that does not itself start the backend.
    bridge = sys.modules.get("jax._src.xla_bridge")
    running = getattr(bridge, "backends_are_initialized", None)
    return bool(running and running())
