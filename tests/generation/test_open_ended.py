"""The open-ended loop: what is interesting, what is looked up, where specialists begin, what counts, and that a killed one resumes."""

from __future__ import annotations

import dataclasses
import json

import hall
import hall_env
import jax
import numpy as np
import pytest

from jaxrl_evolve.generation import interest
from jaxrl_evolve.generation import train as training
from jaxrl_evolve.generation.archive import Entry
from jaxrl_evolve.generation.lifecycle import new_archive
from jaxrl_evolve.generation.loops import LOOPS
from jaxrl_evolve.generation.open_ended import OpenEndedRun
from jaxrl_evolve.generation.open_ended_config import OpenEndedConfig
from jaxrl_evolve.generation.proposal import Proposed
from jaxrl_evolve.generation.train import generate
from jaxrl_evolve.results.report import report
from jaxrl_evolve.training.host import Host
from jaxrl_evolve.training.interrupts import Interrupted

SETTING = hall_env.SETTING
CONFIG = dataclasses.replace(hall_env.CONFIG, loop="open-ended", cycles=5, cycle_steps=512, final_steps=0)


@pytest.fixture(scope="module")
def programs():
    return hall_env.experiment()._replace(loop=LOOPS["open-ended"])


@pytest.fixture
def run(monkeypatch, programs):
    def go(out, config=CONFIG, **options):
        monkeypatch.setattr(training, "build", lambda *_: programs)
        return generate(config, out, setting=SETTING, **options)

    return go


def entry(name, *features, cell=(0,)):
    return Entry(name, {}, features, cell)


def test_novelty_is_relative_to_how_far_learned_specs_are_from_each_other():
    learned = np.asarray([[0.0], [1.0], [2.0], [4.0]])
    # The nearest others are 1, 1, 1 and 2 away: the median is 1.
    assert interest.typical(learned, 1) == 1.0
    # Of two: 1.5, 1, 1.5, 2.5.
    assert interest.typical(learned, 2) == 1.5
    np.testing.assert_allclose(interest.strangeness(np.asarray([[3.5], [9.0]]), learned, 2), [1.0, 6.0])
    close, far = interest.novel(np.asarray([[0.4], [4.6]]), learned, 1, 0.5)
    assert not close and far
    # Where nothing is learned, everything is new.
    assert interest.novel(np.asarray([[0.0]]), np.zeros((0, 1)), 3, 0.5).all()


def test_retrieval_is_by_distance_and_anchors_by_disuse():
    learned = [entry("a", 0.0), entry("b", 3.0), entry("c", 1.0)]
    assert [e.identity for e in interest.nearest((1.4,), learned, 2)] == ["c", "a"]
    rng = np.random.default_rng(0)
    drawn = [interest.anchor(learned, {"a": 1, "b": 3}, rng).identity for _ in range(400)]
    assert "c" not in drawn and 270 < drawn.count("b") < 330
    assert {interest.anchor(learned, {}, rng).identity for _ in range(50)} == {"a", "b", "c"}
    archive = new_archive(hall.DOMAIN)
    assert [e.status for e in interest.view(archive, ()).entries.values()] == ["active"]
    wide = [dataclasses.replace(e, features=(*e.features, *[0.0] * 6)) for e in learned]
    there = interest.view(archive, wide[:1], wide[1:2])
    assert [e.status for e in there.entries.values()] == ["learned", "active", "failed"]
    assert [e.identity for e in there.elites()] == ["a"]


def test_coverage_is_of_archives_laid_out_together():
    corners = np.asarray([[x, y, 0.0] for x in (0.0, 3.0) for y in (0.0, 1.0)])
    # The plane of the corners is that of the components; 2 by 2 cells have one each.
    assert interest.coverage({"four": corners, "one": corners[:1]}, 2) == {"four": 1.0, "one": 0.25}
    assert interest.coverage({"none": np.zeros((0, 3)), "one": corners[:1]}, 2) == {"none": 0.0, "one": 0.25}
    filled = [entry("a", cell=(1, 0)), entry("b", cell=(1, 0)), entry("c", cell=(2, 0))]
    there = 1 + len(hall.SKILLS)
    for descriptor in hall.DOMAIN.descriptors:
        there *= descriptor.levels
    assert interest.cells(hall.DOMAIN, filled) == 2 / there


def test_a_killed_open_ended_loop_comes_to_the_same_end(tmp_path, run, monkeypatch, programs):
    began, kept = [], {}
    play = OpenEndedRun._play

    def watched(self, part, updates, results):
        (identity,) = part
        near = interest.nearest(self.standing.archive.entries[identity].features, self.learned, 1)
        plain = lambda learner: [np.array(x) for x in jax.tree.leaves(learner.params)]
        first = plain(self._agent(near[0] if near else None))
        # It begins as the agent of the nearest was when it had learned; without one as one that knows nothing.
        expected = kept[near[0].identity] if near else kept.setdefault("", first)
        assert all((a == b).all() for a, b in zip(first, expected, strict=True))
        found = play(self, part, updates, results)
        kept[identity] = plain(self.state.learner)
        began.append((len(self.learned), bool(near)))
        return found

    monkeypatch.setattr(OpenEndedRun, "_play", watched)
    whole = run(tmp_path / "whole")
    calls = iter((None, None, "SIGTERM"))
    with monkeypatch.context() as patch:
        patch.setattr(Host, "signal", lambda self: next(calls, "SIGTERM"))
        with pytest.raises(Interrupted, match="after 3 of 5 cycles"):
            run(tmp_path / "parts")
    again = run(tmp_path / "parts", resume=True)
    assert again.standing == whole.standing
    assert (tmp_path / "parts" / "archive.json").read_bytes() == (
        tmp_path / "whole" / "archive.json"
    ).read_bytes()
    assert programs.programs.evaluate._cache_size() == programs.programs.begin._cache_size() == 1
    told = json.loads((tmp_path / "whole" / "result.json").read_text())
    own, entries = whole.standing.own, whole.standing.archive.entries
    assert told["learned"] == len(own["bank"]) > 0
    assert [entries[i].status for i in own["bank"]] == ["learned"] * len(own["bank"])
    assert all(entries[i].belief.won >= 8 for i in own["bank"])
    assert 1 <= own["annecs"] <= len(own["bank"]) and own["annecs_novel"] <= own["annecs"]
    played = [e for e in entries.values() if e.episodes]
    # Every step is in a generated spec, and one spec a cycle is played.
    assert told["steps"]["generated"] == 512 * len(played) and told["steps"]["original"] == 0
    assert all(near == (count > 0) for count, near in began)
    page = (tmp_path / "whole" / "report.md").read_text()
    assert "annecs" in page and "coverage" in page


def test_a_cycle_in_which_nothing_is_interesting_is_a_row_like_any(tmp_path, run, monkeypatch):
    propose = OpenEndedRun._found
    bored = lambda self, archive, cycle, *rest: (
        Proposed() if cycle == 1 else propose(self, archive, cycle, *rest)
    )
    monkeypatch.setattr(OpenEndedRun, "_found", bored)
    config = dataclasses.replace(CONFIG, cycles=3, keep=3)
    whole = run(tmp_path / "run", config)
    assert [row["success"] is None for row in whole.rows] == [False, True, False]
    assert [row["env_steps"] for row in whole.rows] == [512, 512, 1024]
    made = report([tmp_path / "run"], tmp_path / "report")
    assert made.loops[0].last_success == whole.rows[-1]["success"]
    # The row of that cycle has the steps of the one before, and goes with it all the same.
    again = run(tmp_path / "run", config, resume=True, step=1)
    assert again.standing == whole.standing
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["cycle"] for row in rows] == [1, 2, 3] == [row["cycle"] for row in again.rows]
    assert made.loops[0].last_success is not None


def test_of_specs_that_hold_the_farthest_is_tried_and_of_a_persons_none_is_lost(tmp_path, run):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps([hall.spec(length=n) for n in (2, 3, 4)]))
    config = dataclasses.replace(
        CONFIG, cycles=3, proposer="person", file=str(path), open_ended=OpenEndedConfig(novelty=0.0)
    )
    found = run(None, config)
    played = [e for e in found.standing.archive.entries.values() if e.episodes]
    assert sorted(e.data["length"] for e in played) == [2, 3, 4]


def test_ablations_show_less_and_take_more(run, monkeypatch):
    seen = []
    shown = OpenEndedRun._shown

    def watched(self, archive, rng):
        found = shown(self, archive, rng)
        seen.append(len(found[0].entries))
        return found

    monkeypatch.setattr(OpenEndedRun, "_shown", watched)
    blind = dataclasses.replace(CONFIG, cycles=3, open_ended=OpenEndedConfig(examples=0))
    run(None, blind)
    assert seen == [1, 1, 1]
    anything = dataclasses.replace(CONFIG, cycles=3, open_ended=OpenEndedConfig(novelty=0.0))
    found = run(None, anything)
    assert "uninteresting" not in found.standing.archive.rejections
    # A gate that nothing passes lets nothing be trained on, once it knows what is usual.
    closed = run(None, dataclasses.replace(CONFIG, open_ended=OpenEndedConfig(novelty=1e9)))
    assert len(closed.standing.own["bank"]) == 2 and closed.standing.archive.rejections["uninteresting"]


def test_a_judge_is_asked_besides(run, monkeypatch):
    asked = []

    def judge(proposal, near):
        asked.append([e.identity for e in near])
        return "it is dull"

    made = training.make_proposer
    monkeypatch.setattr(training, "make_proposer", lambda *a: made(*a)._replace(judge=judge))
    found = run(None)
    assert len(found.standing.own["bank"]) == 1 and asked[0] == [found.standing.own["bank"][0]]
    assert found.standing.archive.rejections["uninteresting"] == len(asked)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="final_steps is 5, but the loop open-ended"):
        dataclasses.replace(CONFIG, final_steps=5)
    with pytest.raises(ValueError, match="solved"):
        OpenEndedConfig(solved=1.5)
