"""A key that a server gives back in disguise stands nowhere: no file, no question, no note, however often it is decoded and cleaned."""

from __future__ import annotations

import base64
import json

import hall
import pytest
from asking import ARCHIVE, FEEDBACK, KEY, NOBODY, ask, model
from chat_server import Server, environments, replies, says

from jaxrl_evolve import random
from jaxrl_evolve.generation.archive_file import write_archive
from jaxrl_evolve.generation.lifecycle import added
from jaxrl_evolve.generation.secret import Secret

escaped = lambda key: "".join(f"\\u{ord(c):04x}" for c in key)
DISGUISES = {
    "plain": KEY,
    "escaped": escaped(KEY),
    "capitals": "".join(f"\\u{ord(c):04X}" for c in KEY),
    "unseen": "\u200b".join(KEY),
    "unseen and escaped": "\\u202e".join(KEY),
    "controls": "\\b".join(KEY),
    "half characters": "\\ud800".join(KEY),
    "a part": "\u2060".join(KEY[2:15]),
}


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def said(fields, disguise):
    """An answer whose text is the disguise where ``fields`` have QQ."""
    return says(json.dumps(fields).replace("QQ", disguise))


def everything(folder, found, server):
    """All that was written, asked or told, each text as it is once it is decoded."""
    kept = [json.loads(line) for path in folder.glob("*.jsonl") for line in path.read_text().splitlines()]
    answers = [line["answer"] for line in kept if "answer" in line and isinstance(line["answer"], str)]
    questions = [data for _, _, data in server.requests]
    archive = json.loads((folder / "archive.json").read_text())
    read = []
    for answer in answers:
        try:
            read.append(json.loads(answer))
        except ValueError:
            continue
    texts = json.dumps([kept, questions, archive, read], ensure_ascii=False) + repr(found) + str(found.notes)
    return "".join(c for c in texts if c.isprintable())


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)
def test_in_an_answer(tmp_path, disguise):
    good = environments(hall.spec(length=3, name="QQ"), purpose="QQ", QQ="QQ")
    bad = environments(hall.spec(length=3, goal="QQ", QQ=1))
    with Server(said(good, disguise), said(bad, disguise), says("QQ".replace("QQ", disguise))) as server:
        found, proposer = ask(server, tmp_path, k=1, offline=NOBODY)
        again = proposer.propose(FEEDBACK, ARCHIVE, 1, random.key(0))
        assert len(server.requests) >= 3 and again.rejections
        write_archive(tmp_path / "archive.json", added(ARCHIVE, hall.DOMAIN, found.proposals))
        told = everything(tmp_path, found.and_then(again), server)
    assert found.proposals[0].purpose == "[key]" and found.proposals[0].data["name"] == "[key]"
    assert "goal is '[key]'" in str(again.rejections)
    assert KEY[:9] not in told and KEY[3:12] not in told


@pytest.mark.parametrize("disguise", ["escaped", "unseen", "controls"])
def test_in_what_is_said_of_an_error(tmp_path, disguise):
    forms = (
        '{"error": {"message": "bad QQ"}}',
        '{"error": {"why": ["bad QQ"]}}',
        "bad QQ",
        '{"bad": "QQ"',  # torn
    )
    refusal = json.dumps({"choices": [{"message": {"content": None, "refusal": "QQ"}}]})
    script = [replies(401, form.replace("QQ", DISGUISES[disguise])) for form in forms]
    with Server(*script, replies(200, refusal.replace("QQ", DISGUISES[disguise]))) as server:
        proposer = model(server, tmp_path, NOBODY)
        notes = [proposer.propose(FEEDBACK, ARCHIVE, 1, random.key(0)).notes[0] for _ in range(5)]
    assert all("[key]" in note and KEY[3:12] not in note for note in notes)
    assert "status 401: bad [key]" in notes[0] and notes[-1].endswith("refuses: [key]")


def test_in_an_answer_that_an_earlier_version_kept(tmp_path):
    with Server(says(environments(hall.spec(length=3)))) as server:
        ask(server, tmp_path, k=1, offline=NOBODY)
        path = tmp_path / "answers.jsonl"
        line = json.loads(path.read_text().splitlines()[0])
        line["answer"] = line["answer"].replace('"purpose": ""', f'"purpose": "{escaped(KEY)}"')
        path.write_text(json.dumps(line) + "\n")
        found = model(server, tmp_path, NOBODY).propose(FEEDBACK, ARCHIVE, 1, random.key(0))
        assert len(server.requests) == 1 and found.proposals[0].purpose == "[key]"


def test_what_stands_around_a_key_is_left_as_it_is():
    secret = Secret(KEY)
    quoted = json.dumps({"text": json.dumps({"a": f"\\{KEY}\u200b", "b": [f'{KEY}"', "\u4e2d\n"]})})
    assert json.loads(json.loads(secret.redacted(quoted))["text"]) == {
        "a": "\\[key]\u200b",
        "b": ['[key]"', "\u4e2d\n"],
    }
    other = "\\u0073k \u200b\\b caf\u00e9 \ud800 \\\\n"
    assert secret.redacted(other) == other
    assert Secret("short").redacted("a s\u200bhort one, no sh ort one") == "a [key] one, no sh ort one"


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_in_base64_wherever_it_begins(encode):
    key = "sk-?>~?>~?>~0123456789"  # whose two alphabets differ
    secret = Secret(key)
    for before in ("", "B", "Be", "Bearer "):
        text = encode(f"{before}{key}: more".encode()).decode()
        left = secret.redacted(text)
        assert "[key]" in left
        assert len(left) <= len(text) - 4 * len(key) // 3 + len("[key]") + 4
