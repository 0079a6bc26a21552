"""Asking a language model: one request with its few further attempts, within the limits of the ledger."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxrl_evolve.files import Unreadable, parse_json
from jaxrl_evolve.generation.chat_config import ChatConfig, address
from jaxrl_evolve.generation.ledger import Exhausted, Ledger, Usage
from jaxrl_evolve.generation.post import NoReply, Reply, import_httpx, post
from jaxrl_evolve.generation.secret import secret_from
from jaxrl_evolve.generation.texts import cleaned

_UNKNOWN_FORMAT = (400, 415, 422)
_TOLD = 300  # characters of what a server says of an error


class ChatFailure(Exception):
    """There is no answer; the message is a clause that says why, without the key."""


class UnknownFormat(ChatFailure):
    """The server does not take the request, perhaps for want of a way to hold the answer to a schema."""


class Answer(NamedTuple):
    """What a model said.

    Attributes:
        text: its words, without the key.
        whole: whether it came to an end by itself.
        usage: what it took.
    """

    text: str
    whole: bool
    usage: Usage


class Chat:
    """A server that is asked.

    Attributes:
        config: which and how.
        ledger: of what it costs.
        url: where to.
    """

    def __init__(self, config: ChatConfig, ledger: Ledger) -> None:
        """Find the server's address and key.

        Raises:
            ValueError: one is missing; the message names its environment variable.
            ImportError: httpx is not installed.
        """
        self.config, self.ledger = config, ledger
        self.url = address(config)
        self._secret = secret_from(config.key_variable)
        import_httpx()

    def heard(self, text: str) -> str:
        """Words of a server's without the key. All that goes on from here has been through it: answers as they are kept, read and sent
        again, and what is said of errors.
        """
        return self._secret.redacted(text)

    def ask(self, request: Mapping[str, Any]) -> Answer:
        """The answer to a request of chat completions.

        Raises:
            Exhausted: it may not be sent.
            UnknownFormat: the server refuses the request as it is.
            ChatFailure: there is no answer.
        """
        body = json.dumps(request).encode()
        worst = self.ledger.worst(body, len(request["messages"]))
        said, asked_to_wait = "", 0.0
        for attempt in range(self.config.attempts):
            began = time.monotonic()
            if attempt:
                self._wait(attempt, asked_to_wait, said)
            call = self.ledger.send(worst)
            seconds = min(self.config.timeout, self.ledger.seconds_left)
            took = lambda usage, began=began: usage._replace(seconds=time.monotonic() - began)
            try:
                reply = post(self.url, self._secret.headers(), body, seconds, self.config.answer_bytes)
            except NoReply as error:
                self.ledger.settle(call, took(worst if error.reached else Usage()), "no answer")
                if not error.again:
                    raise ChatFailure(str(error)) from None
                said, asked_to_wait = str(error), 0.0
                continue
            if reply.status == 200:
                return self._read(reply, worst, call, took)
            # An error of the server's may come after the work was done.
            self.ledger.settle(
                call, took(worst if reply.status >= 500 else Usage()), f"status {reply.status}"
            )
            said, asked_to_wait = self._refused(reply), reply.retry_after
        raise ChatFailure(f"{said}; {self.config.attempts} attempts were made")

    def _wait(self, attempt: int, asked: float, said: str) -> None:
        wait = self.config.backoff * 2 ** (attempt - 1) * (0.5 + random.random())
        wait = min(max(wait, asked), self.config.most_backoff)
        if wait >= self.ledger.seconds_left:
            raise Exhausted(f"deadline is {self.config.deadline:g} s, and {said}")
        time.sleep(wait)

    def _refused(self, reply: Reply) -> str:
        """What to say of a status that may pass.

        Raises:
            ChatFailure: it will not.
        """
        if 300 <= reply.status < 400:
            raise ChatFailure(
                f"the server answered with a redirect ({reply.status}), which is not followed, since the key would go along"
            )
        said = f"the server answered with status {reply.status}{self._told(reply.content)}"
        if reply.status == 429 or reply.status >= 500:
            return said
        raise (UnknownFormat if reply.status in _UNKNOWN_FORMAT else ChatFailure)(said)

    def _told(self, content: bytes) -> str:
        """What the server says of an error: first without the key, then shortened."""
        text = self.heard(content.decode(errors="replace"))
        try:
            data = parse_json(text.encode(errors="replace"))
            error = data.get("error", data) if isinstance(data, dict) else data
            text = str(error.get("message", error)) if isinstance(error, dict) else str(error)
        except Unreadable:
            pass
        text = self.heard(cleaned(text, _TOLD))
        return f": {text}" if text else ""

    def _read(self, reply: Reply, worst: Usage, call: int, took: Any) -> Answer:
        try:
            text, whole, usage = read_completion(self.heard(reply.content.decode(errors="replace")))
        except Unreadable as error:
            self.ledger.settle(call, took(worst), "unreadable")
            raise ChatFailure(self.heard(f"the server's answer is no chat completion: {error}")) from None
        usage = took(usage or worst)
        self.ledger.settle(call, usage, "answered")
        return Answer(self.heard(text), whole, usage)


def read_completion(text: str) -> tuple[str, bool, Usage | None]:
    """The words of a chat completion, whether they came to their end, and what it took, if that is told.

    Raises:
        Unreadable: it is none.
    """
    data = parse_json(text.encode(errors="replace"))
    try:
        choice = data["choices"][0]
        message = choice["message"]
        content = message["content"]
    except (LookupError, TypeError):
        raise Unreadable("it has no choices[0].message.content") from None
    if isinstance(content, list):  # of parts
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    if not isinstance(content, str):
        refusal = message.get("refusal")
        raise Unreadable(
            f"the model refuses: {cleaned(refusal, _TOLD)}" if refusal else "its content is no text"
        )
    return content, choice.get("finish_reason") != "length", _usage(data.get("usage"))


def _usage(told: Any) -> Usage | None:
    """What a server says that a request took; None where that is no two counts."""
    counts = (told.get("prompt_tokens"), told.get("completion_tokens")) if isinstance(told, dict) else ()
    whole = [n for n in counts if isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 2**40]
    return Usage(whole[0], whole[1]) if len(whole) == 2 else None
