"""Several processes of one run on this machine, started and ended."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Iterator

import pytest
from xla import flags


def _has_an_address(name: str) -> bool:
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        return False
    return True


needs_an_address = pytest.mark.skipif(
    not _has_an_address(socket.gethostname()),
    reason=f"several processes cannot meet: this machine is called {socket.gethostname()!r}, which has no address",
)
"""A bare system may not know its own name; what the command says then has a test of its own."""

Process = subprocess.Popen[str]
Start = Callable[..., Process]


def address() -> str:
    """One where nobody listens, for the first process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def starting() -> Iterator[Start]:
    """The body of a fixture, which starts processes of so many devices each; none outlives the test."""
    started: list[Process] = []

    def start(command: list[str], devices: int = 1) -> Process:
        process = subprocess.Popen(
            command,
            env={**os.environ, "XLA_FLAGS": flags(devices)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def ended(process: Process, seconds: float) -> tuple[int, str]:
    """Exit code and output of a process that must end by itself, without what Gloo says when it starts."""
    output, _ = process.communicate(timeout=seconds)
    lines = [line for line in output.splitlines(keepends=True) if not line.startswith("[Gloo]")]
    return process.returncode, "".join(lines)
