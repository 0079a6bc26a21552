"""Several processes of one run: joined by `jax.distributed`, and ended together.

Processes meet in collectives, where one that waits for a process that has died would wait for ever, or until
jax's own watch (`HEARTBEAT_SECONDS`) aborts it. So each holds a connection to the first process, from before jax
starts until all have said that their work is done. The operating system closes it however its holder ends, and
whoever sees it close without a farewell ends at once. Nothing that is done at the end is a collective.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import functools
import os
import secrets
import select
import signal
import socket
import sys
import threading
import time

import jax
import numpy as np
from jax.experimental import multihost_utils

HEARTBEAT_SECONDS = 60
"""After so long a silence (a host without power or network) jax ends the other processes."""

JOIN_SECONDS = 30
"""How long processes wait for each other at the start."""

_HELLO_SECONDS = 5.0  # for a process that has connected to say who it is
_LEAVE_SECONDS = 10.0  # for the others to end before the first process, whom jax must not miss
_NEWS_SECONDS = 2.0  # for the news to arrive by the connection too
_TOKEN = b"jaxrl-evolve"  # keeps strangers out who happen to knock at the port
_WELCOME, _FAREWELL, _TAKEN = b"+", b".", b"!"
_LOST = (
    "jaxrl-evolve: another process of this run ended before its work was done, so this one ends too; the last "
    "checkpoint is whole: start all processes again with --resume\n"
)


@dataclasses.dataclass
class _Peer:
    """Another process: of the first one all the others, of these the first one.

    Attributes:
        socket: the connection.
        parted: set when it has said that its work is done.
        gone: set when it has closed the connection.
    """

    socket: socket.socket
    parted: threading.Event = dataclasses.field(default_factory=threading.Event)
    gone: threading.Event = dataclasses.field(default_factory=threading.Event)


_peers: list[_Peer] = []
_parted = threading.Event()
_ending = threading.Lock()


def join(coordinator: str, processes: int, process_id: int, seconds: float = JOIN_SECONDS) -> None:
    """Become one of several processes; returns when all are there.

    Args:
        coordinator: ``host:port`` of the first process, or ``"auto"`` where the cluster tells.
        processes: how many there are (not with ``"auto"``).
        process_id: this one's number, from 0 (not with ``"auto"``).
        seconds: how long to wait for the others.

    Raises:
        ValueError: the address or the numbers don't fit, or this machine's name has no address.
        OSError: not all processes have come in time, or the port can't be used.
    """
    initialize = functools.partial(
        jax.distributed.initialize,
        initialization_timeout=max(1, int(seconds)),
        heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
    )
    # It would take SIGTERM for itself, and nobody here asks it whether one came.
    jax.config.update("jax_enable_preemption_service", False)
    if coordinator == "auto":
        _check_own_name()
        initialize()
        if jax.process_count() > 1:
            _meet_by_broadcast(seconds)
        return
    host, _, port = coordinator.rpartition(":")
    if not (host and port.isdigit() and int(port) < 2**16):
        raise ValueError(f"coordinator is {coordinator!r}; it must be host:port of process 0, or auto")
    if processes < 1 or not 0 <= process_id < processes:
        raise ValueError(
            f"processes is {processes} and process_id {process_id}; with a coordinator there is at least 1 "
            "process, and ids run from 0"
        )
    _check_own_name()
    if processes > 1:
        address = (host.strip("[]"), int(port))
        _meet(_listener(address[1]) if process_id == 0 else address, _TOKEN, processes, process_id, seconds)
    initialize(coordinator, processes, process_id)


def part() -> None:
    """Say that this process's work is done, so that its end is not taken for a death. Harmless if alone."""
    _parted.set()
    if not _is_first():
        _say(_FAREWELL)


def await_end() -> None:
    """After an error that the loss of another process may be the cause of: time for `_watch` to notice that."""
    if _peers and not _parted.is_set():
        time.sleep(_NEWS_SECONDS)


def leave(code: int) -> int:
    """The exit code to end with; of several processes, ends this one, when all are done or one has failed.

    Python's usual end would have jax wait for the others in a barrier, where a failure is not noticed.
    """
    if not _peers:
        return code
    if _parted.is_set():
        for peer in _peers:
            while not (peer.parted.wait(0.1) or peer.gone.is_set()):
                pass
        if _is_first():
            _say(_FAREWELL)
            until = time.monotonic() + _LEAVE_SECONDS
            for peer in _peers:
                peer.gone.wait(max(0.0, until - time.monotonic()))
        elif not _peers[0].parted.is_set():
            _end()  # the first one, who writes, has died over it
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _is_first() -> bool:
    return bool(_peers) and jax.process_index() == 0


def _say(word: bytes) -> None:
    for peer in _peers:
        with contextlib.suppress(OSError):  # that one is gone
            peer.socket.sendall(word)


def _check_own_name() -> None:
    """Refuse a machine whose name has no address: Gloo, by which processors meet, aborts there."""
    name = socket.gethostname()
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        raise ValueError(
            f"this machine is called {name!r}, which has no address, and several processes find each other by it; "
            "give it one, for instance in /etc/hosts"
        ) from None


def _meet_by_broadcast(seconds: float) -> None:
    """Meet where jax knows the first process's address, and which port is free there is told by a collective."""
    from jax._src import distributed  # there is no public question for what the cluster told it

    own = _listener(0)
    words = np.frombuffer(secrets.token_bytes(len(_TOKEN)), np.int32)
    told = np.asarray(multihost_utils.broadcast_one_to_all(np.append(words, np.int32(own.getsockname()[1]))))
    token, index = told[:-1].astype(np.int32).tobytes(), jax.process_index()
    if index:
        own.close()
    host = (distributed.global_state.coordinator_address or "").rpartition(":")[0].strip("[]")
    _meet((host, int(told[-1])) if index else own, token, jax.process_count(), index, seconds)


def _listener(port: int) -> socket.socket:
    try:
        if socket.has_dualstack_ipv6():
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        return socket.create_server(("", port))
    except OSError as error:
        raise OSError(f"the first process cannot listen at port {port}: {error.strerror}") from None


def _meet(
    where: socket.socket | tuple[str, int], token: bytes, count: int, index: int, seconds: float
) -> None:
    """Connect every process with the first one, and watch the connections.

    Args:
        where: the first process's listener, or its address.
        token: what all know.
        count: of processes.
        index: this process's number.
        seconds: how long to wait.
    """
    until = time.monotonic() + seconds
    if isinstance(where, socket.socket):
        connections = _others(where, token, count, until, seconds)
    else:
        connections = [_first(where, token + index.to_bytes(4, "big"), until, seconds)]
    # Python's own handlers run in the main thread only, and not before it returns from a compiled program.
    ctypes.CDLL(None).signal(int(signal.SIGABRT), _on_abort)
    for connection in connections:
        connection.settimeout(None)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        _peers.append(_Peer(connection))
    for peer in _peers:
        threading.Thread(target=_watch, args=(peer,), name="peer", daemon=True).start()


def _others(
    listener: socket.socket, token: bytes, count: int, until: float, seconds: float
) -> list[socket.socket]:
    """The connections of all other processes, who are told when the last one is there."""
    found: dict[int, socket.socket] = {}
    with listener:
        while len(found) < count - 1:
            listener.settimeout(max(0.01, until - time.monotonic()))
            try:
                connection, _ = listener.accept()
                connection.settimeout(_HELLO_SECONDS)
                said = connection.recv(len(token) + 4, socket.MSG_WAITALL)
            except OSError:
                if time.monotonic() < until:
                    continue
                missing = ", ".join(str(i) for i in range(1, count) if i not in found)
                raise TimeoutError(
                    f"of {count} processes, those with process_id {missing} did not come within {seconds:g} s"
                ) from None
            number = int.from_bytes(said[len(token) :], "big")
            if said[: len(token)] != token or not 0 < number < count:
                connection.close()
            elif number in found:
                connection.sendall(_TAKEN)
                connection.close()
            else:
                found[number] = connection
    for connection in found.values():
        with contextlib.suppress(OSError):  # its end is noticed by whoever watches
            connection.sendall(_WELCOME)
    return list(found.values())


def _first(address: tuple[str, int], hello: bytes, until: float, seconds: float) -> socket.socket:
    """The connection to the first process, when all are there."""
    reason: object = "no answer"
    while time.monotonic() < until:
        try:
            connection = socket.create_connection(address, max(0.1, until - time.monotonic()))
            connection.settimeout(seconds + _HELLO_SECONDS)  # it may have begun to wait later
            connection.sendall(hello)
            answer = connection.recv(1)
        except OSError as error:
            reason = error.strerror or error
        else:
            if answer == _WELCOME:
                return connection
            connection.close()
            if answer == _TAKEN:
                own = int.from_bytes(hello[-4:], "big")
                raise ValueError(f"process_id is {own}, as another process's already; each needs its own")
            reason = "it ended, or is another program"
        time.sleep(0.1)
    raise TimeoutError(
        f"the first process did not answer at {address[0]}:{address[1]} within {seconds:g} s ({reason})"
    )


def _watch(peer: _Peer) -> None:
    try:
        while peer.socket.recv(1) == _FAREWELL:
            peer.parted.set()
    except OSError:
        pass
    if not (peer.parted.is_set() or _parted.is_set()):
        _end()
    peer.gone.set()


def _end() -> None:
    _ending.acquire()  # for good: whoever notices first says it
    try:
        os.write(2, _LOST.encode())
    finally:  # also if nobody reads what is said
        os._exit(1)


@ctypes.CFUNCTYPE(None, ctypes.c_int)
def _on_abort(_: int) -> None:
    """jax aborts when the first process is gone, and may be quicker than `_watch`; if that was why, end likewise."""
    if _parted.is_set() or not _peers:
        return
    for connection in select.select([peer.socket for peer in _peers], [], [], _NEWS_SECONDS)[0]:
        with contextlib.suppress(OSError):
            if connection.recv(1, socket.MSG_PEEK) == _FAREWELL:
                continue
        _end()
