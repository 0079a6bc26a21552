"""Settings of jax that must come before its first use."""

from __future__ import annotations

from jaxrl_evolve.command.arguments import Devices
from jaxrl_evolve.training.interrupts import take_signals_back


def start(devices: Devices) -> None:
    """Use all cores, join the other processes, and keep compiled programs.

    Raises:
        ValueError: the numbers of the processes don't fit.
    """
    from jaxrl_evolve._cpu import use_all_cores
    from jaxrl_evolve.compilation import use_compilation_cache

    use_all_cores()
    if devices.coordinator:
        from jaxrl_evolve.training import hosts

        hosts.join(devices.coordinator, devices.processes, devices.process_id, devices.join_seconds)
        take_signals_back()
    if devices.cache != "off":
        use_compilation_cache(devices.cache or None)
