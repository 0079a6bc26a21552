"""One HTTP request whose answer is bounded: in time, whatever the server does, in bytes, and to where it was sent."""

from __future__ import annotations

import functools
import importlib
import queue
import threading
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""This machine."""


class Reply(NamedTuple):
    """What a server answered.

    Attributes:
        status: the HTTP status.
        content: bytes of the body; nothing of a redirect's.
        retry_after: seconds that the server asks to wait, 0 if it does not.
    """

    status: int
    content: bytes
    retry_after: float = 0.0


class NoReply(Exception):
    """There is no answer that could be used; the message is a clause without anything of the server's.

    Attributes:
        again: whether a further attempt may help.
        reached: whether the request may have come to the server.
    """

    def __init__(self, message: str, *, again: bool = False, reached: bool = True) -> None:
        super().__init__(message)
        self.again, self.reached = again, reached


def post(url: str, headers: Mapping[str, str], body: bytes, seconds: float, most: int) -> Reply:
    """Send a request.

    Redirects are not followed: the key would go along.

    Args:
        url: where to.
        headers: with it.
        body: JSON.
        seconds: for all of it. It runs in a thread that is left to itself after that, since looking up a name, or a server that
            sends its headers one letter at a time, cannot be interrupted.
        most: bytes that the answer may have.

    Raises:
        NoReply: there is none in time, it is too long, or the server cannot be reached.
        ImportError: httpx is not installed.
    """
    httpx = import_httpx()
    box: queue.SimpleQueue[Reply | BaseException] = queue.SimpleQueue()
    ends = time.monotonic() + seconds

    def work() -> None:
        try:
            box.put(_posted(httpx, url, headers, body, ends, most))
        except BaseException as error:
            box.put(error)

    threading.Thread(target=work, daemon=True, name="jaxrl_evolve-post").start()
    try:
        came = box.get(timeout=max(seconds, 0.0) + 0.01)
    except queue.Empty:
        raise _late(seconds) from None
    if isinstance(came, Reply):
        return came
    if isinstance(came, NoReply):
        raise came
    if isinstance(came, httpx.TimeoutException):
        raise _late(seconds) from None
    if isinstance(came, httpx.HTTPError | httpx.InvalidURL | httpx.StreamError | OSError | ValueError):
        # Their words may have the address and headers in them; the type says enough.
        away = isinstance(came, httpx.ConnectError | httpx.InvalidURL | httpx.UnsupportedProtocol)
        raise NoReply(f"the server cannot be reached ({type(came).__name__})", reached=not away) from None
    raise came


def _late(seconds: float) -> NoReply:
    return NoReply(f"there was no whole answer within {seconds:.3g} s", again=True)


def _posted(httpx: Any, url: str, headers: Mapping[str, str], body: bytes, ends: float, most: int) -> Reply:
    left = max(ends - time.monotonic(), 1e-3)
    verify = _certificates() if urlsplit(url).scheme == "https" else False
    # What is packed could be far more than it seems.
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", **headers}
    # What is for this machine stays on it, whatever proxies there are for others: by one of them the key would go over the network.
    proxies = (urlsplit(url).hostname or "") not in LOOPBACK
    with (
        httpx.Client(timeout=left, follow_redirects=False, verify=verify, trust_env=proxies) as client,
        client.stream("POST", url, headers=headers, content=body) as response,
    ):
        status, wait = response.status_code, _seconds(response.headers.get("retry-after", ""))
        if 300 <= status < 400:
            return Reply(status, b"")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise NoReply("the answer is packed, which was not asked for")
        parts, size = [], 0
        for part in response.iter_raw():
            size += len(part)
            if size > most:
                raise NoReply(f"the answer has more than the {most:,} bytes that are read")
            if time.monotonic() > ends:
                raise NoReply("the answer went on for too long", again=True)
            parts.append(part)
        return Reply(status, b"".join(parts), wait)


def _seconds(text: str) -> float:
    try:
        return min(
            max(float(text), 0.0), 3600.0
        )  # a date, which it may be instead, is left to the usual waiting
    except ValueError:
        return 0.0


@functools.cache
def _certificates() -> Any:
    return import_httpx().create_ssl_context()  # reading them takes long


def import_httpx() -> Any:
    """The module.

    Raises:
        ImportError: it is not installed; the message says how it is.
    """
    try:
        return importlib.import_module("httpx")
    except ImportError:
        raise ImportError(
            "a language model is asked by httpx, which is not installed: pip install 'jaxrl_evolve[llm]'"
        ) from None
