"""A real HTTP server that speaks chat completions on this machine, and does with each request what a test has for it."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def replies(code, body=b"", **headers):
    """One whole reply."""

    def act(handler):
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body if isinstance(body, bytes) else body.encode())

    return act


def says(content, finish="stop", usage=(100, 50)):
    """A completion with these words."""
    message = {
        "role": "assistant",
        "content": content if isinstance(content, str | list) else json.dumps(content),
    }
    told = {"prompt_tokens": usage[0], "completion_tokens": usage[1]} if usage else None
    return replies(
        200, json.dumps({"choices": [{"message": message, "finish_reason": finish}], "usage": told})
    )


def environments(*specs, **fields):
    """The form that is asked for."""
    return {
        "environments": [
            {"purpose": "", "target": "climb", "parent": None, "spec": spec, **fields} for spec in specs
        ]
    }


def late(seconds):
    """Nothing, for so long."""
    return lambda handler: time.sleep(seconds)


def endless(piece=b"x" * 4096, pause=0.0):
    """A reply without an end."""

    def act(handler):
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(piece)
            time.sleep(pause)

    return act


def dripping(pause):
    """A header that never ends."""

    def act(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while True:
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(pause)

    return act


class Server:
    """Use as a context; what is asked for beyond the script is answered by its last part.

    Attributes:
        url: up to ``/v1``.
        requests: what came: ``(path, headers, data)``.
    """

    def __init__(self, *script):
        self.script, self.requests = list(script), []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                data = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.requests.append((self.path, self.headers, data))
                act = server.script[min(len(server.requests), len(server.script)) - 1]
                with contextlib.suppress(OSError):  # who asked has gone
                    act(self)

            def log_message(self, *args):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads, self._http.block_on_close = True, False
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self):
        threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True
        ).start()
        return self

    def __exit__(self, *error):
        self._http.shutdown()
        self._http.server_close()
