"""Answers of a language model in a file of JSON lines: to be asked once, and read again ever after.

An answer is found by what was asked (`digest`), or by how many were asked for before it: what was asked changes with the noise of
training, its place in the order does not.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from jaxrl_envs.specs.text import shown
from jaxrl_evolve.generation.journal import Journal

ANSWER, REPORT = "answer", "report"
"""Kinds of lines: what a model said; what became of it."""
FILE = "model_answers.jsonl"
TURN = "turn"
"""Field of an answer: 0 of the first to a request for specs, then one more for each that was to mend the one before."""


class NoAnswer(ValueError):
    """An answer is to be replayed, and is not there."""


def digest(thing: Any) -> str:
    """SHA-256 of JSON data, whatever the order of its fields."""
    return hashlib.sha256(json.dumps(thing, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def in_order(lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Answers as they were used. One with the number of an earlier one stands in place of that and of all after it: a loop that was killed within
    a cycle asks again.
    """
    found: list[dict[str, Any]] = []
    for line in lines:
        number = line.get("sequence")
        if isinstance(number, int) and 0 <= number < len(found):
            del found[number:]
        found.append(line)
    return found


class Answers:
    """The file of answers.

    Attributes:
        mode: as in `ChatConfig`.
        by: as there.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None, mode: str, by: Literal["content", "sequence"]
    ) -> None:
        """Read what is there.

        Raises:
            ValueError: it is damaged, or something is to be replayed and there is nothing.
        """
        self.mode, self.by = mode, by
        self._journal = Journal(path, writing=mode in ("record", "auto"))
        self._all = [line for line in self._journal.lines if line.get("kind") == ANSWER]
        for index, line in enumerate(self._journal.lines):
            if line.get("kind") == ANSWER:
                for field, kinds in (("answer", str), ("key", str | None)):
                    if not isinstance(line.get(field), kinds):
                        raise self._journal.damaged(
                            index, f"{field} is {shown(line.get(field))}; it must be text"
                        )
        self._used = in_order(self._all)
        self._by_key = {line.get("key"): line for line in reversed(self._all)}
        if mode == "replay" and not self._all:
            raise ValueError(f"mode is replay, but {path or 'answers'} has no answers")

    def find(self, key: str, sequence: int) -> dict[str, Any] | None:
        """The line of an answer; None if it is to be asked for.

        Raises:
            NoAnswer: it is to be replayed and is not there.
        """
        if self.mode in ("live", "record"):
            return None
        if self.by == "sequence":
            found = self._used[sequence] if sequence < len(self._used) else None
        else:
            found = self._by_key.get(key)
        if found is None and self.mode == "replay":
            what = f"number {sequence}" if self.by == "sequence" else f"to what is asked ({key[:12]}…)"
            raise NoAnswer(
                f"{self._journal.path} has no answer {what}: it has {len(self._all)}; mode auto asks for what is missing"
                + ("" if self.by == "sequence" else ", and replay_by sequence takes them in their order")
            )
        return found

    def keep(self, line: Mapping[str, Any]) -> None:
        """Write an answer down, if answers are."""
        if self.mode in ("record", "auto"):
            self._journal.append({"kind": ANSWER, **line})
            made = self._journal.lines[-1]
            self._all.append(made)
            self._by_key.setdefault(made["key"], made)

    def report(self, line: Mapping[str, Any]) -> None:
        """Write down what became of answers."""
        if self.mode in ("record", "auto"):
            self._journal.append({"kind": REPORT, **line})
