"""Asking over HTTP, against a real server: what is taken, what is tried again, what is refused, and that the key is never shown."""

from __future__ import annotations

import base64
import json
import pickle
import time

import pytest
from chat_server import Server, dripping, endless, late, replies, says

from jaxrl_evolve.generation.chat import Chat, ChatFailure, UnknownFormat
from jaxrl_evolve.generation.chat_config import ChatConfig, address
from jaxrl_evolve.generation.ledger import Exhausted, Ledger
from jaxrl_evolve.generation.secret import Secret, secret_from

pytest.importorskip("httpx")
KEY = "sk-test-0123456789abcdefXYZ"
REQUEST = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def config(url="http://127.0.0.1:9/v1", **changes):
    quick = {"timeout": 0.4, "backoff": 0.002, "most_backoff": 0.01, "max_tokens": 50}
    return ChatConfig("m", url, **{**quick, **changes})


def asked(server, ledger=None, **changes):
    """The answer, or the error that there is instead; and the account."""
    account = Ledger(config(server.url, **changes), ledger)
    try:
        return Chat(account.config, account).ask(REQUEST), account
    except (ChatFailure, Exhausted) as caught:
        error = caught
        shown = f"{error!r} {error.__cause__!r}"
    assert KEY[:12] not in shown and shown.endswith(" None")
    return error, account


def test_a_good_answer_and_what_was_sent():
    with Server(says("fine", usage=(7, 3))) as server:
        answer, account = asked(server)
    ((path, headers, data),) = server.requests
    assert (answer.text, answer.whole) == ("fine", True)
    assert account.spent[:2] == (7, 3) and account.calls == 1 and 0 < account.spent.seconds < 0.4
    assert path == "/v1/chat/completions" and headers["Authorization"] == f"Bearer {KEY}" and data == REQUEST
    with Server(
        says([{"type": "text", "text": "in "}, {"type": "text", "text": "parts"}], "length", usage=None)
    ) as server:
        answer, account = asked(server)
    # What is not told counts with the most that it can be.
    assert (
        (answer.text, answer.whole) == ("in parts", False)
        and account.spent.answer == 50
        and account.spent.prompt > 40
    )


@pytest.mark.parametrize(
    ("script", "calls"),
    [
        ((replies(429, "wait", Retry_After="0.001"), says("fine")), 2),
        ((replies(500, "oh"), replies(503), says("fine")), 3),
        ((late(0.15), says("fine")), 2),
    ],
    ids=["429", "5xx", "late"],
)
def test_what_may_pass_is_tried_again(script, calls):
    with Server(*script) as server:
        answer, account = asked(server, timeout=0.1)
    assert answer.text == "fine" and len(server.requests) == account.calls == calls


@pytest.mark.parametrize(
    ("act", "calls", "said"),
    [
        (replies(500, f"the key {KEY} broke"), 4, r"status 500: the key \[key\] broke; 4 attempts were made"),
        (
            replies(401, json.dumps({"error": {"message": f"bad key {KEY[:16]}…"}})),
            1,
            r"status 401: bad key \[key\]",
        ),
        (replies(302, "", Location="http://127.0.0.1:9/steal"), 1, "redirect .302., which is not followed"),
        (replies(200, "no json"), 1, "no chat completion"),
        (replies(200, "{}"), 1, r"no choices\[0\]"),
        (replies(200, b"\x1f\x8b", Content_Encoding="gzip"), 1, "packed"),
        (replies(200, "x" * 3000), 1, "more than the 2,000 bytes"),
        (endless(), 1, "more than the 2,000 bytes"),
        (endless(b"x", 0.005), 2, "2 attempts"),
        (dripping(0.01), 2, "2 attempts"),
        (
            replies(200, json.dumps({"choices": [{"message": {"content": None, "refusal": "no\u202e!"}}]})),
            1,
            "refuses: no!",
        ),
    ],
)
def test_what_does_not_pass_is_a_sentence(act, calls, said):
    with Server(act) as server:
        began = time.monotonic()
        error, account = asked(server, answer_bytes=2000, timeout=0.06, attempts=calls)
        assert time.monotonic() - began < 1.0
    assert isinstance(error, ChatFailure) and len(server.requests) == account.calls == calls
    with pytest.raises(ChatFailure, match=said):
        raise error


def test_a_server_that_is_not_there_costs_nothing_and_is_not_tried_again():
    error, account = asked(type("Nobody", (), {"url": "http://127.0.0.1:9/v1"}))
    assert (
        "cannot be reached (ConnectError)" in str(error)
        and account.calls == 1
        and account.spent[:2] == (0, 0)
    )


def test_a_request_that_the_server_does_not_know_is_told_apart():
    with Server(replies(400, "response_format?")) as server:
        assert isinstance(asked(server)[0], UnknownFormat)


@pytest.mark.parametrize(
    ("limits", "said", "sent"),
    [
        ({"max_calls": 2}, "max_calls is 2", 2),
        ({"max_calls": 0}, "max_calls is 0", 0),
        ({"total_tokens": 100}, "total_tokens is 100", 0),
        ({"max_cost": 0.01, "answer_price": 100.0}, "max_cost is 0.01", 2),  # 50 tokens are 0.005
        ({"deadline": 0.05, "timeout": 5.0}, "deadline is 0.05 s", 1),
    ],
)
def test_limits_hold_before_anything_is_sent(limits, said, sent, tmp_path):
    act = late(0.2) if "deadline" in limits else replies(503)
    with Server(act) as server:
        error, _ = asked(server, tmp_path / "ledger.jsonl", **limits)
        assert isinstance(error, Exhausted) and said in str(error) and len(server.requests) == sent
        # They hold in the process after, too.
        error, _ = asked(server, tmp_path / "ledger.jsonl", **limits)
        assert isinstance(error, Exhausted) and len(server.requests) == sent
    assert not (tmp_path / "ledger.jsonl").exists() or KEY not in (tmp_path / "ledger.jsonl").read_text()


def test_a_request_of_a_killed_process_counts_with_its_most(tmp_path):
    path = tmp_path / "ledger.jsonl"
    account = Ledger(config(), path)
    account.send(account.worst(b"x" * 60, 1))
    with open(path, "ab") as file:
        file.write(b'{"call": 1, "se')  # killed while it was written
    again = Ledger(config(), path)
    assert (again.calls, again.spent.prompt, again.spent.answer) == (1, 92, 50)
    again.send(again.worst(b"", 0))
    assert Ledger(config(), path).calls == 2


@pytest.mark.parametrize(
    ("variables", "changes", "said"),
    [
        ({"OPENAI_API_KEY": ""}, {}, "variable OPENAI_API_KEY, which key_variable names, is not set"),
        ({}, {"key_variable": "MY_KEY"}, "variable MY_KEY"),
        ({"OPENAI_API_KEY": "two words"}, {}, "variable OPENAI_API_KEY holds no key"),
        ({"OPENAI_API_KEY": "line\nbreak"}, {}, "variable OPENAI_API_KEY holds no key"),
        ({}, {"endpoint": ""}, "variable OPENAI_BASE_URL, which endpoint_variable names, is not set"),
        ({"HERE": "ftp://x"}, {"endpoint": "", "endpoint_variable": "HERE"}, "HERE is no address"),
        ({}, {"endpoint": "https://me:word@host/v1"}, "more than an address"),
        ({}, {"endpoint": "http://host/v1"}, "readable on its way"),
        ({}, {"endpoint": "http://[::1"}, "endpoint is no address"),
    ],
)
def test_what_is_missing_is_named_by_its_variable(monkeypatch, variables, changes, said):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    others = {name: value for name, value in changes.items() if name != "endpoint"}
    chosen = config(changes.get("endpoint", "http://localhost:1/v1"), **others)
    with pytest.raises(ValueError, match=said) as caught:
        Chat(chosen, Ledger(chosen))
    assert "word" not in str(caught.value)


def test_addresses_that_hold(monkeypatch):
    assert address(config("http://[::1]:8/v1/")) == "http://[::1]:8/v1/chat/completions"
    assert address(config("http://far/v1", key_variable="")) == "http://far/v1/chat/completions"
    monkeypatch.setenv("OPENAI_BASE_URL", "https://far/v1")
    assert address(config("")) == "https://far/v1/chat/completions"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_cost": 1.0}, "prompt_price and answer_price are 0"),
        ({"repairs": 3}, "repairs is 3"),
        ({"replay_by": "sequence"}, "mode must be replay"),
        ({"mode": "reply"}, "did you mean replay"),
    ],
)
def test_settings_that_do_not_hold(changes, said):
    with pytest.raises(ValueError, match=said):
        config(**changes)


def test_a_key_is_hidden_in_whatever_form(monkeypatch):
    secret = Secret("abc/def+0123456789")
    for text in (
        "abc/def+0123456789",
        "abc%2Fdef%2B0123456789",
        base64.b64encode(b"abc/def+0123456789").decode(),
        "…/def+0123",
    ):
        hidden = secret.redacted(f"a {text} z")
        assert "0123" not in hidden and "[key]" in hidden and hidden[:2] == "a " and hidden[-2:] == " z"
    assert secret.redacted("abc/de is too little") == "abc/de is too little"
    assert Secret("short").redacted("a short one") == "a [key] one" and Secret().redacted("all") == "all"
    assert "abc" not in repr(secret)
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert not secret_from("") and secret_from("OPENAI_API_KEY").headers() == {
        "Authorization": f"Bearer {KEY}"
    }
