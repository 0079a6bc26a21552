"""A resumed run is the uninterrupted one, bit for bit; `test_kills.py` has the kills at any moment."""

import dataclasses
import os
import random
import signal

import pytest
import walk
from same import assert_equal, assert_same_run

from jaxrl_evolve.storage.checkpoint import CheckpointError, Checkpoints
from jaxrl_evolve.storage.folder import FolderError, RunFolder
from jaxrl_evolve.storage.lock import Lock
from jaxrl_evolve.training import train as loops
from jaxrl_evolve.training.interrupts import Interrupted
from jaxrl_evolve.training.train import train


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
