"""What people read of a loop: notes, and the page with cycles, refusals and who chose."""

from __future__ import annotations

import dataclasses
import json

import hall
import hall_env

from jaxrl_evolve import random
from jaxrl_evolve.generation import outcome
from jaxrl_evolve.generation import train as training
from jaxrl_evolve.generation.candidates import look_at_all
from jaxrl_evolve.generation.feedback import Feedback
from jaxrl_evolve.generation.lifecycle import added, new_archive, rejected
from jaxrl_evolve.generation.loops import LOOPS
from jaxrl_evolve.generation.proposal import Candidate, Proposed, Proposer
from jaxrl_evolve.generation.recorded import recorded_proposer
from jaxrl_evolve.generation.standing import Standing
from jaxrl_evolve.generation.train import generate

SETTING, CONFIG = hall_env.SETTING, hall_env.CONFIG


def test_what_no_skill_of_the_original_is_in_is_said_and_played(tmp_path, monkeypatch):
    columns = lambda data: [] if data["length"] == 3 else hall.SKILLS
    made = hall_env.experiment()._replace(loop=LOOPS["fixed"], setting=SETTING._replace(columns=columns))
    monkeypatch.setattr(training, "build", lambda *_: made)
    file = tmp_path / "mine.json"
    file.write_text(json.dumps([hall.spec(length=3), hall.spec(length=4)]))
    more = {"proposer": "person", "file": str(file), "specs": 2, "cycles": 1, "final_steps": 0}
    found = generate(dataclasses.replace(CONFIG, loop="fixed", **more), setting=made.setting).standing
    strange = next(e for e in found.archive.entries.values() if e.data["length"] == 3)
    skills = "walk, carry, climb, swim"
    told = f"cycle 1: spec {strange.identity[:8]} by person: mine.json has no skill of the original ({skills}), so none is counted in it"
    assert found.notes == (told,) and strange.episodes


def test_the_page_of_a_loop_counts_cycles_from_1_and_says_who_chooses():
    archive = new_archive(hall.DOMAIN)
    look = lambda *specs: look_at_all(hall.DOMAIN, archive, [Candidate(s, "me") for s in specs], 2)
    found = look(hall.spec(length=3), hall.spec(length=99))
    archive = rejected(added(archive, hall.DOMAIN, found.proposals), hall.DOMAIN, found.rejections)
    page = outcome.report(dataclasses.replace(CONFIG, loop="levels"), Standing(archive), [])
    first, second = [line for line in page.splitlines() if line.startswith("- `")]
    assert first.endswith("` original: active") and second.endswith(" written by me, cycle 1: active")
    assert "| invalid | 1 | length is 99; it must be a whole number from 1 to 20 |" in page
    assert "Proposer: none is asked" in page and "What is played by the curriculum random." in page
    told = outcome.summarise(dataclasses.replace(CONFIG, loop="levels"), Standing(archive), [], {})
    assert told["curriculum"] == "random"
    page = outcome.report(CONFIG, Standing(archive), [])
    assert "Proposer: offline" in page and "curriculum" not in page


def test_what_is_refused_of_a_recorded_answer_is_said(tmp_path):
    nobody = Proposer("nobody", lambda *_: Proposed())
    specs = [hall.spec(goal="fly"), {"width": 9}]
    path = tmp_path / "answers.jsonl"
    path.write_text(json.dumps({"author": "me", "answer": json.dumps({"environments": specs})}) + "\n")
    found = recorded_proposer(hall.DOMAIN, path, nobody).propose(
        Feedback(), new_archive(hall.DOMAIN), 2, random.key(0)
    )
    told = [note.removeprefix("recorded answer 1: ") for note in found.notes]
    assert told[:2] == [
        "goal is 'fly'; it must be one of walk, carry, climb, swim",
        "width: there is no such field",
    ]
