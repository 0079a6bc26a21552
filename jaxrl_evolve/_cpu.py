"""Keep XLA:CPU from scheduling independent LAPACK calls side by side, before a backend can start.

A batched LAPACK call (a vmapped QR, as in orthogonal initialisation) occupies a worker of XLA's thread
pool and waits there for other workers of that pool. When as many of them start at once as there are
workers, the process stops for ever at 0 % CPU (seen with jaxlib 0.10.2 and 0.11.2). This library's own
initialiser makes no such call (`jaxrl_evolve.orthogonal`); networks of other origin may. XLA's
concurrency-optimised scheduler brings those calls together, so it is turned off: training then takes
the same processor time, and the hang becomes rare, though not impossible.

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
            "jax had already started its backend when jaxrl_evolve was imported, so programs with vmapped QR "
            f"decompositions may hang on CPU; import jaxrl_evolve first, or set XLA_FLAGS={FLAG}=false",
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


def use_all_cores() -> None:
    """Make every core a device of its own, so that runs can be split over them.

    A training run of common size gains little from a second core, two runs on a core each gain all of it.
    The command does this by itself; a program calls it before jax first computes anything. It does nothing
    if a backend is running already, or if the number of CPU devices was chosen in another way.
    """
    import jax

    chosen = jax.config.jax_num_cpu_devices > 0  # pyright: ignore[reportAttributeAccessIssue]
    if chosen or "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        return
    if not _backend_is_running():
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        jax.config.update("jax_num_cpu_devices", cores)
