"""Files of JSON lines as a person or a killed process leaves them: no whole line is lost, and what is damaged is named."""

from __future__ import annotations

import json

import hall
import pytest
from asking import ARCHIVE, NOBODY, lengths
from chat_server import environments

from jaxrl_evolve import random
from jaxrl_evolve.generation.answers import Answers
from jaxrl_evolve.generation.chat_config import ChatConfig
from jaxrl_evolve.generation.feedback import Feedback
from jaxrl_evolve.generation.journal import Journal
from jaxrl_evolve.generation.ledger import Ledger
from jaxrl_evolve.generation.recorded import recorded_proposer
from jaxrl_evolve.storage.folder import FolderError


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\r", " \n\n"])
def test_a_last_line_counts_however_it_ends(tmp_path, end):
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b'\n{"a": 1}\r\n \n{"a": 2}' + end.encode())
    for writing in (False, True):
        journal = Journal(path, writing=writing)
        assert journal.lines == [{"a": 1}, {"a": 2}] and not journal.torn
    journal.append({"a": 3})
    assert Journal(path).lines == [{"a": 1}, {"a": 2}, {"a": 3}]
    assert str(journal.damaged(1, "why")) == f"{path} is damaged: line 4: why"


def test_half_a_line_is_left_out_and_only_at_the_end(tmp_path):
    path = tmp_path / "lines.jsonl"
    for half in (b'{"a": 2', b'{"a": {"b": 2}', b"[2]"):
        path.write_bytes(b'{"a": 1}\n' + half)
        journal = Journal(path, writing=False)
        assert journal.lines == [{"a": 1}] and journal.torn and path.read_bytes().endswith(half)
        Journal(path).append({"a": 3})
        assert path.read_bytes() == b'{"a": 1}\n{"a": 3}\n'
        path.write_bytes(b'\n{"a": 1}\n' + half + b"\n")
        with pytest.raises(FolderError, match="is damaged: line 3"):
            Journal(path)


def test_recorded_answers_without_an_end_of_the_last_line(tmp_path):
    path = tmp_path / "answers.jsonl"
    line = lambda n: json.dumps({"author": "me", "answer": json.dumps(environments(hall.spec(length=n)))})
    propose = lambda: recorded_proposer(hall.DOMAIN, path, NOBODY).propose(
        Feedback(), ARCHIVE, 1, random.key(0)
    )
    path.write_text(line(3))
    assert lengths(propose()) == [3]
    path.write_text(line(4) + "\n\n" + line(5)[:-1])
    found = propose()
    assert lengths(found) == [4]
    assert found.notes[0] == f"the last line of {path} is written half, and left out"


GOOD = {"call": 0, "sent": True, "prompt": 10, "answer": 20, "seconds": 0.0}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({}, "sent is null; it must be true or false"),
        ({**GOOD, "sent": 1}, "sent is 1; it must be true or false"),
        ({**GOOD, "prompt": "x"}, "prompt is 'x'; it must be a whole number from 0"),
        ({**GOOD, "answer": -(10**9)}, "answer is -1000000000; it must be a whole number from 0"),
        ({**GOOD, "answer": True}, "answer is true; it must be a whole number from 0"),
        ({**GOOD, "call": 1.0}, r"call is 1.0; it must be a whole number from 0"),
        ({**GOOD, "prompt": 10**400}, "prompt is a whole number of more than 15 digits; it must be"),
        ({**GOOD, "seconds": -1}, "seconds is -1; it must be a number from 0"),
        ('{"sent": true, "call": 0, "prompt": 1, "answer": 1, "seconds": 1e400}', "seconds is inf; it must"),
        ('{"sent": true, "call": 0, "prompt": 1e400}', "prompt is inf; it must be a whole number"),
    ],
)
def test_a_damaged_account_is_named(tmp_path, line, said):
    path = tmp_path / "model_calls.jsonl"
    path.write_text(f"{json.dumps(GOOD)}\n\n{line if isinstance(line, str) else json.dumps(line)}\n")
    with pytest.raises(FolderError, match=f"^{path} is damaged: line 3: {said}"):
        Ledger(ChatConfig("m"), path)


def test_no_request_of_an_account_is_lost(tmp_path):
    path = tmp_path / "model_calls.jsonl"
    lines = [GOOD, GOOD, {**GOOD, "sent": False, "answer": 3}]
    path.write_text("\n".join(map(json.dumps, lines)))
    account = Ledger(ChatConfig("m"), path)
    assert (account.calls, account.spent.prompt, account.spent.answer) == (2, 20, 23)


@pytest.mark.parametrize(
    ("change", "said"), [({"answer": 7}, "answer is 7"), ({"key": [1]}, "key is a list of 1")]
)
def test_a_damaged_file_of_answers_is_named(tmp_path, change, said):
    path = tmp_path / "answers.jsonl"
    path.write_text('{"kind": "report"}\n' + json.dumps({"kind": "answer", "answer": "", **change}))
    with pytest.raises(FolderError, match=f"^{path} is damaged: line 2: {said}; it must be text"):
        Answers(path, "auto", "content")
