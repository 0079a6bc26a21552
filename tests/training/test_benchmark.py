"""Benchmarks: cells that are trained once, go on where they were, and are reported together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jax
import pytest
from late import late

from jaxrl_evolve.command.main import main
from jaxrl_evolve.storage.folder import plain
from jaxrl_evolve.training import benchmark as module
from jaxrl_evolve.training.benchmark import benchmark, cells
from jaxrl_evolve.training.config import EvaluationConfig
from jaxrl_evolve.training.interrupts import Diverged, Interrupted
from jaxrl_evolve.training.suites import SUITES, Suite, find_suite

TINY = (
    "learner.capacity=128 learner.batch=8 learner.warm_up=16 learner.network.hidden=(8,) "
    "learner.gradient_steps=1 num_envs=4 rollout_length=4"
)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch):
    """A benchmark of two games that take no time."""
    evaluation = EvaluationConfig(times=1, episodes=2, final_episodes=2, mode="sample")
    games = {"Pole": "CartPole-v1", "Car": "MountainCar-v0"}
    monkeypatch.setitem(SUITES, "tiny", Suite("two games", games, 64, "dqn", evaluation))


@pytest.mark.usefixtures("tiny")
def test_cells_are_trained_once_and_more_of_them_join(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    trained = []
    train = module.train
    monkeypatch.setattr(
        module, "train", lambda config, *a, **k: trained.append(config) or train(config, *a, **k)
    )
    out = tmp_path / "results"
    first = benchmark("tiny", out, presets=[f"dqn {TINY}"], games=["Pole"], seeds=2)
    assert [row.label for row in first.comparison.rows] == [f"dqn {TINY}"]
    assert len(first.comparison.rows[0].run.returns) == 2
    cell = next(out.glob("*/Pole/seed-0"))
    saved = (cell / "result.json").read_bytes(), (cell / "metrics.csv").read_bytes()
    settings = json.loads((cell / "config.json").read_text())
    assert (settings["steps"], settings["seeds"], settings["learner"]["network"]["hidden"]) == (64, 2, [8])
    # The same again changes nothing; another game and another preset join what is there.
    again = benchmark("tiny", out, presets=[f"dqn {TINY}", f"dqn {TINY} hp.gamma=0.9"], seeds=2)
    assert ((cell / "result.json").read_bytes(), (cell / "metrics.csv").read_bytes()) == saved
    assert {(row.run.task, row.label) for row in again.comparison.rows} == {
        (env, label)
        for env in ("CartPole-v1", "MountainCar-v0")
        for label in (f"dqn {TINY}", f"dqn {TINY} hp.gamma=0.9")
    }
    assert "hp.gamma=0.9" in (out / "report" / "report.md").read_text()
    assert [config.hp.gamma for config in trained] == [0.99, 0.99, 0.9, 0.99, 0.9]
    with pytest.raises(ValueError, match="evaluation is .*'final_episodes': 1.*; give another --out"):
        benchmark("tiny", out, presets=["dqn"], games=["Pole"], evaluation=["final_episodes=1"])
    with pytest.raises(ValueError, match="evaluation is .*'max_steps': 20.* has .*'max_steps': 10000"):
        benchmark("tiny", out, presets=["dqn"], games=["Pole"], evaluation=["max_steps=20"])
    with pytest.raises(ValueError, match="steps is 128, but .*Car/seed-0 has 64; give another --out"):
        benchmark("tiny", out, presets=["dqn"], games=["Pole"], steps=128)
    # A game that is not asked for has a limit of its own.
    other = next(out.glob("*/Car/seed-0/config.json"))
    other.write_text(other.read_text().replace('"max_steps": 10000', '"max_steps": 27000'))
    assert json.loads(other.read_text())["evaluation"]["max_steps"] == 27_000
    # Of several processes the first one alone reports.
    shutil.rmtree(out / "report")
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    assert benchmark("tiny", out, presets=[f"dqn {TINY}"], games=["Pole"], seeds=2) is None
    assert not (out / "report").exists()
    # Seeds are paired: the same root seed, the same steps.
    assert {(config.seed, config.steps) for config in trained} == {(0, 64)}


@pytest.fixture
def instant(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Training that takes no time; all seeds of the games that are named diverge."""
    lost: list[str] = []

    def train(config: Any, folder: Path, *, resume: bool, quiet: bool) -> None:
        assert resume and quiet
        folder.mkdir(parents=True, exist_ok=True)
        stored = plain(config)
        stored["evaluation"]["max_steps"] = 10_000  # which is settled before it is written
        (folder / "config.json").write_text(json.dumps(stored))
        if folder.parent.name in lost:
            raise Diverged("loss or parameters of all 2 runs were not finite; no run is left")
        result = {"algorithm": "dqn", "env": config.env, "env_steps": config.steps, "seed": config.seed}
        own = [100.0 + config.seed, 50.0 + config.seed]
        (folder / "result.json").write_text(json.dumps(result | {"eval_return": own}))

    monkeypatch.setattr(module, "train", train)
    return lost


@pytest.mark.usefixtures("tiny", "instant")
def test_a_signal_in_the_last_stretch_of_a_cell_begins_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out, presets = tmp_path / "out", ["dqn"]
    monkeypatch.setattr(module, "train", late(module.train))
    with pytest.raises(Interrupted, match="^SIGTERM after dqn on Pole, 1 of 2; the same command goes on$"):
        benchmark("tiny", out, presets=presets, seeds=2)
    assert (out / "dqn/Pole/seed-0/result.json").is_file() and not (out / "dqn/Car").exists()
    assert len(benchmark("tiny", out, presets=presets, games=["Car"], seeds=2).comparison.rows) == 2


@pytest.mark.usefixtures("tiny")
def test_a_cell_that_diverges_is_lost_and_the_others_go_on(tmp_path: Path, instant: list[str]):
    out, presets = tmp_path / "out", [f"dqn {TINY}"]
    instant += ["Pole"]
    found = benchmark("tiny", out, presets=presets, seeds=2)
    assert [row.run.task for row in found.comparison.rows] == ["MountainCar-v0"]
    said = f"dqn {TINY} on Pole with root seed 0 is left out: loss or parameters of all 2 runs were not finite; no run is left."
    assert found.notes[0] == said and said in (out / "report" / "report.md").read_text()
    # Also of an earlier call; and once none of those that are asked for is left, the command fails, with a report.
    other = benchmark("tiny", out, presets=presets, games=["Car"], seeds=2)
    assert f"{next(out.glob('*/Pole/seed-0'))} is left out: it has no result.json." in other.notes
    shutil.rmtree(out / "report")
    with pytest.raises(Diverged, match=f"no run of any of the 1 cells in {out} kept a finite loss"):
        benchmark("tiny", out, presets=presets, games=["Pole"], seeds=2)
    assert said in (out / "report" / "report.md").read_text()
    with pytest.raises(Diverged):
        benchmark("tiny", tmp_path / "none", presets=presets, games=["Pole"], seeds=2)
    assert not (tmp_path / "none" / "report").exists()


@pytest.mark.usefixtures("tiny", "instant")
def test_root_seeds_of_a_cell_are_one_row(tmp_path: Path):
    benchmark("tiny", tmp_path, presets=[f"dqn {TINY}"], seeds=2)
    found = benchmark("tiny", tmp_path, presets=[f"dqn {TINY}"], games=["Pole"], seeds=2, seed=1)
    rows = {row.run.task: (row.label, row.run.returns.tolist()) for row in found.comparison.rows}
    assert rows == {
        "CartPole-v1": (f"dqn {TINY}", [100.0, 50.0, 101.0, 51.0]),
        "MountainCar-v0": (f"dqn {TINY}", [100.0, 50.0]),
    }


@pytest.mark.usefixtures("tiny")
def test_a_preset_changes_no_protocol_and_all_are_checked_before_the_first(tmp_path: Path):
    """A cell stands beside others of the same games, steps, seeds and evaluation."""
    for change in (
        "env=Acrobot-v1",
        "steps=8000",
        "seeds=2",
        "seed=5",
        "evaluation.final_episodes=1",
        "start=x",
    ):
        with pytest.raises(
            ValueError, match=f"presets varies {change.partition('=')[0]}, which the benchmark settles"
        ):
            benchmark("tiny", tmp_path / "out", presets=[f"dqn {TINY} {change}"], games=["Pole"], seeds=1)
    with pytest.raises(ValueError, match=r"hp.steps is 7.0; it must be at most learner.longest \(5\)"):
        benchmark("tiny", tmp_path / "out", presets=[f"dqn {TINY}", f"dqn {TINY} hp.steps=7"], games=["Pole"])
    with pytest.raises(ValueError, match="there is no 'episodez'|episodez"):
        benchmark("tiny", tmp_path / "out", presets=["dqn"], evaluation=["episodez=1"])
    assert not (tmp_path / "out").exists()


def test_the_command_trains_and_reports(tmp_path: Path, tiny: None, capsys: pytest.CaptureFixture[str]):
    del tiny
    out = tmp_path / "results"
    words = ["benchmark", "tiny", "--preset", f"dqn {TINY}", "--games", "Car", "--seeds", "1", "--quiet"]
    assert main([*words, "--out", str(out), "--cache", "off"]) == 0
    assert "MountainCar" in capsys.readouterr().out and (out / "report" / "returns.csv").exists()


def test_minatar_is_judged_on_whole_episodes_after_a_hundred_thousand_steps():
    suite = find_suite("minatar-100k")
    plan = cells(suite, Path("x"), ["spr", "rainbow"], [], 5, 0, None)
    assert len(plan) == 10 and {cell.config.steps for cell in plan} == {100_000}
    assert {cell.config.evaluation.final_episodes for cell in plan} == {100}
    assert plan[0].folder == Path("x/spr/Asterix/seed-0")


def test_atari_is_judged_on_a_hundred_games_in_points():
    suite = find_suite("atari-100k")
    plan = cells(suite, Path("x"), ["spr", "bbf"], [], 5, 0, None)
    assert len(plan) == 52 and {(cell.config.steps, cell.config.num_envs) for cell in plan} == {(100_000, 1)}
    assert {cell.config.evaluation.final_episodes for cell in plan} == {100}
    assert {cell.config.evaluation.mode for cell in plan} == {"sample"}  # by epsilon_evaluation
    assert plan[0].config.env == "atari/Alien" and plan[0].config.learner.network.encoder == "atari"
    with pytest.raises(ValueError, match="games has 'MsPacmn', which is not known: did you mean MsPacman"):
        suite.chosen(("Pong", "MsPacmn"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"name": "minatar-10k"},
            "benchmark is 'minatar-10k', which is not known: did you mean minatar-100k",
        ),
        ({"games": ["Breakot"]}, "games has 'Breakot', which is not known: did you mean Breakout"),
        ({"presets": ["sprr"]}, "algorithm is 'sprr', which is not known: did you mean spr"),
        ({"presets": ["spr", " spr"]}, "presets has 'spr' twice"),
        ({"presets": ["spr shift=1"]}, "shift.*did you mean learner.shift"),
        ({"presets": ["spr learner.shift"]}, "presets has 'learner.shift'; it must read FIELD=VALUE"),
        ({"presets": ["spr learner.shift=x"]}, "learner.shift is 'x'; it must be a whole number"),
        ({"presets": ["spr learner.shift=1/2"]}, "only letters, digits and the signs"),
        ({"steps": 0}, "steps is 0"),
        ({"seeds": 0}, "seeds is 0"),
    ],
)
def test_what_cannot_be_run_is_one_sentence_before_anything_is_trained(
    changes: dict, message: str, tmp_path: Path
):
    with pytest.raises(ValueError, match=message) as caught:
        benchmark(**{"name": "minatar-100k", "out": tmp_path / "x", **changes})
    assert "\n" not in str(caught.value) and not (tmp_path / "x").exists()
