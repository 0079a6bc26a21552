"""Several processes of one run: joined by `jax.distributed`, and ended together.

Processes meet in collectives, where one that waits for a process that has died would wait for ever, or until
jax's own watch (`HEARTBEAT_SECONDS`) aborts it. So each holds a connection to the first process. The operating
system closes it however its holder ends, and whoever sees it close without a farewell ends at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import select
import signal
import socket
import sys
import threading

import jax
import numpy as np
from jax.experimental import multihost_utils

HEARTBEAT_SECONDS = 60
"""After so long a silence (a host without power or network) jax ends the other processes."""

_CONNECT_SECONDS = 60.0
_ABORT_SECONDS = 2.0  # for the news to arrive by the connection too
_FAREWELL = b"."
_LOST = (
    "jaxrl-evolve: another process of this run ended before its work was done, so this one ends too; the last "
    "checkpoint is whole: start all processes again with --resume\n"
)
_connections: list[socket.socket] = []  # of this process: to the first one, or from all others
_parted = threading.Event()


def join(coordinator: str, processes: int, process_id: int) -> None:
    """Become one of several processes; returns when all are there.

    Args:
        coordinator: ``host:port`` of the first process, or ``"auto"`` where the cluster tells.
        processes: how many there are (not with ``"auto"``).
        process_id: this one's number, from 0 (not with ``"auto"``).

    Raises:
        ValueError: the numbers don't fit.
    """
    if coordinator == "auto":
        jax.distributed.initialize(heartbeat_timeout_seconds=HEARTBEAT_SECONDS)
    else:
        if processes < 1 or not 0 <= process_id < processes:
            raise ValueError(
                f"processes is {processes} and process_id {process_id}; with a coordinator there is at least 1 "
                "process, and ids run from 0"
            )
        jax.distributed.initialize(
            coordinator, processes, process_id, heartbeat_timeout_seconds=HEARTBEAT_SECONDS
        )
    if jax.process_count() > 1:
        _connect(_host_of_first(coordinator))


def part() -> None:
    """Say that this process's work is done, so that its end is not taken for a death. Harmless if alone."""
    _parted.set()
    for connection in _connections:
        try:
            connection.sendall(_FAREWELL)
        except OSError:  # that one has parted and gone
            continue


def leave(code: int) -> int:
    """The exit code to end with; ends the process at once if others are left behind.

    Python's usual end would wait for them, while they wait for this process in a collective.
    """
    if _connections and not _parted.is_set():
        sys.stdout.flush()
        os._exit(code)
    return code


def _host_of_first(coordinator: str) -> str:
    if coordinator == "auto":
        # jax offers no public question for what the cluster told it.
        from jax._src import distributed

        coordinator = distributed.global_state.coordinator_address or ""
    return coordinator.rpartition(":")[0].strip("[]")


def _connect(host: str) -> None:
    """Connect every process with the first one, and watch the connections."""
    listener = socket.create_server(("", 0), backlog=jax.process_count())
    # The token keeps strangers out who happen to knock at the port.
    own = np.frombuffer(secrets.token_bytes(12), np.int32)
    told = np.asarray(
        multihost_utils.broadcast_one_to_all(np.append(own, np.int32(listener.getsockname()[1])))
    )
    token, port = told[:-1].astype(np.int32).tobytes(), int(told[-1])
    if jax.process_index() == 0:
        listener.settimeout(_CONNECT_SECONDS)
        while len(_connections) < jax.process_count() - 1:
            connection, _ = listener.accept()
            connection.settimeout(_CONNECT_SECONDS)
            if connection.recv(len(token), socket.MSG_WAITALL) == token:
                _connections.append(connection)
    else:
        connection = socket.create_connection((host, port), _CONNECT_SECONDS)
        connection.sendall(token)
        _connections.append(connection)
    listener.close()
    # Python's own handlers run in the main thread only, and not before it returns from a compiled program.
    ctypes.CDLL(None).signal(int(signal.SIGABRT), _on_abort)
    for connection in _connections:
        connection.settimeout(None)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        threading.Thread(target=_watch, args=(connection,), name="peer", daemon=True).start()


def _watch(connection: socket.socket) -> None:
    try:
        farewell = connection.recv(1)
    except OSError:
        farewell = b""
    if farewell != _FAREWELL and not _parted.is_set():
        _end()


def _end() -> None:
    try:
        os.write(2, _LOST.encode())
    finally:  # also if nobody reads what is said
        os._exit(1)


@ctypes.CFUNCTYPE(None, ctypes.c_int)
def _on_abort(number: int) -> None:
    """jax's runtime aborts when the first process is gone, and may be quicker than `_watch`; if that was why, end
    as `_watch` would.
    """
    del number
    if _parted.is_set() or not _connections:
        return
    for connection in select.select(_connections, [], [], _ABORT_SECONDS)[0]:
        with contextlib.suppress(OSError):
            if connection.recv(1, socket.MSG_PEEK) == _FAREWELL:
                continue
        _end()
