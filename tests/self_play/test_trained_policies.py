"""Trained policies as players: an answer to one, a tournament of all, and what is refused."""

from __future__ import annotations

import csv
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from late import late

from jaxrl_evolve import TrainConfig, random
from jaxrl_evolve.command.main import main
from jaxrl_evolve.self_play.exploitability import exploitability
from jaxrl_evolve.self_play.exploitability_config import ExploitabilityConfig
from jaxrl_evolve.self_play.players import dealt, find_player, play
from jaxrl_evolve.self_play.tournament import Matrix, markdown, rows_csv, tournament
from jaxrl_evolve.self_play.tournament_config import TournamentConfig
from jaxrl_evolve.self_play.tournament_report import against_others
from jaxrl_evolve.training.interrupts import Interrupted
from jaxrl_evolve.training.restore import load
from jaxrl_evolve.training.train import train

SETTINGS = {
    "num_envs": 16,
    "rollout_length": 8,
    "env_options": {"max_steps_in_episode": "8"},
    "learner": {
        "epochs": 1,
        "minibatches": 1,
        "network": {"hidden": (8,)},
        "preference": "sectors",
        "check_oracle": False,
    },
    "evaluation": {"times": 1, "episodes": 2, "final_episodes": 2},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two seeds of EMA-SPO, three updates, each of which is a checkpoint and a snapshot."""
    folder = tmp_path_factory.mktemp("players") / "run"
    changes = {**SETTINGS, "steps": 3 * 128, "seeds": 2, "rows": 3, "checkpoints": 3, "keep": 3}
    # A budget that is enough for the run, and less than an answer asks, to whom it is none.
    learner = {**SETTINGS["learner"], "magnetic": True, "snapshots": 4, "queries": 2_000}
    train(TrainConfig.preset("spo", "point/sectors", **{**changes, "learner": learner}), folder)
    return str(folder)


def test_of_more_policies_than_episodes_any_may_play():
    """Regression: it was always the first ones, of checkpoints those that had learned least."""
    phi = np.arange(12).reshape(6, 2)
    seen = [tuple(np.asarray(dealt(phi[:, :1], random.key(i), 4)).ravel().tolist()) for i in range(20)]
    assert {x for some in seen for x in some} == set(range(0, 12, 2)) and all(
        len(set(some)) == 4 for some in seen
    )
    np.testing.assert_array_equal(dealt(phi, random.key(0), 6), range(0, 12, 2))
    again = np.asarray(dealt(phi, random.key(0), 8))
    assert set(again[:6]) == set(range(0, 12, 2)) and (again[6:] % 2 == 1).all()


def test_policies_of_a_run(run: str):
    trained = load(run)
    assert {which: find_player(trained, 1, which).count for which in ("last", "average", "snapshots", "checkpoints")} == {
        "last": 1, "average": 1, "snapshots": 3, "checkpoints": 3,
    }  # fmt: skip
    snapshots, checkpoints = (find_player(trained, 1, which) for which in ("snapshots", "checkpoints"))
    # Episodes that do not end in time are cut off.
    assert (play(snapshots, random.key(0), 5, 6).length == 6).all()
    # The same up to how a program rounds what it computes twice.
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5), snapshots.actors, checkpoints.actors)


def test_an_answer_is_learned_and_both_meet_on_new_episodes(run: str, tmp_path: Any, monkeypatch: Any):
    config = ExploitabilityConfig(
        run, number=1, policy="snapshots", steps=5_120, seeds=2, comparators=5, episodes=8
    )
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("jaxrl_evolve.self_play.exploitability.train", late(train))
        with pytest.raises(
            Interrupted, match=f"^SIGTERM once answers were learned; continue with: .* {out}$"
        ):
            exploitability(config, out)
    found = exploitability(config, out, resume=True)
    assert found["step"] == 3 and found["policies"] == 3 and found["env_steps"] == 2 * 5_120
    # Two answers learn for forty updates, two in a row of metrics, from 16 episodes against 5 each; then 8 meet 8, for each answer and once more.
    assert found["queries"] == 2 * 40 * 16 * 5 + 3 * 64
    low, high = found["ci95"]
    assert -0.5 <= low <= found["exploitability"] <= high <= 0.5
    assert found["advantage"] == pytest.approx(2 * found["exploitability"])
    again = exploitability(ExploitabilityConfig.from_json(out), out, resume=True)
    assert {k: v for k, v in again.items() if k not in ("git", "device")} == {
        k: v for k, v in found.items() if k not in ("git", "device")
    }


def test_a_tournament_is_antisymmetric_and_its_winner_is_beaten_by_none(run: str, tmp_path: Any, capsys: Any):
    words = [
        "preferences",
        "tournament",
        run,
        "--checkpoints",
        "--episodes",
        "16",
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "run:0@1" in said and "results in" in said
    found = json.loads((tmp_path / "out" / "result.json").read_text())
    rate, winner = np.array(found["win_rate"]), np.array(found["minimax_winner"])
    assert rate.shape == (6, 6) and (np.diag(rate) == 0.5).all()
    np.testing.assert_array_equal(rate + rate.T, 1.0)
    assert rate[0, 1] != 0.5
    assert ((2 * rate - 1) @ winner).max() < 1e-6 and winner.sum() == pytest.approx(1)
    assert found["queries"] == 15 * 16 * 16
    rows = list(csv.DictReader((tmp_path / "out" / "tournament.csv").read_text().splitlines()))
    assert len(rows) == 36 and all(float(r["low"]) <= float(r["win_rate"]) <= float(r["high"]) for r in rows)
    assert (tmp_path / "out" / "tournament.png").stat().st_size > 1_000
    # What was played is not played again.
    kept = sorted((tmp_path / "out" / "episodes").glob("*/*.npz"))
    before = [path.stat().st_mtime_ns for path in kept]
    assert main(["resume", str(tmp_path / "out")]) == 0
    assert [path.stat().st_mtime_ns for path in kept] == before and len(kept) == 6


def test_a_resumed_tournament_gives_episodes_to_who_played_them(run: str, tmp_path: Any):
    """Also where the run has lost a checkpoint meanwhile, so that all that follow stand one place before."""
    there, out = Path(shutil.copytree(run, tmp_path / "run")), tmp_path / "out"
    config = TournamentConfig((str(there),), checkpoints=True, episodes=16, soft=True)
    before = tournament(config, out)
    shutil.rmtree(there / "checkpoints" / "step_000000001")
    kept = {path: path.stat().st_mtime_ns for path in (out / "episodes").glob("*/*.npz")}
    after = tournament(config, out, resume=True)
    left = [i for i, label in enumerate(before["entries"]) if not label.endswith("@1")]
    assert after["entries"] == [before["entries"][i] for i in left]
    rates = np.array(before["win_rate"])
    np.testing.assert_allclose(after["win_rate"], rates[np.ix_(left, left)], atol=1e-6)
    assert len({*rates.ravel().tolist()}) > 15
    assert {path: path.stat().st_mtime_ns for path in (out / "episodes").glob("*/*.npz")} == kept
    assert after["updates"] == [2, 2, 3, 3]


def test_runs_of_one_name_are_told_apart_and_none_takes_part_twice(run: str, tmp_path: Any):
    for name in ("a", "b"):
        shutil.copytree(run, tmp_path / name / "run")
    one, other = (str(tmp_path / name / "run") for name in ("a", "b"))
    found = tournament(TournamentConfig((f"{one}:0", f"{other}:0", f"{one}:1"), episodes=2), tmp_path / "out")
    assert found["entries"] == ["a/run:0", "b/run:0", "a/run:1"] and found["updates"] == [3, 3, 3]
    with pytest.raises(ValueError, match="which has run 0 of .* twice"):
        tournament(TournamentConfig((one, f"{one}:0")), tmp_path / "none")


def test_rows_of_a_tournament():
    found = Matrix(
        ("a", "b"),
        np.array([[0.5, 0.8], [0.2, 0.5]]),
        np.array([[0, 0.05], [0.05, 0]]),
        np.array([[0, 9], [9, 0]]),
    )
    lines = [line.split(",") for line in rows_csv(found).splitlines()]
    summary = {"minimax_winner": [1.0, 0.0], "exploitability_each": [0.0, 0.6], "unique": True, "preference": "p", "episodes": 3, "queries": 9,
               "exploitability": 0.0, "exploitability_uniform": 0.3}  # fmt: skip
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in markdown(summary, found).splitlines()
        if line.startswith("|")
    ]
    assert rows[0][1] == "Mean" and [row[:2] for row in rows[2:]] == [
        ["a", "0.800"],
        ["b", "0.200"],
    ]
    assert lines[1][:3] == ["a", "a", "0.5"] and lines[2][:2] == ["a", "b"]
    assert [float(x) for x in lines[2][2:]] == pytest.approx([0.8, 0.702, 0.898, 9])


def test_runs_are_held_against_the_others_over_the_seeds_of_both():
    """Three seeds of each of two runs at two checkpoints: `b` is beaten by 0.1 times the number of the seed of `a`."""
    labels = [f"{name}:{seed}@{step}" for name in ("a", "b") for step in (4, 8) for seed in range(3)]
    rate = np.full((12, 12), 0.5)
    for i, label in enumerate(labels[:6]):
        rate[i, 6:], rate[6:, i] = 0.5 + 0.1 * int(label[2]), 0.5 - 0.1 * int(label[2])
    found = against_others(Matrix(tuple(labels), rate, np.zeros((12, 12)), np.zeros((12, 12), int)))
    assert [*found] == ["a@4", "a@8", "b@4", "b@8"]
    # Against the other checkpoint of `a` each seed ties; against six policies of `b` it wins as told.
    assert found["a@4"].value == pytest.approx((3 * 0.5 + 6 * 0.6) / 9)
    assert found["a@4"].low == pytest.approx((3 * 0.5 + 6 * 0.5) / 9) and found["a@4"].high == pytest.approx(
        (3 * 0.5 + 6 * 0.7) / 9
    )
    assert found["b@8"].value == pytest.approx((3 * 0.5 + 6 * 0.4) / 9)


def test_seeds_that_diverged_are_named(run: str, tmp_path: Any, monkeypatch: Any):
    """Left out silently, a run whose other seed was lost would look as sound as any."""
    there = shutil.copytree(run, tmp_path / "b")
    real = load

    def lost(folder: Any, step: int | None = None) -> Any:
        trained = real(folder, step)
        if Path(folder).name == "b":
            trained = trained._replace(diverged=np.array([7, -1]))
        return trained

    monkeypatch.setattr("jaxrl_evolve.self_play.tournament.load", lost)
    found = tournament(TournamentConfig((run, str(there)), episodes=2), tmp_path / "out")
    assert found["entries"] == ["run:0", "run:1", "b:1"] and found["dropped"] == ["b:0"]
    assert found["against_others"]["b"]["ci95"] == [None, None]
    page = (tmp_path / "out" / "tournament.md").read_text()
    assert "Diverged, and left out: b:0." in page
    assert "Intervals are rough or missing: a single seed has no interval." in page
    monkeypatch.setattr(
        "jaxrl_evolve.self_play.tournament.load",
        lambda *named: lost(*named)._replace(diverged=np.array([7, 7])),
    )
    with pytest.raises(ValueError, match=r"0 policies can play; at least 2 must \(run:0, run:1 diverged\)"):
        tournament(TournamentConfig((run,)), tmp_path / "none")


def test_who_judges_may_see_other_criteria(run: str, tmp_path: Any):
    """The third group alone: by how long episodes were, which is eight steps of each, all tie; by where they went they do not."""
    rates = {}
    for criteria in ("", "effort,length,observed:0"):
        config = TournamentConfig((run,), episodes=8, preference="populations:0:0:1", criteria=criteria)
        out = tmp_path / f"out{len(criteria)}"
        rates[criteria] = tournament(config, out)["win_rate"][0][1]
        assert ("criteria" in json.loads((out / "config.json").read_text())) == bool(criteria)
    assert rates[""] == 0.5 != rates["effort,length,observed:0"]
    phi = play(find_player(load(run), 0), random.key(0), 8, 8, "sample", "length,observed:0")
    assert phi.criteria.shape == (8, 2) and (phi.criteria[:, 0] == 8).all()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("exploitability nowhere", "nowhere"),
        ("exploitability RUN --number 2", "run is 2; RUN has 2, counted from 0"),
        ("exploitability RUN --step 9", "has no checkpoint of step 9 (it has: 1, 2, 3)"),
        ("exploitability RUN --preference sectrs", "there is no 'sectrs'"),
        ("exploitability RUN --episodes 1", "episodes is 1"),
        ("tournament RUN:0", "of which 1 policies can play; at least 2 must"),
        ("tournament RUN RUN", "twice"),
        ("tournament RUN --policy all", "all"),
        ("turnament RUN", "preferences has no action 'turnament'"),
    ],
)  # fmt: skip
def test_what_is_refused(words: str, message: str, run: str, tmp_path: Any, capsys: Any):
    given = [*words.replace("RUN", run).split(), "--out", str(tmp_path / "out")]
    assert main(["preferences", *given]) == (1 if "--step" in words else 2)
    assert message.replace("RUN", run) in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_size_that_cannot_be_compared_is_refused(run: str):
    with pytest.raises(ValueError, match="episodes is 1; at least 2 can be compared"):
        play(find_player(load(run), 0), random.key(0), 1, 8)
    with pytest.raises(ValueError, match="runs is empty"):
        TournamentConfig(())
    with pytest.raises(ValueError, match="runs has .* twice"):
        tournament(TournamentConfig((run, run)), "nowhere")
