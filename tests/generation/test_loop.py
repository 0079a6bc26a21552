"""The loop: where its steps go, what it learns of, and that a resumed one comes to the same end."""

from __future__ import annotations

import csv
import dataclasses
import json
import typing
from collections import Counter

import hall
import hall_env
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_evolve.generation import train as training
from jaxrl_evolve.generation.acceptance import doubts_of
from jaxrl_evolve.generation.archive_config import ArchiveConfig
from jaxrl_evolve.generation.belief import Belief
from jaxrl_evolve.generation.candidates import filled_up, look_at_all
from jaxrl_evolve.generation.config import PROPOSERS, GenerateConfig
from jaxrl_evolve.generation.experiment import build
from jaxrl_evolve.generation.intervals import wilson
from jaxrl_evolve.generation.loops import LOOPS
from jaxrl_evolve.generation.proposal import Candidate, Proposal, Proposed, Proposer
from jaxrl_evolve.generation.proposers import BUILTIN_PROPOSERS
from jaxrl_evolve.generation.setting import Validated, Verdict, make_setting
from jaxrl_evolve.generation.train import generate
from jaxrl_evolve.results.report import report
from jaxrl_evolve.results.report.loops import STEPS
from jaxrl_evolve.runs.evaluation import Episodes
from jaxrl_evolve.training.host import Host
from jaxrl_evolve.training.interrupts import Interrupted
from jaxrl_evolve.training.register import register

SETTING, CONFIG = hall_env.SETTING, hall_env.CONFIG


@pytest.fixture(scope="module")
def programs():
    return hall_env.experiment()


@pytest.fixture
def run(monkeypatch, programs):
    def go(out, config=CONFIG, **options):
        made = programs._replace(loop=LOOPS[config.loop])
        monkeypatch.setattr(training, "build", lambda *_: made)
        return generate(config, out, setting=SETTING, **options)

    return go


@pytest.mark.core
def test_a_killed_loop_comes_to_the_same_end(tmp_path, run, monkeypatch, programs):
    whole = run(tmp_path / "whole")
    calls = iter((None, "SIGTERM"))
    with monkeypatch.context() as patch:
        patch.setattr(Host, "signal", lambda self: next(calls, "SIGTERM"))
        with pytest.raises(Interrupted, match="after 2 of 4 cycles"):
            run(tmp_path / "parts")
    # Who waits for the notes reads them before the end.
    assert "\n| 2 | 2,048 |" in (tmp_path / "parts" / "report.md").read_text()
    again = run(tmp_path / "parts", resume=True)
    assert again.standing == whole.standing
    for name in ("archive.json",):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    plain = lambda tree: [
        np.asarray(jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x)
        for x in jax.tree.leaves(tree)
    ]
    for a, b in zip(plain(whole.state), plain(again.state), strict=True):
        np.testing.assert_array_equal(a, b)
    # Specs, shares and phases are data: each program was compiled once.
    assert programs.programs.begin._cache_size() == 1
    assert programs.programs.evaluate._cache_size() == 1
    told = json.loads((tmp_path / "whole" / "result.json").read_text())
    assert told["authors"] == {"quality-diversity": told["specs"] - told["statuses"].get("rejected", 0)}
    assert told["steps"]["original"] == 3 * 512 + 256 and told["steps"]["generated"] == 3 * 512
    assert told["env_steps"] == sum(r["env_steps"] for r in whole.rows[-1:]) == 3 * 1024 + 256
    assert told["steps"]["validation"] == 10 * sum(r["proposed"] for r in whole.rows) + 10 * told[
        "rejections"
    ].get("won at reset", 0)
    page = (tmp_path / "whole" / "report.md").read_text()
    assert "by quality-diversity" in page and "skill_" not in page and "| Cycle" in page
    check_report(tmp_path, whole)


def check_report(tmp_path, whole):
    """The report tells of steps, skills and specs what the loop counted."""
    made = report([tmp_path / "parts"], tmp_path / "report")
    (loop,) = made.loops
    assert set(STEPS) == set(whole.standing.steps)
    assert loop.all_steps == sum(whole.standing.steps.values()) and len(loop.tables) == 4
    names = {path.name for path in made.files}
    assert names >= {"loops.csv", "specs.csv", "skills.csv", "loop_1_tree.png", "loop_1_skills.png"}
    assert "loop_1_maps.png" not in names and any("grid specs alone" in note for note in made.notes)
    with (tmp_path / "report" / "skills.csv").open() as file:
        rows = list(csv.DictReader(file))
    episodes = Counter()
    for row in rows:
        if (row["skill"], row["while"]) == ("success", "trained"):
            episodes[row["spec"]] += int(row["episodes"])
    archive = whole.standing.archive.entries
    assert episodes == {i: e.episodes for i, e in archive.items() if e.episodes}
    told = {
        row["skill"]: float(row["low"]) for row in rows if (row["while"], row["cycle"]) == ("evaluated", "4")
    }
    low = told.pop("success")  # of the same episodes as the skills
    assert told == {name: r.rate.low for name, r in whole.standing.feedback.skills.items()}
    assert low == float(wilson(round(16 * whole.rows[-1]["success"]), 16)[1])
    assert f"{loop.all_steps:,}" in made.markdown
    for reason, count in whole.standing.archive.rejections.items():
        assert f"| {reason} | {count} |" in made.markdown
    again = report([tmp_path / "parts"], tmp_path / "report")  # in place of the earlier one
    assert {path.name for path in again.files} == names


@pytest.mark.parametrize(
    "loop", ["fixed", "adversarial", "easy-to-hard", "original-only", "envgen-mixed", "dicode", "mutation"]
)
def test_loops_make_the_same_steps_and_differ_in_where(run, loop):
    found = run(None, dataclasses.replace(CONFIG, loop=loop, final_steps=0))
    steps, entries = found.standing.steps, [*found.standing.archive.entries.values()][1:]
    assert found.standing.env_steps == 3 * 1024
    share = {"original-only": 1.0, "envgen-mixed": 2 / 8, "dicode": 2 / 8, "mutation": 2 / 8}.get(
        loop, 0.5
    )  # a fifth of 8 slots is 2
    assert steps["original"] == share * 3 * 1024
    played = [e for e in entries if e.episodes]
    assert bool(played) == (loop != "original-only")
    if loop == "original-only":
        assert not entries
    if loop == "mutation":
        assert {e.author for e in entries} == {"mutation"} and max(e.born for e in entries) == 2
    if loop == "fixed":
        assert {e.born for e in entries} == {0} and all(e.seen == 2 for e in played)
    if loop == "adversarial":
        assert {round(20 * (e.data["slip"] - 0.1)) for e in entries} == {1, 2, 3} and {
            e.author for e in entries
        } == {"by hand"}
    if loop == "easy-to-hard":
        assert [e.data["gifts"] for e in entries] == [["carry"]]  # all the help that there is
    rates = found.standing.feedback.skills
    assert rates.keys() == set(hall.SKILLS) and all(r.rate.episodes == 16 for r in rates.values())
    assert rates["walk"].rate.mean >= rates["carry"].rate.mean >= rates["climb"].rate.mean


def test_names_of_loops_are_those_of_the_configuration():
    assert typing.get_args(typing.get_type_hints(GenerateConfig)["loop"]) == tuple(LOOPS)
    with pytest.raises(ValueError, match="did you mean envgen"):
        GenerateConfig(loop="evgen")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="file is empty"):
        GenerateConfig(proposer="person")
    with pytest.raises(ValueError, match="file is 'x.json', but the proposer offline reads none"):
        GenerateConfig(file="x.json")
    with pytest.raises(ValueError, match="active must be at least 5"):
        GenerateConfig(archive=ArchiveConfig(active=4))
    with pytest.raises(ValueError, match="did you mean specs/tech-tree"):
        generate(GenerateConfig(env="specs/techtree"))
    with pytest.raises(
        ValueError,
        match="env_options has 'veiw', which loops on specs/tech-tree do not take: did you mean view",
    ):
        make_setting("specs/tech-tree", {"veiw": 5})
    assert (
        make_setting("specs/tech-tree", {"view": 5}).env.observation_space
        != make_setting("specs/tech-tree").env.observation_space
    )
    again = GenerateConfig.from_json(CONFIG.to_json())
    assert again == CONFIG


def test_a_proposer_of_ones_own_is_found_by_its_name(tmp_path, run):
    """It is asked in every cycle, what it leaves open is filled up, and the record says who wrote what."""
    asked = []

    def nobody(domain, file, offline):
        def propose(feedback, archive, k, key):
            asked.append((file, k, domain.language.name))
            return filled_up(Proposed(), offline, feedback, archive, k, key)

        return Proposer("nobody", propose)

    config = dataclasses.replace(CONFIG, proposer="nobody", file="ideas.txt")
    with pytest.raises(
        ValueError,
        match="proposer is 'nobody', which is not known: known are editor, llm, offline, person, recorded",
    ):
        run(tmp_path / "run", config)
    assert not (tmp_path / "run").exists()
    register("proposer", "nobody", nobody)
    result = run(tmp_path / "run", config)
    assert asked == [("ideas.txt", CONFIG.specs, SETTING.domain.language.name)] * CONFIG.cycles
    assert {entry.author for entry in result.standing.archive.entries.values()} == {
        "original",
        "quality-diversity",
    }
    register("proposer", "nobody", lambda *_: "nothing")
    with pytest.raises(
        ValueError, match="the factory of proposer 'nobody' gave a str; it must be a Proposer"
    ):
        run(tmp_path / "again", config)
    register("proposer", "llm", nobody)
    with pytest.raises(
        ValueError, match="proposer 'llm' was registered, but that is one of the library's names"
    ):
        run(tmp_path / "again", dataclasses.replace(CONFIG, proposer="llm"))


def test_what_a_proposer_says_twice_takes_no_share_of_the_steps(run):
    def stammering(domain, file, offline):
        def propose(feedback, archive, k, key):
            specs = [Candidate(hall.spec(length=n), "me") for n in (3, 4)]
            found = look_at_all(domain, archive, specs, k).proposals
            return Proposed((*found, *found))

        return Proposer("stammering", propose)

    register("proposer", "stammering", stammering)
    config = dataclasses.replace(CONFIG, loop="envgen-mixed", proposer="stammering", cycles=1, final_steps=0)
    standing = run(None, config).standing
    assert (standing.steps["original"], standing.steps["generated"]) == (256, 768)  # a fifth of 8 slots is 2
    assert standing.archive.rejections == {"duplicate": 2} and len(standing.latest) == 2


def test_files_of_proposers_are_looked_at_before_a_folder_is_made(tmp_path, run):
    for proposer, file, said in (
        ("recorded", tmp_path / "none.jsonl", "which does not exist"),
        ("recorded", tmp_path, "which is no regular file"),
        ("person", tmp_path, "which is no regular file"),
    ):
        with pytest.raises(ValueError, match=said):
            run(tmp_path / "run", dataclasses.replace(CONFIG, proposer=proposer, file=str(file)))
    assert not (tmp_path / "run").exists()
    assert [*BUILTIN_PROPOSERS] == [*PROPOSERS]


def test_what_the_agent_masters_or_never_does_is_not_played(monkeypatch):
    config = dataclasses.replace(CONFIG, loop="dicode", acceptance=32, cycles=2, final_steps=0)
    made = hall_env.experiment()._replace(loop=LOOPS["dicode"])

    def trial(key, learner, params):
        # Three kinds of specs, by their goal: done already, never done, and between.
        won = {0: 32, 1: 8, 2: 0, 3: 0}[int(params.goal)]
        done = {"success": np.arange(32) < won}
        return Episodes(np.zeros(32), np.full(32, 5), np.ones(32, bool), done)

    monkeypatch.setattr(
        training, "build", lambda *_: made._replace(programs=made.programs._replace(trial=trial))
    )
    entries = generate(config, setting=SETTING).standing
    archive = entries.archive
    kinds = {e.status for e in archive.entries.values() if e.data["goal"] == "walk"}
    assert kinds <= {"rejected"}
    assert archive.rejections.get("mastered", 0) == sum(
        e.reasons[:1] == ("mastered",) for e in archive.entries.values()
    )
    never = [e for e in [*archive.entries.values()][1:] if e.trial.episodes and e.trial.won == 0]
    assert never and all(
        e.status == "quarantined" and e.episodes == 0 and e.retry == e.born + 3 for e in never
    )
    tried = sum(e.trial.episodes > 0 or e.reasons[:1] == ("mastered",) for e in archive.entries.values())
    checked = len(archive.entries) - 1
    assert entries.steps["validation"] == 10 * checked + 32 * 5 * tried


def test_what_has_no_witness_is_left_alone_and_told(monkeypatch, tmp_path):
    asked = []

    def witness(proposals, seed, tries):
        asked.append({p.identity for p in proposals})
        hard = lambda p: ("witness", "nobody has won it") if p.data["goal"] == "swim" else ()
        return Validated([Verdict(hard(p)) for p in proposals], 7 * tries * len(proposals))

    config = dataclasses.replace(CONFIG, loop="dicode", witness=4, cycles=2, final_steps=0)
    made = hall_env.experiment()._replace(loop=LOOPS["dicode"], setting=SETTING._replace(witness=witness))
    monkeypatch.setattr(training, "build", lambda *_: made)
    standing = generate(config, tmp_path / "run").standing
    archive = standing.archive
    left = [e for e in archive.entries.values() if e.reasons[:1] == ("witness",)]
    assert left and all(e.data["goal"] == "swim" and e.status == "quarantined" for e in left)
    assert all(e.retry == e.born + 3 and e.episodes == 0 for e in left)
    assert archive.rejections["witness"] == len(left)
    assert {e.identity for e in left} <= set().union(*asked)
    checked = len(archive.entries) - 1
    assert standing.steps["validation"] == 10 * checked + 7 * 4 * sum(map(len, asked))
    assert "witness" in (tmp_path / "run" / "report.md").read_text()
    with pytest.raises(ValueError, match="nobody plays .* by a script; it must be 0"):
        build(config, SETTING)
    with pytest.raises(ValueError, match="decides by itself"):
        GenerateConfig(loop="population", witness=4)


def test_where_the_agent_succeeds_it_is_the_witness():
    proposal = lambda name: Proposal(name, {}, (), "a test")
    ones, trials = [proposal(n) for n in "abc"], {"a": Belief(1, 31), "b": Belief(0, 32)}
    asked = []
    setting = SETTING._replace(
        witness=lambda p, seed, tries: (
            asked.extend(x.identity for x in p) or Validated([Verdict(("witness", f"{seed}"))] * len(p), 5)
        )
    )
    config = dataclasses.replace(CONFIG, witness=2, seed=40)
    doubts, steps = doubts_of(ones, trials, setting, config, 2)
    assert asked == ["b", "c"] and steps == 5
    assert {i: reasons for i, (_, reasons) in doubts.items()} == dict.fromkeys("bc", ("witness", "42"))
    assert doubts_of(ones, trials, setting, CONFIG, 2) == ({}, 0)
