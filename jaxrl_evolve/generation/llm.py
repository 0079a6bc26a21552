"""A language model proposes: asked, answered, read as data, mended at most twice, and filled up from the offline proposer."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from jaxtyping import Array

from jaxrl_evolve.generation.answers import TURN, Answers, digest
from jaxrl_evolve.generation.archive import Archive, Entry
from jaxrl_evolve.generation.candidates import filled_up
from jaxrl_evolve.generation.chat import Chat, ChatFailure, UnknownFormat
from jaxrl_evolve.generation.chat_config import FORMATS, ChatConfig
from jaxrl_evolve.generation.domain import Domain
from jaxrl_evolve.generation.feedback import Feedback
from jaxrl_evolve.generation.judgement import JUDGEMENT, judgement_in, judging_messages
from jaxrl_evolve.generation.ledger import Exhausted, Ledger
from jaxrl_evolve.generation.prompts import (
    SCHEMA_VERSION,
    TEMPLATE,
    Messages,
    answer_schema,
    first_messages,
    repair_messages,
)
from jaxrl_evolve.generation.proposal import Proposal, Proposed, Proposer, Rejection
from jaxrl_evolve.generation.texts import cleaned
from jaxrl_evolve.generation.turns import Said, in_turns

NAME = "llm"
_FAULTS = 40  # that a model is told of at once


class _Model:
    """A model behind its file of answers; counts what it was asked."""

    def __init__(self, domain: Domain, config: ChatConfig, answers: Answers, chat: Chat | None) -> None:
        self.domain, self.config, self.answers, self.chat = domain, config, answers, chat
        self.sequence = 0
        self.rung = 0 if config.format == "auto" else FORMATS.index(config.format)
        self.samples: dict[str, int] = {}

    @property
    def form(self) -> str:
        """How answers are made to be JSON now."""
        return FORMATS[self.rung]

    def say(self, messages: Messages, *, turn: int = 0, judging: bool = False) -> Said:
        """The answer, from the file or from the server; later turns of one request are about what the answer before did not get right."""
        asked = self._asked(messages, judging)
        content = digest([SCHEMA_VERSION, TEMPLATE, asked])
        sample = self.samples.get(content, 0)
        key = digest([content, sample])
        line = self.answers.find(key, self.sequence)
        if line is None:
            line = self._ask(asked, key, {"asks": JUDGEMENT} if judging else {TURN: turn})
        self.samples[content] = sample + 1
        self.sequence += 1
        author = cleaned(line.get("author") or "somebody who is not named", 100)
        text = line["answer"]
        if self.chat is not None:
            text = self.chat.heard(text)  # an earlier version may have kept more of it
        return Said(text, line.get("whole", True) is True, author)

    def _asked(self, messages: Messages, judging: bool) -> dict[str, Any]:
        config = self.config
        asked: dict[str, Any] = {
            "model": config.model,
            "messages": messages,
            config.tokens_field: config.max_tokens,
        }
        if config.temperature is not None:
            asked["temperature"] = config.temperature
        if judging:  # small enough to be found in any words
            return asked
        if self.form == "json_object":
            asked["response_format"] = {"type": "json_object"}
        elif self.form == "json_schema":
            schema = {"name": "environments", "strict": True, "schema": answer_schema(self.domain)}
            asked["response_format"] = {"type": "json_schema", "json_schema": schema}
        return asked

    def _ask(self, asked: dict[str, Any], key: str, more: Mapping[str, Any]) -> Mapping[str, Any]:
        assert self.chat is not None  # what is only replayed is found or an error
        answer = self.chat.ask(asked)
        author = f"{self.config.model} at {urlsplit(self.chat.url).hostname}"
        line = {
            "key": key,
            "sequence": self.sequence,
            "author": author,
            "request": asked,
            "answer": answer.text,
            "whole": answer.whole,
            "usage": answer.usage._asdict(),
            **more,
        }
        self.answers.keep(line)
        return line

    def begin(self, feedback: Feedback, archive: Archive, count: int) -> tuple[Messages, Said]:
        """Ask for specs, less strictly where the server does not know the stricter way."""
        while True:
            messages = first_messages(self.domain, feedback, archive, count, self.form)
            try:
                return messages, self.say(messages)
            except UnknownFormat:
                if self.config.format != "auto" or self.rung + 1 == len(FORMATS):
                    raise
                self.rung += 1

    def state(self) -> dict[str, Any]:
        """What a resumed loop hands back."""
        return {"sequence": self.sequence, "rung": self.rung, "samples": dict(self.samples)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take it."""
        self.sequence = int(state.get("sequence", 0))
        self.rung = min(max(int(state.get("rung", self.rung)), 0), len(FORMATS) - 1)
        self.samples = {str(key): int(count) for key, count in dict(state.get("samples", {})).items()}


def llm_proposer(
    domain: Domain,
    config: ChatConfig,
    offline: Proposer,
    answers: str | os.PathLike[str] | None = None,
    ledger: str | os.PathLike[str] | None = None,
) -> Proposer:
    """Specs from a language model. Whatever goes wrong, there are specs: what is missing comes from the offline proposer.

    Args:
        domain: whose specs.
        config: which model, how, and its limits.
        offline: who fills up.
        answers: file of answers, where `ChatConfig.answers` names none.
        ledger: file of what it cost; without one limits hold for this process.

    Raises:
        ValueError: the model, its address or the key is missing (the message names the environment variable), or the file of answers is
            damaged.
        ImportError: httpx is not installed, and answers are not only replayed.
    """
    if not config.model:
        raise ValueError("model is empty; it must be the name of a language model, as its server knows it")
    place = config.answers or answers
    account = Ledger(config, ledger)
    chat = None if config.mode == "replay" else Chat(config, account)
    model = _Model(domain, config, Answers(place, config.mode, config.replay_by), chat)

    def propose(feedback: Feedback, archive: Archive, k: int, key: Array) -> Proposed:
        found = _propose(model, feedback, archive, k)
        return filled_up(found, offline, feedback, archive, k, key)

    def judge(proposal: Proposal, near: Sequence[Entry]) -> str:
        try:
            return judgement_in(model.say(judging_messages(domain, proposal, near), judging=True).text)
        except (Exhausted, ChatFailure):
            return ""  # distance alone decides; that the model is left out the next proposals say

    return Proposer(NAME, propose, model.state, model.restore, cost=account.told, judge=judge)


def _propose(model: _Model, feedback: Feedback, archive: Archive, k: int) -> Proposed:
    notes: list[str] = []
    left_out = lambda error: notes.append(f"the language model {model.config.model} is left out: {error}")
    try:
        messages, said = model.begin(feedback, archive, k * model.config.oversample)
    except (Exhausted, ChatFailure) as error:
        left_out(error)
        return Proposed(notes=tuple(notes))
    turn = 0

    def again(said: Said, faults: Sequence[str]) -> Said | None:
        nonlocal messages, turn
        turn += 1
        if turn > model.config.repairs:
            return None
        messages = repair_messages(messages, said.text, faults[:_FAULTS])
        try:
            return model.say(messages, turn=turn)
        except (Exhausted, ChatFailure) as error:
            left_out(error)
            return None

    found = in_turns(model.domain, archive, said, again, k, NAME)
    model.answers.report(_report(model.sequence, found))
    return found.and_then(Proposed(notes=tuple(notes)))


def _report(sequence: int, found: Proposed) -> dict[str, Any]:
    refused: Sequence[Rejection] = found.rejections
    return {
        "sequence": sequence,
        "taken": [p.identity for p in found.proposals],
        "repaired": {p.identity: list(p.changes) for p in found.proposals if p.changes},
        "refused": [{"reason": r.reason, "faults": list(r.faults)} for r in refused],
    }
