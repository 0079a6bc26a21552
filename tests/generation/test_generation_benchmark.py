"""The benchmark of generated environments: equal steps, a store that is resumed cell by cell, and a table of the store alone."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from types import SimpleNamespace

import hall
import numpy as np
import pytest

from jaxrl_evolve.generation.lifecycle import judged, new_archive
from jaxrl_evolve.training.interrupts import Diverged

PLACE = Path(__file__).resolve().parents[2] / "benchmarks" / "generation.py"


@pytest.fixture
def program(monkeypatch):
    spec = importlib.util.spec_from_file_location("generation_benchmark", PLACE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.asked = []
    programs = SimpleNamespace(programs=SimpleNamespace(scoring=5120))
    monkeypatch.setattr(module, "build", lambda config: programs)
    monkeypatch.setattr(module, "generate", lambda config, out, resume: _result(module, config))
    monkeypatch.setattr(module, "use_all_cores", lambda: None)
    monkeypatch.setattr(module, "use_compilation_cache", lambda: None)
    return module


def _result(module, config):
    """One skill in the control, 0.4 more in the closed loop or with longer cycles, and a little more with each seed; success pays besides."""
    module.asked.append((config.loop, config.seed))
    long = config.loop == "original-only" and config.cycle_steps > 400_000
    skills = 1.4 if long else {"original-only": 1.0, "dicode": 1.4}.get(config.loop, 1.2)
    skills, success = skills + 0.01 * config.seed, 0.25 if config.loop == "dicode" else 0.0
    annecs = 9 if config.open_ended == module.BASE.open_ended else 5
    steps = {"original": 100, "generated": 200, "validation": 30, "evaluation": 7, "scoring": 10}
    archive = new_archive(hall.DOMAIN)
    archive = judged(archive, archive.original.identity, 4, 4, learned=True)
    summary = {
        "success": success,
        "return": skills + success,
        "annecs_novel": annecs + config.seed % 2,
        "steps": steps,
        "skills": {},
    }
    return SimpleNamespace(
        summary=summary, rows=[{"cycle": 1}], standing=SimpleNamespace(archive=archive), config=config
    )


def test_arms_have_the_same_total_with_validation_and_scoring(program):
    total = 2_000_000
    for arm in program.ARMS["closed-loop"]:
        config = program.configuration("closed-loop", arm, 0, total)
        scoring = 5120 if config.loop == "levels" else 0
        took = config.updates * (config.steps_per_update + scoring) + program.validation(config)
        # No more than the total, and less than an update in each cycle short of it.
        assert total - config.cycles * (config.steps_per_update + scoring) < took <= total, arm
    with pytest.raises(ValueError, match="total is 1000, of which validation may take"):
        program.configuration("closed-loop", "closed-loop", 0, 1000)
    whole = program.configuration("open-ended", "no novelty", 3, program.TOTAL["open-ended"])
    assert whole.cycle_steps == 163_840
    assert (whole.loop, whole.open_ended.novelty, whole.seed, whole.cycles) == ("open-ended", 0.0, 3, 30)


def test_cells_are_kept_and_the_table_is_of_the_store_alone(program, tmp_path, capsys):
    places = [
        "--runs",
        str(tmp_path / "runs"),
        "--store",
        str(tmp_path / "store"),
        "--results",
        str(tmp_path),
    ]
    words = ["run", "closed-loop", "--arms", "original-only", "closed-loop", *places]
    program.main(words)
    assert len(program.asked) == 10
    program.main(words)
    assert len(program.asked) == 10  # what is in the store is left alone
    program.main(["table", "closed-loop", *places])
    page = (tmp_path / "generation_closed-loop.md").read_text()
    assert "| 0.400 | 0.400 to 0.400 |" in page and "by 0.35 at least holds: 0.400 over 5 pairs" in page
    with pytest.raises(SystemExit, match="total is 90000, but .* was made with 2000000"):
        program.main([*words, "--total", "90000"])
    assert len(program.asked) == 10
    program.main(["run", "open-ended", *places])
    program.main(["table", "open-ended", *places])
    page = (tmp_path / "generation_open-ended.md").read_text()
    assert "above no archive by 3 at least holds: 4.000" in page and "Coverage" in page and "0.2 %" in page
    program.main(["room", "--seeds", "0", *places])
    assert "room for an effect: 0.400, enough for 0.35" in capsys.readouterr().out
    program.asked.clear()
    program.main(["room", *places])  # not on the seeds that are reported
    assert {seed for _, seed in program.asked} | {0} == set(program.LOOKED) == {0, 1, 2}
    assert not set(program.LOOKED) & set(program.REPORTED)
    with pytest.raises(SystemExit):
        program.main(["run", "closed-loop", "--arms", "nobody", *places])


def test_who_diverges_holds_up_nobody_and_is_told(program, tmp_path, monkeypatch, capsys):
    def generate(config, out, resume):
        if config.loop == "dicode" and config.seed == 10:
            raise Diverged("the agent diverged in cycle 3")
        return _result(program, config)

    monkeypatch.setattr(program, "generate", generate)
    places = [
        "--runs",
        str(tmp_path / "runs"),
        "--store",
        str(tmp_path / "store"),
        "--results",
        str(tmp_path),
    ]
    with pytest.raises(SystemExit, match="^closed-loop seed 10: the agent diverged in cycle 3$"):
        program.main(["run", "--arms", "closed-loop", "original-only", *places])
    assert program.asked.count(("dicode", 14)) == 1 and len(program.asked) == 9
    program.main(["table", *places])
    assert "by 0.35 at least cannot be told: of 5 pairs there are 4." in capsys.readouterr().out


def test_the_interval_is_students_over_pairs(program):
    ours = dict(enumerate([0.5, 0.7, 0.6, 0.4, 0.8]))
    theirs = {**dict.fromkeys(range(5), 0.2), 9: 0.0}
    mean, low, high, pairs = program.difference(ours, theirs)
    gaps = np.asarray(list(ours.values())) - 0.2
    half = 2.7764451 * gaps.std(ddof=1) / np.sqrt(5)
    np.testing.assert_allclose((mean, low, high), (0.4, 0.4 - half, 0.4 + half), rtol=1e-6)
    assert pairs == 5 and np.isnan(program.difference({0: 1.0}, {0: 0.0})[1])


def test_the_arms_are_configurations_that_build(program):
    for arms in program.ARMS.values():
        for changes in arms.values():
            assert dataclasses.replace(program.BASE, **changes).specs
