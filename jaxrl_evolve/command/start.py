"""Settings of jax that must come before its first use."""

from __future__ import annotations

import os
from pathlib import Path

from jaxrl_evolve.command.arguments import Devices


def start(devices: Devices) -> None:
    """Use all cores, join the other processes, and keep compiled programs.

    Raises:
        ValueError: the numbers of the processes don't fit.
    """
    import jax

    from jaxrl_evolve._cpu import use_all_cores

    use_all_cores()
    if devices.coordinator:
        from jaxrl_evolve.training import hosts

        hosts.join(devices.coordinator, devices.processes, devices.process_id)
    if devices.cache == "off" or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(devices.cache or Path(home) / "jaxrl_evolve" / "compiled")
    # The user's own folder: entries are executable, so it must not be one that others can write.
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
