"""A language model's proposer on the hall, for the tests that ask one."""

from __future__ import annotations

import hall
import pytest

from jaxrl_evolve import random
from jaxrl_evolve.generation.chat_config import ChatConfig
from jaxrl_evolve.generation.feedback import feedback_of
from jaxrl_evolve.generation.lifecycle import new_archive
from jaxrl_evolve.generation.llm import llm_proposer
from jaxrl_evolve.generation.offline import offline_proposer
from jaxrl_evolve.generation.proposal import Proposed, Proposer

KEY = "sk-test-0123456789abcdefXYZ"
OFFLINE = offline_proposer(hall.DOMAIN)
ARCHIVE = new_archive(hall.DOMAIN)
FEEDBACK = feedback_of(
    {"walk": (64, 60), "carry": (64, 3), "climb": (64, 0), "swim": (64, 0)},
    {ARCHIVE.original.identity: (64, 3)},
)
NOBODY = Proposer("nobody", lambda feedback, archive, k, key: Proposed())


def model(server, folder, offline=OFFLINE, **changes):
    """The proposer behind a server or its address."""
    pytest.importorskip("httpx")
    quick = {"timeout": 1.0, "backoff": 0.001, "attempts": 2}
    config = ChatConfig("m", server if isinstance(server, str) else server.url, **{**quick, **changes})
    return llm_proposer(hall.DOMAIN, config, offline, folder / "answers.jsonl", folder / "ledger.jsonl")


def ask(server, folder, k=2, offline=OFFLINE, feedback=FEEDBACK, archive=ARCHIVE, **changes):
    """What it proposes, and the proposer."""
    proposer = model(server, folder, offline, **changes)
    return proposer.propose(feedback, archive, k, random.key(0)), proposer


def lengths(proposed):
    """Of the specs."""
    return [p.data["length"] for p in proposed.proposals]
