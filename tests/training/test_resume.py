"""A resumed run is the uninterrupted one, bit for bit; `test_kills.py` has the kills at any moment."""

import dataclasses
import os
import random
import shutil
import signal

import jax
import jax.numpy as jnp
import pytest
import walk
from same import assert_equal, assert_same_run, rows_of

from jaxrl_evolve.storage import sinks, steps
from jaxrl_evolve.storage.checkpoint import CheckpointError, Checkpoints
from jaxrl_evolve.storage.folder import FolderError, RunFolder
from jaxrl_evolve.storage.lock import Lock
from jaxrl_evolve.training import loop as loops
from jaxrl_evolve.training import restore as restored
from jaxrl_evolve.training.config import EvaluationConfig
from jaxrl_evolve.training.host import Host
from jaxrl_evolve.training.interrupts import Interrupted
from jaxrl_evolve.training.restore import load
from jaxrl_evolve.training.resumption import ResumeWarning
from jaxrl_evolve.training.schedule import rows_due
from jaxrl_evolve.training.train import train


def interrupt_after(monkeypatch, rows, number=signal.SIGTERM):
    """Send this process a signal in its ``rows``-th row from now."""
    real, seen = loops.Loop.advance, []

    def advance(self, *arguments):
        seen.append(1)
        if len(seen) == rows:
            os.kill(os.getpid(), number)
        real(self, *arguments)

    monkeypatch.setattr(loops.Loop, "advance", advance)


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
@pytest.mark.core("everything that has state")
def test_resumed_after_sigterm_is_the_uninterrupted_run(name, tmp_path, monkeypatch, request):
    if name == "a lost seed":
        request.getfixturevalue("all_devices")
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
    with pytest.warns(ResumeWarning, match="there is no checkpoint in .*: the run starts anew"):
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
    assert again.rows == result.rows and again.eval_return == result.eval_return
    assert (tmp_path / "result.json").exists() and (tmp_path / "curves.png").exists()


def test_what_was_done_after_an_older_checkpoint_is_made_anew(tmp_path):
    config = dataclasses.replace(CONFIGS["plain"], checkpoints=10, keep=10)
    expected = train(config, tmp_path / "whole")
    train(config, tmp_path / "back")
    resumed = train(config, tmp_path / "back", resume=True, step=4)
    assert [row["updates"] for row in resumed.rows] == list(range(1, 11))
    assert_equal(resumed.states, expected.states)
    assert_same_run(tmp_path / "back", tmp_path / "whole")
    with Checkpoints(tmp_path / "back" / "checkpoints") as checkpoints:
        assert checkpoints.steps() == list(range(1, 11))
    with pytest.raises(CheckpointError, match="has no checkpoint of step 11"):
        train(config, tmp_path / "back", resume=True, step=11)


class Killed(BaseException):
    """In place of a kill at a certain moment; `test_kills.py` has real ones."""


@pytest.mark.parametrize(
    "moment", ["when the result is gone", "when checkpoints are gone", "when rows are gone"]
)
def test_a_kill_after_going_back_is_no_loss(moment, tmp_path, monkeypatch):
    """Rows after an older checkpoint are cut, so no newer one may be taken up."""
    config = dataclasses.replace(CONFIGS["plain"], checkpoints=10, keep=10)
    train(config, tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "back")
    owner, name = {
        "when the result is gone": (steps, "forget_after"),
        "when checkpoints are gone": (Host, "open_sinks"),
        "when rows are gone": (loops.Loop, "advance"),
    }[moment]

    def killed(*_, **__):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, killed)
        with pytest.raises(Killed):
            train(config, tmp_path / "back", resume=True, step=4)
    assert len(rows_of(tmp_path / "back")) == (4 if moment == "when rows are gone" else 10)
    resumed = train(config, tmp_path / "back", resume=True)
    assert [row["updates"] for row in resumed.rows] == list(range(1, 11))
    assert_same_run(tmp_path / "back", tmp_path / "whole")


def delete(path, *numbers):
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for i, line in enumerate(lines, 1) if i not in numbers))


@pytest.mark.parametrize("finished", [True, False])
def test_missing_rows_are_named_and_the_table_follows_the_lines(finished, tmp_path):
    config = dataclasses.replace(CONFIGS["plain"], checkpoints=10, keep=10)
    train(config, tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    out = RunFolder(tmp_path / "cut")
    delete(out.metrics, 3, 5)
    delete(out.table, 5, 9)
    if not finished:
        out.result.unlink()
        for step in (9, 10):
            shutil.rmtree(out.checkpoints / f"step_{step:09d}")
    last = 10 if finished else 8
    said = f"lacks 2 of the {last} rows up to the checkpoint, with updates 3, 5; resume --step 2 makes them anew$"
    with pytest.warns(ResumeWarning, match=said):
        result = train(config, out.path, resume=True)
    assert [row["updates"] for row in result.rows] == [1, 2, 4, 6, 7, 8, 9, 10]
    sinks.write_table(tmp_path / "expected.csv", sinks.read_jsonl(out.metrics))
    assert out.table.read_bytes() == (tmp_path / "expected.csv").read_bytes()
    train(config, out.path, resume=True, step=2)
    assert_same_run(out.path, tmp_path / "whole")
    with open(out.table, "a") as table:
        table.write("torn")
    train(config, out.path, resume=True)
    assert_same_run(out.path, tmp_path / "whole")
    out.metrics.unlink()
    with pytest.warns(ResumeWarning, match="lacks 10 of the 10 rows .* with updates 1, 2, 3, 4, 5, …$"):
        assert train(config, out.path, resume=True).rows == []


def test_a_finished_run_whose_checkpoints_were_deleted_is_not_trained_anew(tmp_path):
    config = dataclasses.replace(CONFIGS["plain"], checkpoints=10, keep=10)
    train(config, tmp_path)
    before = (tmp_path / "result.json").read_bytes()
    shutil.rmtree(tmp_path / "checkpoints" / "step_000000010")
    with pytest.raises(
        CheckpointError, match=r"the checkpoint of its end \(step 10\) is gone.*; resume --step 9 goes"
    ):
        train(config, tmp_path, resume=True)
    shutil.rmtree(tmp_path / "checkpoints")
    with pytest.raises(CheckpointError, match="is finished, but .* is gone, .*; --overwrite trains it anew"):
        train(config, tmp_path, resume=True)
    assert (tmp_path / "result.json").read_bytes() == before and len(rows_of(tmp_path)) == 10


@pytest.mark.usefixtures("all_devices")
def test_other_bits_are_said(tmp_path, monkeypatch):
    config = dataclasses.replace(CONFIGS["plain"], keep=9)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 1)
        with pytest.raises(Interrupted):
            train(config, tmp_path)
    monkeypatch.setattr(loops, "mesh_for", lambda *_: None)
    said = r"made under other conditions \(devices 2 there, 1 here\): from here on the run is not the uninterrupted one"
    with pytest.warns(ResumeWarning, match=said):
        train(config, tmp_path, resume=True)
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        conditions = [checkpoints.manifest(step).record["conditions"] for step in (1, 10)]
    assert [c["devices"] for c in conditions] == [2, 1]
    assert {"platform", "jax", "jaxlib", "XLA flags", "cores", "processor"} <= set(conditions[0])


@pytest.mark.usefixtures("all_devices")
def test_groups_that_are_not_at_work_lie_elsewhere(tmp_path, monkeypatch):
    """As on an accelerator, whose host's memory is another device here: at the start, between rows with their evaluations, and
    when a run is taken up. It is the run whose groups all stay.
    """
    config = dataclasses.replace(CONFIGS["groups"], evaluation=EvaluationConfig(2, 4, 6, 20, probe=2))
    config = dataclasses.replace(config, env_options={"wrappers": "level_seeds"})
    monkeypatch.setattr(loops, "mesh_for", lambda *_: None)
    expected = train(config, tmp_path / "whole")
    here, there = jax.devices()[:2]
    lain, asked = [], []

    def noted(method):
        real = getattr(loops.Loop, method)

        def also(self, *arguments):
            real(self, *arguments)
            lain.append({device for x in jax.tree.leaves(self.states) for device in x.devices()})

        monkeypatch.setattr(loops.Loop, method, also)

    def restore(self, template, step=None):
        leaves = jax.tree.leaves(template)
        asked.append({device for x in leaves for device in x.sharding.device_set})
        assert not any(isinstance(x, jax.Array) for x in leaves)
        return read(self, template, step)

    read = Checkpoints.restore
    noted("prepare"), noted("advance")
    monkeypatch.setattr(loops, "host_device", lambda: there)
    monkeypatch.setattr(Checkpoints, "restore", restore)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 4)
        with pytest.raises(Interrupted):
            train(config, tmp_path / "cut")
    resumed = train(config, tmp_path / "cut", resume=True)
    assert_equal(resumed.states, expected.states)
    assert_same_run(tmp_path / "cut", tmp_path / "whole")
    train(config, tmp_path / "cut", resume=True)  # which only reads what there is
    assert lain == [{there}] * 12 and asked == [{there}] * 2
    assert all(x.devices() == {here} for x in jax.tree.leaves(expected.states))
    monkeypatch.setattr(restored, "host_device", lambda: there)
    learners = load(tmp_path / "cut").learner_state
    assert all(x.devices() == {here} and not x.committed for x in jax.tree.leaves(learners))
    assert_equal(learners, jax.tree.map(lambda *x: jnp.concatenate(x), *(s.learner for s in expected.states)))


def test_a_checkpoint_that_counts_has_its_rows_on_disk(tmp_path, monkeypatch):
    """Every row that comes before a checkpoint is synced before the rename that makes it count."""
    synced, counted, fsync, rename = [0], [], os.fsync, os.rename
    metrics = tmp_path / "run" / "metrics.jsonl"

    def see_sync(descriptor):
        fsync(descriptor)
        if os.path.exists(metrics) and os.path.samestat(os.fstat(descriptor), os.stat(metrics)):
            synced[0] = len(metrics.read_text().splitlines())

    def see_rename(source, target, *options, **more):
        if os.path.basename(target).startswith("step_"):
            counted.append((int(os.path.basename(target)[5:]), synced[0]))
        return rename(source, target, *options, **more)

    monkeypatch.setattr(os, "fsync", see_sync)
    monkeypatch.setattr(os, "rename", see_rename)
    train(walk.config(seeds=2, rows=10, checkpoints=5), tmp_path / "run")
    assert [step for step, _ in counted] == [2, 4, 6, 8, 10]
    assert all(rows >= step for step, rows in counted)  # of one update each


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


def test_rows_that_are_due():
    assert rows_due([10], rows=5, updates=6) == [2, 4, 6]
    assert rows_due([10, 25], rows=5, updates=22) == [2, 4, 6, 8, 10, 15, 20]  # it was given more steps
    assert rows_due([10], rows=5, updates=0) == []
