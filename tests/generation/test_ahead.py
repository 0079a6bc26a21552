"""Specs that are asked for a cycle ahead: a killed loop comes to the same archive, and nobody waits for who is slow."""

from __future__ import annotations

import dataclasses
import json
import threading

import hall
import hall_env
import pytest

from jaxrl_evolve import random
from jaxrl_evolve.generation import train as training
from jaxrl_evolve.generation.ahead import Ahead, proposed_from
from jaxrl_evolve.generation.config import GenerateConfig
from jaxrl_evolve.generation.feedback import Feedback
from jaxrl_evolve.generation.lifecycle import added, new_archive
from jaxrl_evolve.generation.loops import LOOPS
from jaxrl_evolve.generation.offline import offline_proposer
from jaxrl_evolve.generation.train import generate
from jaxrl_evolve.training.host import Host
from jaxrl_evolve.training.interrupts import Interrupted

CONFIG = dataclasses.replace(hall_env.CONFIG, loop="dicode", background=True, final_steps=0)


@pytest.fixture
def run(monkeypatch):
    def go(out):
        made = hall_env.experiment()._replace(loop=LOOPS["dicode"])
        monkeypatch.setattr(training, "build", lambda *_: made)
        return generate(CONFIG, out, setting=hall_env.SETTING, resume=out.exists())

    return go


def test_a_killed_loop_has_what_it_had_asked_for(tmp_path, run, monkeypatch):
    asked = []
    make = training.make_proposer

    def watched(*arguments):
        proposer = make(*arguments)

        def propose(feedback, archive, k, key):
            asked.append((threading.current_thread().name, archive.cycle))
            return proposer.propose(feedback, archive, k, key)

        return proposer._replace(propose=propose)

    monkeypatch.setattr(training, "make_proposer", watched)
    whole = run(tmp_path / "whole")
    # The first specs are asked for at once; those of a cycle by what was known as the one before began.
    assert asked == [("MainThread", 0), ("jaxrl_evolve-propose", 0), ("jaxrl_evolve-propose", 1)]
    born = [e.born for e in [*whole.standing.archive.entries.values()][1:]]
    assert {0, 1, 2} <= set(born)
    calls = iter((None, "SIGTERM"))
    with monkeypatch.context() as patch:
        patch.setattr(Host, "signal", lambda self: next(calls, "SIGTERM"))
        with pytest.raises(Interrupted, match="after 2 of 3 cycles"):
            run(tmp_path / "parts")
    again = run(tmp_path / "parts")
    assert again.standing == whole.standing
    read = lambda name: (tmp_path / name / "archive.json").read_bytes()
    assert read("parts") == read("whole")


def test_a_cycle_is_not_lost_by_a_proposer_that_fails_beside_it(tmp_path, run, monkeypatch):
    make, fails = training.make_proposer, [True]

    def failing(*arguments):
        proposer = make(*arguments)

        def propose(feedback, archive, k, key):
            if fails and threading.current_thread().name == "jaxrl_evolve-propose":
                raise RuntimeError("boom")
            return proposer.propose(feedback, archive, k, key)

        return proposer._replace(propose=propose)

    monkeypatch.setattr(training, "make_proposer", failing)
    with pytest.raises(RuntimeError, match="boom"):
        run(tmp_path / "run")
    assert [path.name for path in tmp_path.glob("run/cycles/cycle_*")] == ["cycle_000001.json"]
    fails.clear()
    assert run(tmp_path / "run").standing.done == CONFIG.cycles


def test_nobody_waits_for_who_is_slow_and_what_is_late_is_taken_up():
    domain = hall.DOMAIN
    offline, archive, told, done = offline_proposer(domain), new_archive(domain), threading.Event(), []

    def propose(feedback, archive, k, key):
        assert told.wait(10)
        found = offline.propose(feedback, archive, k, key)
        return dataclasses.replace(
            found, proposals=tuple(dataclasses.replace(p, author="slow") for p in found.proposals)
        )

    slow = offline._replace(name="slow", propose=propose, state=lambda: {"done": len(done)})
    ahead = Ahead(slow, offline, 0.0)
    ahead.begin(Feedback(), archive, 2, random.key(0))
    early = ahead.wait(Feedback(), archive, 2, random.key(1))
    assert {p["author"] for p in early["proposals"]} == {"quality-diversity"} and len(early["proposals"]) == 2
    assert "slow is not ready" in early["notes"][0]
    assert ahead.state({"before": 1}) == {"before": 1}  # it is still thinking
    first = ahead.taken(json.loads(json.dumps(early)), Feedback(), archive, 2, random.key(2))
    assert first.proposals == proposed_from(early).proposals
    archive = added(archive, domain, first.proposals)
    told.set()
    ahead.begin(Feedback(), archive, 2, random.key(3))  # asks nobody: it waits for the first answer
    patient = Ahead(slow, offline, 10.0)
    patient._background = ahead._background
    late = patient.wait(Feedback(), archive, 2, random.key(4))
    found = patient.taken(late, Feedback(), archive, 2, random.key(5))
    assert "slow" in {p.author for p in found.proposals}
    assert not {p.identity for p in found.proposals} & archive.entries.keys()
    assert patient.state({}) == {"done": 0}


def test_who_asks_nobody_ahead_is_refused():
    with pytest.raises(ValueError, match="loop fixed asks nobody a cycle ahead"):
        GenerateConfig(loop="fixed", background=True)
    with pytest.raises(ValueError, match="patience is -1"):
        GenerateConfig(patience=-1)


def test_steps_of_a_proposer_that_is_asked_ahead_are_counted():
    domain = hall.DOMAIN
    archive, offline = new_archive(domain), offline_proposer(domain)
    plays = lambda *asked: dataclasses.replace(offline.propose(*asked), steps=12_345)
    ahead = Ahead(offline._replace(propose=plays), offline, 10.0)
    ahead.begin(Feedback(), archive, 2, random.key(0))
    came = json.loads(json.dumps(ahead.wait(Feedback(), archive, 2, random.key(1))))
    assert ahead.taken(came, Feedback(), archive, 2, random.key(2)).steps == 12_345
    del came["steps"]  # as an earlier version wrote it
    assert proposed_from(came).steps == 0
