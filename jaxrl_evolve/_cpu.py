"""Flags of XLA:CPU, set before a backend can start: one against a hang, one for speed.

A batched LAPACK call (a vmapped QR, as in orthogonal initialisation) occupies a worker of XLA's thread
pool and waits there for other workers of that pool. When as many of them start at once as there are
workers, the process stops for ever at 0 % CPU (seen with jaxlib 0.10.2 and 0.11.2). This library's own
initialiser makes no such call (`jaxrl_evolve.networks.orthogonal`); networks of other origin may. XLA's
concurrency-optimised scheduler brings those calls together, so it is turned off: training then takes
the same processor time, and the hang becomes rare, though not impossible.

XLA generates code for 256-bit vectors also where the processor has 512-bit ones, because the first
processors that had them slowed down for it. Those since Ice Lake and Zen 4 do not, and small networks
train faster with them.

XLA reads ``XLA_FLAGS`` once, when the first backend starts, and aborts the process on a flag it does
not know: hence the version bounds and the care about order.
"""

from __future__ import annotations

import os
import sys
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

FLAG = "--xla_cpu_enable_concurrency_optimized_scheduler"
WIDTH = "--xla_cpu_prefer_vector_width"
KNOWN_FROM, KNOWN_BELOW = (0, 10), (0, 13)  # jaxlib versions seen to accept the flags: 0.10.0 to 0.12.0.1


def set_xla_flags() -> None:
    """Append to ``XLA_FLAGS`` what the user did not set, unless this jaxlib may not know it.

    Warns once if a backend is already running with the dangerous scheduler, for then it is too late.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    chosen = {FLAG: "false"} | ({WIDTH: "512"} if _has_fast_wide_vectors() else {})
    missing = {name: value for name, value in chosen.items() if name not in flags}
    if not missing or not _jaxlib_knows_flags():
        return
    if _backend_is_running():
        if FLAG in missing:
            warnings.warn(
                "jax had already started its backend when jaxrl_evolve was imported, so programs with vmapped "
                f"QR decompositions may hang on CPU; import jaxrl_evolve first, or set XLA_FLAGS={FLAG}=false",
                RuntimeWarning,
                stacklevel=3,
            )
        return
    os.environ["XLA_FLAGS"] = " ".join([*flags.split(), *(f"{k}={v}" for k, v in missing.items())])


def _has_fast_wide_vectors(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor is known to run 512-bit vectors at full speed, as those with VBMI2 do."""
    try:
        return "avx512_vbmi2" in cpuinfo.read_text()
    except OSError:
        return False


def _jaxlib_knows_flags() -> bool:
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
