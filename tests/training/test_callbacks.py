"""What a program does at each row of a training: it sees all, changes nothing, and ends the run in order."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import walk
from same import assert_equal, assert_same_run

from jaxrl_evolve import register
from jaxrl_evolve.storage.sinks import Sink, read_jsonl
from jaxrl_evolve.training.callbacks import check_listeners
from jaxrl_evolve.training.restore import evaluate_folder
from jaxrl_evolve.training.train import train


def test_callbacks_see_every_row_and_change_no_bit(finished, tmp_path):
    rows, moments, written, closed = [], [], [], []

    def spoil(row, moment):
        rows.append(json.loads(json.dumps(row, allow_nan=False)))
        moments.append((moment.updates, moment.env_steps, moment.diverged.tolist(), moment.learner_state()))
        row["loss"][0] = row["env_steps"] = None
        for leaf in jax.tree.leaves(moment.states()[0].learner):
            leaf.fill(0)
        moment.diverged[:] = 3

    sink = Sink(lambda row, steps: written.append((row, steps)), lambda: closed.append(True))
    result = train(walk.config(seeds=2), tmp_path / "run", callbacks=[spoil], destinations=[sink])
    assert_same_run(tmp_path / "run", finished[1])
    assert_equal(result.states, finished[0].states)
    assert (
        rows == [row for row, _ in written] == result.rows == read_jsonl(tmp_path / "run" / "metrics.jsonl")
    )
    assert [steps for _, steps in written] == [row["env_steps"] for row in rows] and closed == [True]
    assert [moment[:3] for moment in moments] == [(2 * i, 128 * i, [-1, -1]) for i in range(1, 6)]
    assert ["eval_return" in row for row in rows] == [False, False, True, False, True]
    assert_equal(moments[-1][3], jax.device_get(result.states[0].learner))
    first, last = (jax.tree.leaves(moments[i][3].params)[0] for i in (0, -1))
    assert not np.array_equal(first, last)  # a copy of then, not what the run made of it


@pytest.mark.parametrize(
    ("callbacks", "destinations", "message"),
    [
        (print, (), "callbacks is <built-in function print>; it must be a list of functions"),
        ([3], (), "callbacks has 3; it must be a function of a row and a moment"),
        ((), [print], "destinations has <built-in function print>; it must be of type Sink"),
        ((), Sink(print, print), r"destinations is Sink\(.*; it must be a list of objects of type Sink"),
    ],
)
def test_what_cannot_be_told_is_refused(callbacks, destinations, message):
    with pytest.raises(ValueError, match=message):
        check_listeners(callbacks, destinations)


def test_a_callback_of_too_few_arguments_is_refused_before_anything_is_traced(tmp_path):
    walk.forget()
    with pytest.raises(ValueError, match="cannot be called with a row and a moment: too many positional"):
        train(walk.config(), tmp_path / "run", callbacks=[lambda row: None])
    assert not walk.traces and not (tmp_path / "run").exists()
    check_listeners([print, lambda *all: None], [])


@pytest.mark.parametrize("group", [0, 1])
def test_a_callback_that_fails_ends_the_run_in_order(finished, tmp_path, group):
    out, closed = tmp_path / "run", []

    def stop(row, moment):
        if moment.updates == 4:
            raise RuntimeError("enough")

    config = walk.config(seeds=2, group=group, checkpoints=1)
    sink = Sink(lambda row, steps: None, lambda: closed.append(True))
    with pytest.raises(RuntimeError, match="^enough$"):
        train(config, out, callbacks=[stop], destinations=[sink])
    assert closed == [True]
    assert [row["updates"] for row in read_jsonl(out / "metrics.jsonl")] == [2, 4]
    assert [path.name for path in (out / "checkpoints").glob("step_*")] == ["step_000000004"]
    told = []
    train(config, out, resume=True, callbacks=[lambda row, moment: told.append(moment.updates)])
    assert told == [6, 8, 10]
    if not group:
        assert_same_run(out, finished[1])


def test_a_moment_that_is_over_says_so():
    kept = []
    train(walk.config(updates=2, rows=1), callbacks=[lambda row, moment: kept.append(moment)])
    with pytest.raises(RuntimeError, match="can be read only while the callback runs"):
        kept[0].states()


def test_what_an_environment_tells_of_its_episodes_is_in_rows_and_results(tmp_path):
    def make():
        sound = walk.make()

        def step(key, state, action, params):
            out = sound.step(key, state, action, params)
            time = out.state.time
            return out._replace(info={"time": time, "both": jnp.stack([time > 3, time > 30])})

        return dataclasses.replace(sound, step=step, metrics=("time", "both"))

    register("env", "own/Telling", make)
    config = dataclasses.replace(walk.config(updates=2, rows=1, seeds=2), env="own/Telling")
    result = train(config, tmp_path / "run")
    # Every episode lasts eight steps: the means are those of last steps, not of all.
    both = [[1.0, 0.0]] * 2
    for told in (result.rows[-1], json.loads((tmp_path / "run" / "result.json").read_text())):
        assert (told["eval_time"], told["eval_both"]) == ([8.0, 8.0], both)
    assert (result.rows[-1]["episode_time"], result.rows[-1]["episode_both"]) == ([8.0, 8.0], both)
    again = evaluate_folder(tmp_path / "run", 3, max_steps=5)
    assert again["eval_time"].tolist() == [5.0, 5.0]  # cut off there
    assert "seed_1_0/episode_both" in (tmp_path / "run" / "metrics.csv").read_text().splitlines()[0]
    assert not [name for name in train(walk.config(updates=1, rows=1)).rows[0] if "time" in name]
