"""Trained agents on levels: the numbers of a folder, the command, and what is refused."""

from __future__ import annotations

import csv
import dataclasses
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl_envs
from jaxrl_evolve.command.commands import find_command
from jaxrl_evolve.runs.levels import LevelEpisodes
from jaxrl_evolve.storage.folder import RunFolder
from jaxrl_evolve.training import held_out, level_scores
from jaxrl_evolve.training.config import TrainConfig
from jaxrl_evolve.training.experiment import build
from jaxrl_evolve.training.held_out import HeldOut, evaluate_levels
from jaxrl_evolve.training.restore import Trained

SMALL = HeldOut(
    levels=20,
    episodes=2,
    shares=(0.1, 1.0),
    envs=("maze/labyrinth*", "maze/small-corridor"),
    env_episodes=8,
    pass_at=(1, 4),
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: Any) -> Trained:
    """Two seeds on mazes of 5 by 5 that have not learned anything yet, as `load` gives them."""
    config = TrainConfig.preset(
        *("ppo", "maze/random"),
        num_envs=4,
        rollout_length=8,
        seeds=2,
        env_options={"size": "5", "walls": "8", "max_steps": "20"},
        curriculum="random",
        learner={"minibatches": 1, "network": {"memory": "none", "hidden": (4,)}},
    )
    experiment = build(config)
    states = jax.vmap(experiment.learner.init, (0, None))(jax.random.split(jax.random.key(0), 2), config.hp)
    folder = RunFolder(tmp_path_factory.mktemp("held-out"))
    return Trained(config, experiment, states, 0, np.array([-1, -1]), folder)


def test_it_is_shown_without_its_arrays(trained: Trained):
    assert repr(trained) == f"<ppo on maze/random, 2 runs after 0 updates, of {trained.folder.path}>"


@pytest.fixture
def folder(trained: Trained, monkeypatch: Any) -> Any:
    """Its folder, which holds nothing: reading one is tested elsewhere."""
    monkeypatch.setattr(held_out, "load", lambda *_: trained)
    return trained.folder.path


@pytest.fixture
def seen(folder: Any) -> Any:
    return evaluate_levels(folder, SMALL, seed=3)


def test_summaries_are_those_of_the_rows(seen: Any):
    outcome, rows = seen
    own = [row for row in rows if row["env"] == "maze/random"]
    first, second = (np.array([row[name] for row in own]).reshape(20, 2).T for name in ("first", "second"))
    assert 0.0 < first.mean() < 1.0
    np.testing.assert_allclose(outcome["all"]["runs"], (first + second).mean(1) / 2)
    tenth, all_of_them = outcome["cvar"]
    assert (tenth["share"], tenth["levels"], all_of_them["levels"]) == (0.1, 2, 20)
    order = np.argsort(first, axis=1, kind="stable")[:, :2]
    np.testing.assert_allclose(tenth["runs"], np.take_along_axis(second, order, 1).mean(1))
    np.testing.assert_allclose(tenth["biased"], np.take_along_axis(first, order, 1).mean(1))
    np.testing.assert_allclose(all_of_them["runs"], second.mean(1))
    one, four = outcome["pass_at"]
    assert (one["k"], four["k"]) == (1, 4)
    np.testing.assert_allclose(one["runs"], outcome["all"]["runs"])
    np.testing.assert_allclose(four["runs"], (first + second > 0).mean(1))  # of four tries, all are counted
    lengths = np.array([row["length"] for row in own]).reshape(20, 2)
    np.testing.assert_allclose(outcome["length"]["runs"], lengths.mean(0))
    assert outcome["episodes"] == 4  # on each level, of two samples
    assert (outcome["score"], outcome["max_steps"], outcome["solvable"]) == ("success", 20, True)
    assert all(0.1 <= row["best_return"] < 1.0 for row in own)


def test_the_limit_that_is_told_is_the_one_that_comes_first(trained: Trained):
    env, many = trained.experiment.env, np.zeros((2, 3))
    seen = level_scores.OnLevels(many, many, many, many[0], {})
    for asked, told in ((None, 20), (7, 7), (99, 20)):
        test = held_out._Test(trained, "sample", 0, asked)
        assert held_out._summary(test, env, seen)["max_steps"] == told


def test_numbers_that_the_environment_tells_are_means_over_both_samples(
    trained: Trained, folder: Any, monkeypatch: Any
):
    """But for the success, which is the score, and whatever is not one number."""
    env = dataclasses.replace(trained.experiment.env, metrics=("success", "answer_length", "where"))
    samples = iter((1.0, 4.0))

    def play(keys: Any, states: Any, levels: Any) -> LevelEpisodes:
        ended = np.full((2, 20, 2), next(samples)) * np.array([1.0, 2.0])[:, None, None]
        info = {"success": ended > 3, "answer_length": ended, "where": np.zeros((2, 20, 2, 3))}
        return LevelEpisodes(ended, ended, ended > 0, info)

    monkeypatch.setattr(level_scores, "_program", lambda *_: play)
    experiment = trained.experiment._replace(env=env)
    monkeypatch.setattr(held_out, "load", lambda *_: trained._replace(experiment=experiment))
    outcome, _ = evaluate_levels(folder, HeldOut(levels=20, episodes=2))
    assert list(outcome["metrics"]) == ["answer_length"]
    assert outcome["metrics"]["answer_length"]["runs"].tolist() == [2.5, 5.0]
    assert outcome["length"]["runs"].tolist() == [2.5, 5.0] and outcome["all"]["runs"].tolist() == [0.5, 0.5]


def test_other_environments_have_a_summary_each(seen: Any):
    outcome, rows = seen
    told = {entry["env"]: entry for entry in outcome["held_out"]}
    assert list(told) == [
        "maze/labyrinth",
        "maze/labyrinth-flipped",
        "maze/labyrinth-2",
        "maze/small-corridor",
    ]
    assert [entry["max_steps"] for entry in told.values()] == [250, 250, 250, 450]
    counts = {name: sum(row["env"] == name for row in rows) for name in told}
    assert counts == {
        "maze/labyrinth": 2,
        "maze/labyrinth-flipped": 2,
        "maze/labyrinth-2": 2,
        "maze/small-corridor": 8,
    }


def test_the_command_prints_it_and_writes_the_rows(folder: Any, seen: Any, tmp_path: Any):
    command = find_command("evaluate")
    words = (
        f"{folder} --levels 20 --level-episodes 2 --cvar 0.1 --mode sample --seed 3 --table {tmp_path}/t.csv"
    )
    text = command.run(command.parse(words.split()))
    told = json.loads(text)
    assert f'"runs": {json.dumps(told["cvar"][0]["runs"])},' in text  # on one line
    assert told["cvar"][0]["runs"] == pytest.approx(list(seen[0]["cvar"][0]["runs"]))
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    assert len(rows) == 40 and float(rows[5]["second"]) == seen[1][5]["second"]


def test_arms_are_those_of_the_environment_if_no_curriculum_drew_any(folder: Any, monkeypatch: Any):
    monkeypatch.setattr(
        held_out._Test, "scores", lambda test, env, levels, *_: level_scores.OnLevels(*_by_walls(levels))
    )
    outcome, rows = evaluate_levels(folder, HeldOut(levels=0, arm_levels=4))
    told = outcome["arms"]
    assert [entry["arm"] for entry in told] == ["0 walls", "2 walls", "4 walls", "6 walls", "8 walls"]
    assert told[0]["solvable"] == 1.0 and {entry["score"] for entry in told} == {"success"}
    # Drawn with replacement, so there may be fewer.
    assert told[0]["runs"].tolist() == [0, 0] and 4 < told[4]["iqm"] <= 8
    assert len(rows) == 5 * 4 * 2 and "share" not in told[0]


def _by_walls(levels: Any) -> Any:
    """Scores of two runs that are numbers of walls."""
    walls = np.asarray(levels.walls).sum((1, 2)).astype(float)
    both = np.stack([walls, walls])
    return both, both, both, walls, {}


def test_each_arm_is_judged_by_its_own_threshold(trained: Trained, folder: Any, monkeypatch: Any):
    options = {"threshold": "(1, 2, 3, 4, 5)"}
    config = dataclasses.replace(trained.config, curriculum="sec", curriculum_options=options)
    env = dataclasses.replace(trained.experiment.env, optimal_return=None)
    run = trained._replace(config=config, experiment=trained.experiment._replace(env=env))
    tasks, returns = (np.zeros(15), np.ones((5, 3), bool)), jnp.full((2, 15, 1), 3.0)
    play = lambda *_: LevelEpisodes(returns, returns, returns > 0, {})
    monkeypatch.setattr(held_out, "load", lambda *_: run)
    monkeypatch.setattr(held_out, "tasks_of_arms", lambda *_: tasks)
    monkeypatch.setattr(level_scores, "_program", lambda *_: play)
    outcome, _ = evaluate_levels(folder, HeldOut(levels=0, arm_levels=3, episodes=1))
    runs = [entry["runs"].tolist() for entry in outcome["arms"]]
    assert runs == [[1, 1], [1, 1], [1, 1], [0, 0], [0, 0]]


def test_a_run_that_diverged_has_no_scores_and_counts_as_the_worst(
    trained: Trained, folder: Any, monkeypatch: Any
):
    lost = trained._replace(diverged=np.array([-1, 0]))
    monkeypatch.setattr(held_out, "load", lambda *_: lost)
    outcome, rows = evaluate_levels(folder, dataclasses.replace(SMALL, envs=()), seed=3)
    assert (
        np.isnan(outcome["all"]["runs"]).tolist()
        == np.isnan(outcome["cvar"][0]["runs"]).tolist()
        == [False, True]
    )
    assert outcome["all"]["iqm"] == outcome["all"]["runs"][0] and outcome["diverged"] == {"1": 0}
    assert np.isnan(outcome["pass_at"][1]["runs"]).tolist() == [False, True]
    assert np.isnan(rows[1]["first"]) and not np.isnan(rows[0]["first"])


def test_what_cannot_be_tested_is_refused(folder: Any, monkeypatch: Any):
    with pytest.raises(
        ValueError,
        match=r"levels is 5, but maze/labyrinth is one task .*; it must be 0\. .* vary_params: walls, agent, heading, ",
    ):
        level_scores.solvable_levels(jaxrl_envs.make("maze/labyrinth"), 5)
    for found, many in (([False] * 5, "none"), ([True, False, True, False, False], "only 2")):
        with monkeypatch.context() as patched:
            patched.setattr(level_scores, "draw_solvable", lambda *_, found=found: ((), jnp.asarray(found)))
            env = jaxrl_envs.make("maze/random", size=5)
            with pytest.raises(
                ValueError, match=f"levels is 5, but {many} of the levels that maze/random draws"
            ):
                level_scores.solvable_levels(dataclasses.replace(env), 5)
    for names, options, message in (
        (("maze/labyrinth",), {"view": 3}, "maze/labyrinth has the observation_space Box"),
        (("maze/laby",), {}, "did you mean 'maze/labyrinth'"),
        (("mazes/*",), {}, r"held_out is 'mazes/\*', and no environment"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluate_levels(folder, HeldOut(levels=0, envs=names, env_options=options))
    for field, value, message in (
        ("levels", -1, "levels is -1"),
        ("shares", (0.0,), r"cvar is 0\.0; it must be above 0 and at most 1"),
        ("pass_at", (21,), "pass_at is 21, but there are 20 episodes on each level"),
        ("levels", 0, "nothing to test on"),
        ("env_options", {"view": 3}, "no other environments to take them"),
        ("arms", "size=5,9", "arms is 'size=5,9', but arm_levels is 0"),
    ):
        with pytest.raises(ValueError, match=message):
            HeldOut(**{field: value})
    command = find_command("evaluate")
    for words, message in (
        (
            "--table t.csv",
            "table is given, but neither levels nor held_out nor arm_levels, to which it belongs",
        ),
        ("--held-out maze/labyrinth --cvar 0.2", "cvar is given, but not levels, to which it belongs"),
        ("--levels 5 --held-out-options view 3", "held_out_options is given, but not held_out"),
        ("--levels 5 --arms max_steps=9,20", "arms is given, but not arm_levels, to which it belongs"),
        ("--held-out maze/labyrinth --pass-at 2", "pass_at is given, but neither levels nor arm_levels"),
        ("--arm-levels 2 --arms maxsteps=9,20", "arms names maxsteps, which is no parameter of maze/random"),
        ("--levels 5 --table no/where.csv", "table is 'no/where.csv', in a folder that does not exist"),
    ):
        with pytest.raises(ValueError, match=message):
            command.run(command.parse([str(folder), *words.split()]))
