"""Answers of models and of persons that are read again: turn by turn, as they were used, none of them twice."""

from __future__ import annotations

import json

import hall
import pytest
from asking import ARCHIVE, FEEDBACK, KEY, NOBODY, OFFLINE, ask, lengths, model
from chat_server import Server, environments, says

from jaxrl_evolve import random
from jaxrl_evolve.generation.feedback import Feedback
from jaxrl_evolve.generation.lifecycle import added, observed
from jaxrl_evolve.generation.person import person_proposer
from jaxrl_evolve.generation.prompts import first_messages
from jaxrl_evolve.generation.recorded import recorded_proposer


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def test_a_record_is_read_turn_by_turn_as_the_model_was(tmp_path):
    wrong = environments(hall.spec(length=3), hall.spec(goal="fly"))
    script = says(wrong), says(environments(hall.spec(length=5))), says(environments(hall.spec(length=7)))
    with Server(*script) as server:
        first, proposer = ask(server, tmp_path, offline=NOBODY)
        second = proposer.propose(FEEDBACK, ARCHIVE, 2, random.key(0))
    assert lengths(first) == [3, 5] and lengths(second) == [7]
    again = recorded_proposer(hall.DOMAIN, tmp_path / "answers.jsonl", NOBODY)
    found = [again.propose(FEEDBACK, ARCHIVE, 2, random.key(0)) for _ in range(3)]
    assert [lengths(each) for each in found] == [[3, 5], [7], []]


def test_of_a_killed_loop_only_the_answers_that_were_used_are_replayed(tmp_path):
    script = [says(environments(hall.spec(length=n))) for n in (3, 4, 5, 6)]
    with Server(*script) as server:
        _, proposer = ask(server, tmp_path, offline=NOBODY, mode="record")
        state = json.loads(json.dumps(proposer.state()))
        proposer.propose(FEEDBACK, ARCHIVE, 1, random.key(0))  # and killed before it is taken up
        resumed = model(server, tmp_path, NOBODY, mode="record")
        resumed.restore(state)
        used = [3, *(lengths(resumed.propose(FEEDBACK, ARCHIVE, 1, random.key(0)))[0] for _ in range(2))]
    assert used == [3, 5, 6]
    replay, proposer = ask("", tmp_path, offline=NOBODY, mode="replay", replay_by="sequence")
    more = [proposer.propose(FEEDBACK, ARCHIVE, 1, random.key(0)) for _ in range(2)]
    assert [lengths(each)[0] for each in (replay, *more)] == used
    recorded = recorded_proposer(hall.DOMAIN, tmp_path / "answers.jsonl", NOBODY)
    assert [lengths(recorded.propose(FEEDBACK, ARCHIVE, 1, random.key(0)))[0] for _ in used] == used


def test_what_was_to_be_mended_is_not_lost_by_an_answer_that_nobody_can_read(tmp_path):
    with Server(says(environments(hall.spec(length=99))), says("I would rather not.")) as server:
        found, _ = ask(server, tmp_path, k=1, offline=NOBODY)
    assert lengths(found) == [20] and "the answer is not of the form" in found.notes[0]


def test_prompts_tell_of_earlier_cycles():
    found = added(ARCHIVE, hall.DOMAIN, OFFLINE.propose(FEEDBACK, ARCHIVE, 1, random.key(0)).proposals)
    (new,) = [i for i in found.entries if i != ARCHIVE.original.identity]
    told = lambda archive: first_messages(hall.DOMAIN, Feedback(), archive, 1, "fenced")[1]["content"]
    assert "success not played yet" in told(found)
    text = told(observed(found, {new: (40, 0), ARCHIVE.original.identity: (40, 20)}))
    assert "success 0 % expected by earlier cycles" in text and "success 50 % expected" in text
    assert "not played yet" not in text


def test_what_a_person_wrote_is_proposed_once_and_refusals_stand_in_nobodys_way(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps([hall.spec(length=n) for n in (2, 3, 4)]))
    proposer = person_proposer(hall.DOMAIN, path, NOBODY)
    assert proposer.scarce
    came = []
    for _ in range(3):  # none of them is taken into the archive
        again = person_proposer(hall.DOMAIN, path, NOBODY)
        again.restore(json.loads(json.dumps(proposer.state())))
        came += lengths(again.propose(Feedback(), ARCHIVE, 1, random.key(0)))
        proposer = again
    assert sorted(came) == [2, 3, 4]
    assert "nothing new" in proposer.propose(Feedback(), ARCHIVE, 1, random.key(0)).notes[0]


def test_what_is_for_this_machine_goes_through_no_proxy(tmp_path, monkeypatch):
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # where nobody listens
    with Server(says(environments(hall.spec(length=3)))) as server:
        found, _ = ask(server, tmp_path, k=1, offline=NOBODY)
    assert lengths(found) == [3]
