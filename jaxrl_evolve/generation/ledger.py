"""What was asked for and what it cost, written down before it is sent, so that a limit holds over kills and resumptions."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxrl_envs.specs.text import shown
from jaxrl_evolve.generation.chat_config import ChatConfig
from jaxrl_evolve.generation.journal import Journal

_MOST = 2**53  # that anyone counts
_PER_MESSAGE = 32  # tokens that a server may put around a message


class Usage(NamedTuple):
    """What a request took.

    Attributes:
        prompt: tokens that were sent.
        answer: tokens that came.
        seconds: of waiting.
    """

    prompt: int = 0
    answer: int = 0
    seconds: float = 0.0


class Exhausted(Exception):
    """The next request could go beyond a limit; the message is a clause that says which."""


class Ledger:
    """The account of a run.

    A request counts with the most that it can take until it is known what it took. So does one whose process was killed, or that was
    not answered in time.

    Attributes:
        config: the limits.
    """

    def __init__(self, config: ChatConfig, path: str | os.PathLike[str] | None = None) -> None:
        """Take up what was asked for before.

        Args:
            config: the limits.
            path: of the file; None keeps the account in memory.

        Raises:
            FolderError: the file cannot be read, or a line of it is none of an account; the message names both.
        """
        self.config = config
        self._journal = Journal(path)
        self._open: dict[int, Usage] = {}
        self._done: list[Usage] = []
        for index, line in enumerate(self._journal.lines):
            if wrong := _wrong(line):
                raise self._journal.damaged(index, wrong)
            usage = Usage(line["prompt"], line["answer"], float(line["seconds"]))
            self._take(line["call"], line["sent"], usage)

    def _take(self, call: int, sent: bool, usage: Usage) -> None:
        if sent:
            if call in self._open:  # no two have one number, but whatever a file says, none is lost
                self._done.append(self._open[call])
            self._open[call] = usage
        else:
            self._open.pop(call, None)
            self._done.append(usage)

    @property
    def calls(self) -> int:
        """Requests so far."""
        return len(self._open) + len(self._done)

    @property
    def spent(self) -> Usage:
        """All of it."""
        all_of = [*self._done, *self._open.values()]
        return Usage(
            sum(u.prompt for u in all_of), sum(u.answer for u in all_of), sum(u.seconds for u in all_of)
        )

    def cost(self, usage: Usage) -> float:
        """In the currency of the prices."""
        return (usage.prompt * self.config.prompt_price + usage.answer * self.config.answer_price) / 1e6

    def told(self) -> dict[str, float]:
        """All of it, as numbers by name."""
        spent = self.spent
        return {
            "calls": self.calls,
            "prompt_tokens": spent.prompt,
            "answer_tokens": spent.answer,
            "money": self.cost(spent),
            "seconds": spent.seconds,
        }

    @property
    def seconds_left(self) -> float:
        """For further requests."""
        return self.config.deadline - sum(u.seconds for u in self._done)

    def worst(self, body: bytes, messages: int) -> Usage:
        """The most that a request can take: no token is shorter than a byte."""
        return Usage(len(body) + _PER_MESSAGE * messages, self.config.max_tokens, 0.0)

    def send(self, worst: Usage) -> int:
        """Write down that a request is sent.

        Returns:
            Its number.

        Raises:
            Exhausted: it may not be.
        """
        config, spent = self.config, self.spent
        if self.calls >= config.max_calls:
            raise Exhausted(f"max_calls is {config.max_calls}, and so many requests were sent")
        if (tokens := spent.prompt + spent.answer + worst.prompt + worst.answer) > config.total_tokens:
            raise Exhausted(
                f"total_tokens is {config.total_tokens:,}, and the next request could make it {tokens:,}"
            )
        cost = self.cost(spent) + self.cost(worst)
        if math.isfinite(config.max_cost) and cost > config.max_cost:
            raise Exhausted(f"max_cost is {config.max_cost:g}, and the next request could make it {cost:.4g}")
        if self.seconds_left <= 0:
            raise Exhausted(f"deadline is {config.deadline:g} s, and so long was waited")
        call = self.calls
        self._write(call, True, worst)
        return call

    def settle(self, call: int, usage: Usage, outcome: str) -> None:
        """Write down what a request took.

        Args:
            call: its number.
            usage: what it took.
            outcome: a few words; nothing of a server's.
        """
        self._write(call, False, usage, outcome)

    def _write(self, call: int, sent: bool, usage: Usage, outcome: str = "") -> None:
        line: dict[str, Any] = {"call": call, "sent": sent, **usage._asdict()}
        self._journal.append(line if sent else {**line, "cost": self.cost(usage), "outcome": outcome})
        self._take(call, sent, usage)


def _wrong(line: Mapping[str, Any]) -> str:
    """What is wrong with a line of an account, as a clause; nothing where nothing is."""
    if not isinstance(line.get("sent"), bool):
        return f"sent is {shown(line.get('sent'))}; it must be true or false"
    for name in ("call", "prompt", "answer"):
        if type(value := line.get(name)) is not int or not 0 <= value < _MOST:
            return f"{name} is {shown(value)}; it must be a whole number from 0"
    seconds = line.get("seconds")
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds < _MOST:
        return f"seconds is {shown(seconds)}; it must be a number from 0"
    return ""
