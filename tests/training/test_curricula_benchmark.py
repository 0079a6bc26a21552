"""The benchmark of curricula: cells that are trained and tested once, its tables, and what is refused before anything is trained."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from late import late
from scipy import stats

from jaxrl_evolve.command.commands import find_command
from jaxrl_evolve.storage.folder import plain, write_json
from jaxrl_evolve.training import curricula_benchmark as module
from jaxrl_evolve.training.curricula_benchmark import benchmark_curricula, cells
from jaxrl_evolve.training.curricula_report import curricula_markdown
from jaxrl_evolve.training.curricula_suite import METHODS, PROTOCOLS, find_protocol
from jaxrl_evolve.training.interrupts import Diverged, Interrupted

SUCCESS = {"random": 0.5, "random restart=True": 0.125, "plr temperature=0.3": 0.25, "sec": 0.5}
"""On the worst levels."""


@pytest.fixture
def instant(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Training and tests that take no time; which there were."""
    done: list[Any] = []

    def train(config: Any, folder: Path, *, resume: bool, quiet: bool) -> None:
        assert resume
        done.append(("train", folder.parents[1].name))
        folder.mkdir(parents=True, exist_ok=True)
        facts = {"env_steps": 64, "scoring_steps": 0, "run_seconds": 2.0, "seed": config.seed}
        facts |= {"device": {"processor": "a", "cpu_cores": 2}, "versions": {"python": "3", "jax": "1"}}
        facts |= {"git": {"commit": "abc", "dirty": True}}
        write_json(folder / "result.json", facts)

    def evaluate_levels(folder: Path, held_out: Any) -> Any:
        done.append(("test", folder.parents[1].name))
        worst = SUCCESS[folder.parents[1].name.replace("+", " ")]
        runs = lambda x: np.array([x, x, np.nan, x])
        named = [{"env": "maze/labyrinth", "max_steps": 250, "all": {"runs": runs(0.75)}}]
        share = lambda x: {"share": x, "runs": runs(worst), "biased": runs(worst / 2)}
        outcome = {"env_steps": 64, "all": {"runs": runs(0.9)}, "cvar": [share(0.1), share(0.01)]}
        row = lambda level, run, first: {
            "env": "maze/random", "level": level, "run": run, "first": first, "second": 1.0, "length": 8.0, "best_return": 0.9
        }  # fmt: skip
        rows = [row(i, run, x) for i in range(2) for run, x in enumerate((1.0, 0.0, np.nan))]
        return {**outcome, "held_out": named}, rows

    monkeypatch.setattr(module, "train", train)
    monkeypatch.setattr(module, "evaluate_levels", evaluate_levels)
    return done


def test_cells_are_trained_and_tested_once_and_more_join(instant: list[Any], tmp_path: Path):
    out, name = tmp_path / "x", "plr temperature=0.3"
    go = lambda *presets, **more: benchmark_curricula(out, presets=presets, seeds=4, **more)
    first = go(" plr  temperature=0.3")
    assert "`random` is not here" in first.markdown and (out / "plr+temperature=0.3/small/seed-0").is_dir()
    again = go("random")
    assert instant == [
        (what, folder) for folder in ("plr+temperature=0.3", "random") for what in ("train", "test")
    ]
    # In the order of the benchmark; a run that diverged is the worst, so the mean of the two in the middle is that of others.
    table = [
        line.split(" | ")
        for line in again.markdown.splitlines()
        if line.startswith(("| random", f"| {name}"))
    ]
    assert [line[0] for line in table[:2]] == ["| random", f"| {name}"]
    assert [line[1:3] for line in table[:2]] == [["4", "1"], ["4", "1"]]
    assert [line[1] for line in table[2:]] == ["0.750 |", "0.750 |"]
    assert [line[4].split()[0] for line in table[:2]] == ["0.500", "0.250"]
    assert (
        "## Beside" not in again.markdown
    )  # episodes of level replay begin with the rollout, and its control is not here
    assert "success of `random` on its worst 10 % of levels, 0.500, lies between" in again.markdown
    files = {path.name: list(csv.DictReader(path.open())) for path in again.files if path.suffix == ".csv"}
    assert len(files["runs.csv"]) == 8 and files["runs.csv"][2]["worst 1 %"] == ""
    assert files["runs.csv"][7]["worst 10 %, biased"] == "0.125"
    level = files["levels.csv"][0]
    assert (level["score"], level["worst_run"], len(files["levels.csv"])) == ("0.75", "0.5", 4)
    # Finished training is told so by the run folder; a test is made again only if it is another.
    go("random")
    assert instant[4:] == [("train", "random")]
    path = out / "random/small/seed-0/levels.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "env_steps": 32}))
    go("random")
    assert instant[5:] == [("train", "random"), ("test", "random")]
    for changes, said in (
        ({"steps": 9}, "steps is 9, but the cells in .*x have 4000000; give another --out"),
        ({"evaluation": ["levels=5"]}, "test is .*'levels': 5.*; give another --out"),
    ):
        with pytest.raises(ValueError, match=said):
            go("random", **changes)


def test_a_curriculum_whose_seeds_all_diverge_is_lost_and_the_others_go_on(
    instant: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    train = module.train

    def diverging(config: Any, folder: Path, **given: Any) -> None:
        if folder.parents[1].name == "random":
            raise Diverged("no run is left")
        train(config, folder, **given)

    monkeypatch.setattr(module, "train", diverging)
    found = benchmark_curricula(tmp_path, presets=["random", "plr temperature=0.3"], seeds=4)
    assert [what for what, _ in instant] == ["train", "test"]
    assert "random on small with root seed 0 is left out: no run is left." in found.markdown
    assert "| plr temperature=0.3 | 4 |" in found.markdown
    for out in (tmp_path, tmp_path / "none"):
        with pytest.raises(Diverged, match="no run of any of the 1 cells in .* kept a finite loss"):
            benchmark_curricula(out, presets=["random"], seeds=4)
    assert not (tmp_path / "none" / "report").exists()


def test_a_signal_in_the_last_stretch_of_a_cell_begins_no_test(
    instant: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    go = lambda: benchmark_curricula(tmp_path, presets=["random"], seeds=4)
    with monkeypatch.context() as patch:
        patch.setattr(module, "train", late(module.train))
        with pytest.raises(
            Interrupted, match="^SIGTERM before the test of random, 1 of 1; the same command goes"
        ):
            go()
    assert instant == [("train", "random")]
    go()
    assert instant[2:] == [("test", "random")]


def test_a_plan_is_of_equal_steps_with_those_that_only_score_levels():
    for name, sizes in PROTOCOLS.items():
        plan = cells(Path("x"), name, sizes, (), 3, 7)
        assert [cell.label for cell in plan] == [*METHODS]
        assert {(cell.config.steps, cell.config.count_scoring) for cell in plan} == {(sizes.steps, True)}
        assert {(cell.config.seeds, cell.config.seed) for cell in plan} == {(3, 7)}
    plan = cells(Path("x"), "small", PROTOCOLS["small"], ["plr temperature=0.3 repeats=True"], 1, 0)
    assert plan[0].config.curriculum_options == {"temperature": "0.3", "repeats": "True"}
    assert find_protocol("small").env_options["walls"] == "25"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--preset sfll", "curriculum is 'sfll', which is not known: did you mean sfl"),
        ("--preset sfl sfl", "presets has 'sfl' twice"),
        (
            "--preset sfl 'plr temprature=1'",
            "has 'temprature', which plr does not take: did you mean temperature",
        ),
        ("--preset 'plr temperature'", "presets has 'temperature' of plr; it must read NAME=VALUE"),
        ("--protocol smal", "protocol is 'smal', which is not known: did you mean small"),
        ("--evaluation envs=x", "evaluation varies envs, which the benchmark settles for all"),
        ("--evaluation levels=0.5", "levels is '0.5'; it must be a whole number"),
        ("--games Pong", "games is .*, but the benchmark curricula has none"),
        ("--steps 0", "steps is 0"),
        ("--seeds 0", "seeds is 0"),
    ],
)
def test_what_cannot_be_run_is_one_sentence_before_anything_is_trained(words: str, said: str, tmp_path: Path):
    import shlex

    command = find_command("benchmark")
    with pytest.raises(ValueError, match=said) as caught:
        command.run(
            command.parse(["curricula", "--out", str(tmp_path / "x"), "--cache", "off", *shlex.split(words)])
        )
    assert "\n" not in str(caught.value) and not (tmp_path / "x").exists()


def test_other_benchmarks_have_no_protocols(tmp_path: Path):
    command = find_command("benchmark")
    with pytest.raises(
        ValueError, match="protocol is 'small', but only the benchmark curricula has protocols"
    ):
        command.run(command.parse(["minatar-100k", "--out", str(tmp_path / "x"), "--protocol", "small"]))
    with pytest.raises(
        ValueError, match="benchmark is 'curriculum', which is not known: did you mean curricula"
    ):
        command.run(command.parse(["curriculum", "--out", str(tmp_path / "x"), "--cache", "off"]))


def test_sizes_are_kept_as_they_were_written(tmp_path: Path):
    sizes = dataclasses.replace(PROTOCOLS["small"], steps=64)
    module._settle(tmp_path / "a" / "small.json", sizes)
    assert json.loads((tmp_path / "a" / "small.json").read_text()) == plain(sizes)
    module._settle(tmp_path / "a" / "small.json", sizes)


def test_curricula_stand_beside_what_differs_in_the_choice_of_tasks_alone(instant: list[Any], tmp_path: Path):
    """Of levels: new ones with every rollout; of arms: those of the task. The page is that of the rows that were written."""
    del instant
    made = benchmark_curricula(tmp_path, presets=[*SUCCESS], seeds=4)
    # All seeds are alike, so differences are sure.
    assert (
        "| plr temperature=0.3 | random restart=True | 4 | +0.125 [+0.125, +0.125] | 0 | 0 |" in made.markdown
    )
    assert "| sec | random | 4 | +0.000 [+0.000, +0.000] |" in made.markdown
    assert "Hardware: `a, 2 cores`. Versions: `python=3 jax=1`. Commit: `abc+`." in made.markdown
    rows = list(csv.DictReader(next(path for path in made.files if path.name == "runs.csv").open()))
    about = module.about("small", json.loads((tmp_path / "small.json").read_text()))
    assert curricula_markdown(rows, about) == made.markdown


def test_differences_are_of_pairs_of_seeds_and_p_values_are_corrected():
    row = lambda label, run, x, restart="True": {
        "curriculum": label, "restart": restart, "root_seed": "0", "run": run, "all": 0.9, "worst 10 %": x,
        "worst 10 %, biased": x, **dict.fromkeys(("env_steps", "scoring_steps", "run_seconds", "named_limit"), "1"),
        **dict.fromkeys(("hardware", "versions", "commit"), ""),
    }  # fmt: skip
    control, a, b = (0.1, 0.3, 0.5, 0.4), (0.3, 0.4, 0.8, ""), (0.1, 0.5, 0.5, 0.6)
    named = {"random restart=True": control, "a": a, "b": b}
    rows = [row(label, run, x) for label, values in named.items() for run, x in enumerate(values)]
    text = curricula_markdown(rows, ())
    # Who diverged has the worst of its curriculum.
    tests = [stats.ttest_rel(x, control) for x in ((0.3, 0.4, 0.8, 0.3), b)]
    held = [2 * min(test.pvalue for test in tests), max(test.pvalue for test in tests)]
    for label, test, p in zip("ab", tests, np.maximum.accumulate(held), strict=True):
        low, high = test.confidence_interval()
        mean = (low + high) / 2
        line = f"| {label} | random restart=True | 4 | {mean:+.3f} [{low:+.3f}, {high:+.3f}] | {test.pvalue:.3g} | {min(1, p):.3g} |"
        assert line in text
    shuffled = curricula_markdown([*rows[::-1]], ())
    assert all(line in shuffled for line in text.splitlines() if line.startswith(("| a | r", "| b | r")))
