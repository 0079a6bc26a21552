"""Settings of jax that must come before its first use."""

from __future__ import annotations

from jaxrl_evolve.command.arguments import Devices
from jaxrl_evolve.training.interrupts import take_signals_back


def start(devices: Devices, shared: bool = False) -> None:
    """Use all cores, join the other processes, and keep compiled programs.

    Args:
        devices: what the command was told.
        shared: whether it shares its work among processes. Where it does not, each would do the whole, and all would
            write the same files.

    Raises:
        ValueError: the numbers of the processes don't fit, or are there without a coordinator, or there is nothing that they
            could share.
    """
    if not devices.coordinator:
        _check_alone(devices)
    elif not shared:
        raise ValueError(
            f"coordinator is {devices.coordinator!r}, but what this command does is not shared among processes: leave it out"
        )
    from jaxrl_evolve._cpu import use_all_cores
    from jaxrl_evolve.compilation import use_compilation_cache

    use_all_cores()
    if devices.coordinator:
        from jaxrl_evolve.training import hosts

        hosts.join(devices.coordinator, devices.processes, devices.process_id, devices.join_seconds)
        take_signals_back()
    if devices.cache != "off":
        use_compilation_cache(devices.cache or None)


def _check_alone(devices: Devices) -> None:
    """Refuse what only several processes read: without a coordinator, such as from a variable that is not set, each would do all."""
    usual = Devices()
    for name in ("processes", "process_id", "join_seconds"):
        if (value := getattr(devices, name)) != getattr(usual, name):
            raise ValueError(
                f"{name} is {value}, but there is no coordinator: give its address, or leave {name} out"
            )
