"""A resumed run is the uninterrupted one, bit for bit: after SIGTERM, and after SIGKILL at any moment."""

import dataclasses
import json
import multiprocessing
import os
import random
import signal
import time

import jax
import pytest
import walk
from same import assert_equal

from jaxrl_evolve.storage.checkpoint import CheckpointError, Checkpoints
from jaxrl_evolve.storage.claim import Lock
from jaxrl_evolve.storage.folder import FolderError, RunFolder
from jaxrl_evolve.storage.sinks import read_jsonl
from jaxrl_evolve.training import train as loops
from jaxrl_evolve.training.config import EvaluationConfig
from jaxrl_evolve.training.interrupts import Interrupted
from jaxrl_evolve.training.train import train


def rows_of(out):
    """The rows without their times, which are the only thing that may differ."""
    return [
        {name: x for name, x in row.items() if name != "seconds"} for row in read_jsonl(out / "metrics.jsonl")
    ]


def assert_same_run(out, expected):
    """Two finished run folders with the same states, metrics and results."""
    assert rows_of(out) == rows_of(expected)
    assert [row["updates"] for row in rows_of(out)] == sorted({row["updates"] for row in rows_of(out)})
    results = [json.loads((folder / "result.json").read_text()) for folder in (out, expected)]
    for name in ("eval_return", "iqm", "ci95", "env_steps", "diverged"):
        assert results[0][name] == results[1][name]
    tables = [(folder / "metrics.csv").read_text().splitlines() for folder in (out, expected)]
    drop = tables[0][0].split(",").index("seconds")
    assert [line.split(",")[:drop] + line.split(",")[drop + 1 :] for line in tables[0]] == [
        line.split(",")[:drop] + line.split(",")[drop + 1 :] for line in tables[1]
    ]


def interrupt_after(monkeypatch, rows, number=signal.SIGTERM):
    """Send this process a signal in its ``rows``-th row from now."""
    real, seen = loops._Loop.advance, []

    def advance(self, *arguments):
        seen.append(1)
        if len(seen) == rows:
            os.kill(os.getpid(), number)
        real(self, *arguments)

    monkeypatch.setattr(loops._Loop, "advance", advance)


RICH = {
    "learner": {
        "minibatches": 2,
        "epochs": 1,
        "normalise_observations": True,
        "normalise_returns": True,
        "network": {"hidden": (8,), "memory": "gru", "memory_size": 4},
    },
    "resets": "pool:6:2",
}
CONFIGS = {
    "plain": walk.config(seeds=2, rows=10, checkpoints=3),
    "everything that has state": walk.config(seeds=2, rows=10, checkpoints=3, **RICH),
    "groups": walk.config(seeds=2, rows=10, checkpoints=3, group=1),
    "a lost seed": walk.config(updates=20, seeds=4, rows=10, env_options={"nan_rate": "0.002"}),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_resumed_after_sigterm_is_the_uninterrupted_run(name, tmp_path, monkeypatch):
    config = CONFIGS[name]
    expected = train(config, tmp_path / "whole")
    moment = random.Random(name)
    for resume, signals in ((False, signal.SIGTERM), (True, signal.SIGINT)):
        with monkeypatch.context() as patch:
            interrupt_after(patch, moment.randint(1, 4), signals)
            with pytest.raises(Interrupted, match="continue with: jaxrl-evolve resume") as caught:
                train(config, tmp_path / "cut", resume=resume)
        assert caught.value.signal == signals.name
        assert not (tmp_path / "cut" / "result.json").exists()
    resumed = train(config, tmp_path / "cut", resume=True)
    assert_equal(resumed.states, expected.states)
    assert resumed.eval_return == expected.eval_return or any(x != x for x in expected.eval_return)
    assert resumed.summary["run_seconds"] > resumed.rows[0]["seconds"] > 0
    assert_same_run(tmp_path / "cut", tmp_path / "whole")


def test_without_a_checkpoint_it_starts_anew(tmp_path):
    config = CONFIGS["plain"]
    train(config, tmp_path / "whole", resume=True)  # a folder that is not there yet
    out = tmp_path / "cut"
    out.mkdir()
    (out / "config.json").write_bytes((tmp_path / "whole" / "config.json").read_bytes())
    (out / "metrics.jsonl").write_text('{"env_steps": 64, "updates": 1}\n{"env_st')
    (out / ".config.json.tmp").touch()
    train(config, out, resume=True)
    assert_same_run(out, tmp_path / "whole")


def test_a_finished_run_is_read_back(tmp_path, monkeypatch):
    config = CONFIGS["plain"]
    result = train(config, tmp_path)
    monkeypatch.setattr(loops, "compile_programs", None)  # nothing is to be compiled
    again = train(config, tmp_path, resume=True)
    assert again.summary == result.summary and again.rows == result.rows
    assert_equal(again.states, result.states)


def test_a_run_killed_before_its_result_only_lacks_the_result(tmp_path):
    config = CONFIGS["plain"]
    result = train(config, tmp_path)
    for name in ("result.json", "curves.png"):
        (tmp_path / name).unlink()
    again = train(config, tmp_path, resume=True)
    assert again.rows == [] and again.eval_return == result.eval_return
    assert (tmp_path / "result.json").exists() and (tmp_path / "curves.png").exists()


def test_what_was_done_after_an_older_checkpoint_is_made_anew(tmp_path):
    config = dataclasses.replace(CONFIGS["plain"], checkpoints=10, keep=10)
    expected = train(config, tmp_path / "whole")
    train(config, tmp_path / "back")
    resumed = train(config, tmp_path / "back", resume=True, step=4)
    assert [row["updates"] for row in resumed.rows] == [5, 6, 7, 8, 9, 10]
    assert_equal(resumed.states, expected.states)
    assert_same_run(tmp_path / "back", tmp_path / "whole")
    with Checkpoints(tmp_path / "back" / "checkpoints") as checkpoints:
        assert checkpoints.steps() == list(range(1, 11))
    with pytest.raises(CheckpointError, match="has no checkpoint of step 11"):
        train(config, tmp_path / "back", resume=True, step=11)


def test_changed_settings_are_refused_by_name(tmp_path):
    config = CONFIGS["plain"]
    train(config, tmp_path)
    evaluation = dataclasses.replace(config.evaluation, episodes=5)
    network = dataclasses.replace(config.learner.network, hidden=(9,))
    changes = {
        "seed": (1, "seed is 1, but the run in .* was started with 0"),
        "rows": (5, "rows is 5, but"),
        "evaluation": (evaluation, "evaluation.episodes is 5, but"),
        "hp": (dataclasses.replace(config.hp, gamma=0.9), "hp.gamma is 0.9, but"),
        "learner": (
            dataclasses.replace(config.learner, network=network),
            r"learner.network.hidden is \[9\], but",
        ),
        "env_options": ({"nan_rate": "0"}, "env_options.nan_rate is '0', but"),
    }
    for name, (value, message) in changes.items():
        with pytest.raises(ValueError, match=message) as caught:
            train(dataclasses.replace(config, **{name: value}), tmp_path, resume=True)
        assert "\n" not in str(caught.value)
    sinks = dataclasses.replace(config.sinks, wandb_project="other")  # where numbers go may change
    train(dataclasses.replace(config, sinks=sinks), tmp_path, resume=True)


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    config = CONFIGS["plain"]
    train(config, tmp_path / "a")
    train(dataclasses.replace(config, seed=1), tmp_path / "b")
    (tmp_path / "a" / "result.json").unlink()
    (tmp_path / "a" / "checkpoints").rename(tmp_path / "old")
    (tmp_path / "b" / "checkpoints").rename(tmp_path / "a" / "checkpoints")
    with pytest.raises(CheckpointError, match="config_digest"):
        train(config, tmp_path / "a", resume=True)


def test_one_process_trains_into_a_folder(tmp_path):
    config = CONFIGS["plain"]
    train(config, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with Lock(RunFolder(tmp_path)):
        for options in ({"resume": True}, {"overwrite": True}):
            with pytest.raises(FolderError, match=f"another process .{os.getpid()}. is training into"):
                train(config, tmp_path, **options)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


KILLED = walk.config(
    updates=70,
    seeds=2,
    rows=70,
    checkpoints=70,
    learner=RICH["learner"] | {"network": {"hidden": (8,)}},
    resets=RICH["resets"],
    evaluation=EvaluationConfig(times=14, episodes=2, final_episodes=4, max_steps=20),
)


def train_in_child(out, rows):
    """Train on, counting the rows of this process in ``rows``."""
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    real = loops._Loop.advance

    def advance(self, *arguments):
        real(self, *arguments)
        rows.value += 1

    loops._Loop.advance = advance
    train(KILLED, out, resume=True)


@pytest.mark.timeout(900)  # half a minute alone on a machine, minutes on a busy one
@pytest.mark.parametrize("times", [5, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_random_moments(times, tmp_path):
    # Children are forked with all modules imported and no backend started (importing gymnax starts one), and
    # find their programs in the compilation cache: a restart costs a second.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["orbax.checkpoint", "matplotlib.backends.backend_agg", __name__])

    def start(out):
        rows = context.Value("i", 0, lock=False)
        child = context.Process(target=train_in_child, args=(out, rows))
        child.start()
        return child, rows

    child, _ = start(tmp_path / "whole")
    child.join()
    assert child.exitcode == 0
    moment, out, reached, kills = random.Random(0), tmp_path / "killed", [], 0
    while True:
        child, rows = start(out)
        if kills >= times:
            child.join()
            break
        # Every fifth is killed while it starts; the others in some row, or in what follows it. Each row saves, and
        # a save waits for the one before it: from the second row on there is progress.
        until = 0 if kills % 5 == 4 else moment.randint(2, 4)
        while until and rows.value < until and child.is_alive():
            time.sleep(0.001)
        time.sleep(moment.uniform(0.0, 0.02) if until else moment.uniform(0.0, 1.5))
        child.kill()
        child.join()
        kills += 1
        if (out / "checkpoints").is_dir():
            with Checkpoints(out / "checkpoints") as checkpoints:
                reached += checkpoints.steps()[-1:]
    assert child.exitcode == 0 and kills == times
    # Progress is never lost, and most kills came in the middle of the run.
    assert reached == sorted(reached) and len(set(reached)) >= 0.6 * times and reached[-1] < 70
    assert_same_run(out, tmp_path / "whole")
    finished = [train(KILLED, folder, resume=True) for folder in (out, tmp_path / "whole")]
    assert_equal(finished[0].states, finished[1].states)
