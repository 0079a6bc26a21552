"""The host loop: stops, results, seeds side by side and alone, divergence, tracing."""

import dataclasses
import json
import math

import jax
import numpy as np
import pytest
import walk
from same import assert_close, assert_equal, host

from jaxrl_evolve import EvaluationConfig, TrainConfig
from jaxrl_evolve.runs.axes import mesh_for
from jaxrl_evolve.settings.rows import is_taken
from jaxrl_evolve.storage import destinations, sinks
from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.storage.checkpoint import Checkpoints
from jaxrl_evolve.training.experiment import build, limited, traced
from jaxrl_evolve.training.interrupts import Diverged
from jaxrl_evolve.training.outcome import sentence
from jaxrl_evolve.training.programs import AXIS, compile_programs
from jaxrl_evolve.training.restore import evaluate_folder, load
from jaxrl_evolve.training.schedule import stops
from jaxrl_evolve.training.train import train


def run_of(states, i):
    return jax.tree.map(lambda x: x[i : i + 1], states)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two seeds in a folder, and how often the environment's step was traced for them."""
    out = tmp_path_factory.mktemp("runs") / "two"
    walk.forget()
    result = train(walk.config(seeds=2), out)
    return result, out, len(walk.traces)


def test_a_run_folder_is_complete(two):
    result, out, _ = two
    found = json.loads((out / "result.json").read_text())
    asked = "algorithm env seeds env_steps eval_return iqm ci95 compile_seconds run_seconds steps_per_second"
    assert set(asked.split()) | {"device", "versions", "seed", "git"} <= set(found)
    assert found == result.summary
    assert (found["algorithm"], found["env"], found["seeds"], found["seed"]) == ("ppo", walk.NAME, 2, 0)
    assert found["env_steps"] == 640 and found["diverged"] == {}
    assert len(found["eval_return"]) == 2 and result.eval_return == found["eval_return"]
    assert found["iqm"] == pytest.approx(np.mean(found["eval_return"])) and found["ci95"] == [
        None,
        None,
    ]  # of two seeds
    np.testing.assert_allclose(found["steps_per_second"], 2 * 640 / found["run_seconds"])
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert rows == result.rows == sinks.read_jsonl(out / "metrics.jsonl")
    assert [row["env_steps"] for row in rows] == [128, 256, 384, 512, 640]
    assert ["eval_return" in row for row in rows] == [False, False, True, False, True]
    assert all(len(row["episode_return"]) == len(row["loss"]) == 2 for row in rows)
    assert rows[-1]["episodes"] == [16.0, 16.0]  # 2 updates of 64 steps, 8 steps each
    with Checkpoints(out / "checkpoints") as checkpoints:
        assert checkpoints.steps() == [8, 10]
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert len((out / "metrics.csv").read_text().splitlines()) == 6
    assert [path.name for path in out.glob(".*")] == [".lock"]


def test_no_column_that_the_library_writes_can_be_a_metric_of_a_learner(two):
    own = "loss policy_loss value_loss entropy approx_kl clip_fraction grad_norm learning_rate explained_variance"
    columns = {name for row in two[0].rows for name in row}
    assert {name for name in columns if not is_taken(name)} == set(own.split())


def test_the_reported_return_is_that_of_the_saved_agents(two):
    result, out, _ = two
    trained = load(out)
    assert_equal(trained.learner_state, result.states[0].learner)
    assert trained.updates == 10 and trained.config == result.config
    # Other episodes, so other starts; a start shifts the return by at most 8, the choice of actions by 72.
    again = evaluate_folder(out, 64, max_steps=20)
    np.testing.assert_allclose(again["eval_return"], result.eval_return, atol=8)
    assert again["finished"] == 1.0 and again["env_steps"] == 640
    np.testing.assert_array_equal(again["eval_length"], 8)
    earlier = load(out, 8)
    assert earlier.updates == 8
    assert not np.array_equal(host(earlier.learner_state)[1], host(trained.learner_state)[1])


def test_it_learns():
    config = walk.config(updates=100, seeds=2, hp={"learning_rate": 1e-2})
    result = train(config)
    assert min(result.eval_return) > 20  # the best is 36 plus eight times the start's place


def test_each_program_is_traced_once_in_a_run(two):
    # Once for the check of its types, the training program and the evaluation, however many rows and evaluations.
    assert two[2] == 3
    walk.forget()
    train(walk.config(seeds=2, group=1))
    assert len(walk.traces) == 3


def test_seeds_side_by_side_are_the_seeds_one_by_one(two):
    config, states = two[0].config, two[0].states[0]
    hp = traced(config.hp)
    programs = compile_programs(build(config), hp, 1, config.updates, config.evaluation, config.seed)
    for seed in range(2):
        number = np.array([seed])
        alone, _ = programs.advance(programs.init(number, hp), hp, config.updates)
        assert_close(run_of(states, seed), alone)
        returns = programs.evaluate(alone.learner, number, config.updates, 0).returns.mean()
        np.testing.assert_allclose(two[0].rows[-1]["eval_return"][seed], returns, rtol=1e-4)
    assert not np.allclose(host(run_of(states, 0))[1], host(run_of(states, 1))[1])


def test_groups_of_seeds_are_all_seeds_at_once(two):
    grouped = train(dataclasses.replace(two[0].config, group=1))
    assert len(grouped.states) == 2
    for seed, state in enumerate(grouped.states):
        assert_close(run_of(two[0].states[0], seed), state)
    np.testing.assert_allclose(grouped.eval_return, two[0].eval_return, rtol=1e-4)
    with pytest.raises(ValueError, match="group is 3; it must divide the number of runs, 2"):
        train(walk.config(seeds=2, group=3))


def test_points_are_runs_of_their_own(two):
    config = two[0].config
    other = dataclasses.replace(config.hp, learning_rate=3e-3, clip=0.1)
    one = train(config, points=[config.hp])
    assert_equal(one.states, two[0].states)
    assert one.eval_return == two[0].eval_return
    walk.forget()
    both = train(config, points=[config.hp, other])
    assert len(walk.traces) == 3
    states = both.states[0]
    assert_close(jax.tree.map(lambda x: x[:2], states), two[0].states[0])
    assert_close(
        jax.tree.map(lambda x: x[2:], states), train(dataclasses.replace(config, hp=other)).states[0]
    )
    assert both.iqm is None
    points = both.summary["points"]
    assert [point["hp"]["clip"] for point in points] == [config.hp.clip, 0.1]
    assert [x for point in points for x in point["eval_return"]] == both.eval_return
    for point in points:
        assert point["iqm"] == pytest.approx(np.mean(point["eval_return"])) and point["ci95"] == [
            None,
            None,
        ]  # of two seeds


def spoiled(rate, **changes):
    return walk.config(updates=20, seeds=4, env_options={"nan_rate": str(rate)}, **changes)


@pytest.fixture(scope="module")
def some_lost(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "some_lost"
    return train(spoiled(0.002), out), out


@pytest.mark.core
def test_a_run_that_diverges_stops_and_the_others_go_on(some_lost, capsys):
    result, out = some_lost
    healthy = train(spoiled(0.0))
    lost = {int(run): steps // 64 for run, steps in result.summary["diverged"].items()}
    assert 0 < len(lost) < 4, "choose another rate"
    for run in range(4):
        state = run_of(result.states[0], run)
        assert all(np.isfinite(x).all() for x in host(state.learner.params))
        if run in lost:
            assert math.isnan(result.eval_return[run]) and state.diverged == lost[run]
        else:
            assert_equal(state, run_of(healthy.states[0], run))
            assert result.eval_return[run] == healthy.eval_return[run]
    finite = [x for x in result.eval_return if math.isfinite(x)]
    low, high = result.ci95
    assert min(finite) - 1e-4 <= low <= result.iqm <= high <= max(finite) + 1e-4
    # The lost runs keep the parameters they had before the update that spoiled them.
    config = healthy.config
    hp = traced(config.hp)
    programs = compile_programs(
        build(config), hp, 4, config.updates, config.evaluation, config.seed, mesh_for(AXIS, 4)
    )
    state, updates = programs.init(np.arange(4), hp), 0
    for run, until in sorted(lost.items(), key=lambda item: item[1]):
        if until > updates:
            state, _ = programs.advance(state, hp, until - updates)
            updates = until
        assert_close(run_of(state.learner, run), run_of(result.states[0].learner, run))
    assert_equal(load(out).learner_state, result.states[0].learner)


def test_the_message_names_the_run_and_the_steps(some_lost, capsys):
    train(some_lost[0].config, quiet=False)
    said = capsys.readouterr().err
    for run, steps in some_lost[0].summary["diverged"].items():
        assert f"run {run} (seed {run}): loss or parameters were not finite after {steps:,} steps" in said
    assert said.count("loss or parameters were not finite") == len(some_lost[0].summary["diverged"])


def test_when_all_diverge_the_last_good_state_remains(tmp_path):
    config = spoiled(1.0)
    for resume in (False, True):  # resuming trains nothing further
        with pytest.raises(
            Diverged, match="loss or parameters of all 4 runs were not finite .*no run is left"
        ) as caught:
            train(config, tmp_path / "run", resume=resume)
        assert str(tmp_path / "run" / "checkpoints") in str(caught.value)
        assert "\n" not in str(caught.value)
    trained = load(tmp_path / "run")
    assert trained.updates == 4
    assert all(np.isfinite(x).all() for x in host(trained.learner_state.params))
    assert not (tmp_path / "run" / "result.json").exists()


def test_a_failure_leaves_nothing_open(tmp_path, monkeypatch):
    config = walk.config()
    with monkeypatch.context() as patch:
        patch.setattr(
            destinations, "table", lambda *_: (_ for _ in ()).throw(sinks.SinkError("the disk is full"))
        )
        with pytest.raises(sinks.SinkError, match="the disk is full"):
            train(config, tmp_path)
    result = train(config, tmp_path, resume=True)  # not locked, and complete
    assert len(result.rows) == 5
    folders.write_json(tmp_path / "config.json", folders.plain(config))


SIZES = [(u, r, e, c) for u in (1, 2, 3, 7, 50, 51) for r in (1, 3, 50) for e in (1, 4) for c in (1, 10)]


@pytest.mark.parametrize(("updates", "rows", "evaluations", "checkpoints"), SIZES)
def test_stops_are_even_and_the_last_does_all(updates, rows, evaluations, checkpoints):
    found = stops(updates, rows, evaluations, checkpoints)
    at = [stop.updates for stop in found]
    assert at == sorted(set(at)) and at[0] >= 1 and at[-1] == updates
    assert len(found) == min(rows, updates)
    gaps = np.diff([0, *at])
    assert gaps.max() - gaps.min() <= 1
    assert found[-1].evaluate and found[-1].save
    for name, times in (("evaluate", evaluations), ("save", checkpoints)):
        due = [i for i, stop in enumerate(found) if getattr(stop, name)]
        assert len(due) == min(times, len(found))
        spaces = np.diff([-1, *due])
        assert spaces.max() - spaces.min() <= 1


def test_evaluations_take_the_environments_own_limit_and_record_it(monkeypatch):
    asked = TrainConfig.preset(
        "ppo",
        "CartPole-v1",
        steps=8,
        num_envs=4,
        rollout_length=2,
        rows=1,
        learner={"minibatches": 1, "epochs": 1, "network": {"hidden": (4,)}},
        evaluation=EvaluationConfig(times=1, episodes=1, final_episodes=1),
        env_options={"max_steps_in_episode": "12345"},
    )
    experiment = build(asked)
    assert limited(asked, experiment).evaluation.max_steps == 12_345
    given = dataclasses.replace(asked, evaluation=dataclasses.replace(asked.evaluation, max_steps=7))
    assert limited(given, experiment) is given and TrainConfig.from_json(given.to_json()) == given
    assert TrainConfig.from_json(asked.to_json()) == asked
    written = []

    def open_host(stack, out, kind, data, **settings):
        written.append(data)
        raise InterruptedError

    monkeypatch.setattr("jaxrl_evolve.training.train.open_host", open_host)
    with pytest.raises(InterruptedError):
        train(asked)
    assert written[0]["evaluation"]["max_steps"] == 12_345
    with pytest.raises(
        ValueError, match=r"evaluation\.max_steps is 0; it must be a whole number of at least 1"
    ):
        walk.config(evaluation={"max_steps": 0})


def test_a_result_says_which_episodes_were_cut_off(two):
    result, _, _ = two
    assert result.summary["eval_finished"] == [1.0, 1.0]
    short = dataclasses.replace(
        walk.config(updates=1), evaluation=dataclasses.replace(walk.config().evaluation, max_steps=3)
    )
    cut = train(short).summary
    assert cut["eval_finished"] == [0.0]
    assert "100% of the episodes were cut off at evaluation.max_steps" in sentence(cut, "out")
    assert "cut off" not in sentence(result.summary, "out")
