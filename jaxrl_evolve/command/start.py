"""Settings of jax that must come before its first use."""

from __future__ import annotations

from jaxrl_evolve.command.arguments import Devices
from jaxrl_evolve.training.interrupts import take_signals_back

_LONGEST_JOIN = 86_400
"""Seconds to wait for the other processes: those of more than a day are not started together."""


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
    if devices.coordinator and not shared:
        raise ValueError(
            f"coordinator is {devices.coordinator!r}, but what this command does is not shared among processes: leave it out"
        )
    _check(devices)
    from jaxrl_evolve._cpu import use_all_cores
    from jaxrl_evolve.compilation import use_compilation_cache

    use_all_cores()
    if devices.coordinator:
        from jaxrl_evolve.training import hosts

        hosts.join(devices.coordinator, devices.processes, devices.process_id, devices.join_seconds)
        take_signals_back()
    if devices.cache != "off":
        use_compilation_cache(devices.cache or None)


def _check(devices: Devices) -> None:
    """Refuse what only several processes read where there is one, and numbers that the cluster tells.

    Without a coordinator, such as from a variable that is not set, each process would do all.
    """
    usual, numbers = Devices(), ("processes", "process_id")
    unread, why = {
        "": ((*numbers, "join_seconds"), "there is no coordinator: give its address, or leave this out"),
        "auto": (numbers, "with the coordinator 'auto' the cluster tells it: leave it out"),
    }.get(devices.coordinator, ((), ""))
    for name in unread:
        if (value := getattr(devices, name)) != getattr(usual, name):
            raise ValueError(f"{name} is {value}, but {why}")
    if not 0 < devices.join_seconds <= _LONGEST_JOIN:  # nor NaN
        raise ValueError(
            f"join_seconds is {devices.join_seconds:g}; it must be a number above 0, and at most {_LONGEST_JOIN:,} (a day)"
        )
