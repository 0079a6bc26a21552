"""More steps for a finished run: the same states as the programs written out, told in the folder, resumed like any run."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import pytest
import walk
from same import assert_close, assert_equal, assert_same_run, rows_of
from test_resume import interrupt_after

from jaxrl_evolve import register
from jaxrl_evolve.algorithms.ppo import PPO
from jaxrl_evolve.command.main import main
from jaxrl_evolve.results.report import ReportError, read_run
from jaxrl_evolve.settings import plugins
from jaxrl_evolve.training import extend as module
from jaxrl_evolve.training import loop
from jaxrl_evolve.training.experiment import build, traced
from jaxrl_evolve.training.extend import extend, lengthen
from jaxrl_evolve.training.history import history_of
from jaxrl_evolve.training.interrupts import Interrupted
from jaxrl_evolve.training.restore import load
from jaxrl_evolve.training.train import train

CONFIG = walk.config(updates=10)


@pytest.fixture
def finished(tmp_path):
    return train(CONFIG, tmp_path / "run"), tmp_path / "run"


def test_it_goes_on_by_the_longer_horizon(finished):
    first, out = finished
    longer = extend(out, 25 * 64)
    experiment = build(CONFIG)
    state = jax.tree.map(lambda x: x[0], first.states[0])
    expected, _ = jax.jit(experiment.chunk.run)(
        state, traced(CONFIG.hp), (), experiment.env.params, jnp.float32(25), jnp.int32(15)
    )
    assert_close(jax.tree.map(lambda x: x[0], longer.states[0]), expected)
    rows = rows_of(out)
    assert [row["updates"] for row in rows] == [2, 4, 6, 8, 10, 15, 20, 25]
    # Updates 10 to 14 of 25, where the rate falls to nothing at the end.
    assert rows[5]["learning_rate"] == [pytest.approx(CONFIG.hp.learning_rate * (1 - 12 / 25))]
    config = json.loads((out / "config.json").read_text())
    assert config["steps"] == 1600
    assert config["history"] == [{"steps": 640, "env_steps": 640, "updates": 10}]
    assert json.loads((out / "result.json").read_text())["env_steps"] == 1600
    assert load(out).config == dataclasses.replace(CONFIG, steps=1600)


def test_no_process_goes_on_before_the_history_is_written(finished, monkeypatch):
    """The second of two, of which the first comes to each meeting last; checkpoints are known by the history."""
    _, out = finished
    there = []

    def meeting(name):
        if len(there) == 1:
            with monkeypatch.context() as patch:
                patch.setattr(jax, "process_index", lambda: 0)
                patch.setattr(module, "barrier", lambda name: None)
                lengthen(out, CONFIG, 25 * 64)
        there.append(history_of(out))

    monkeypatch.setattr(module, "barrier", meeting, raising=False)
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    lengthen(out, CONFIG, 25 * 64)
    assert history_of(out) == [{"steps": 640, "env_steps": 640, "updates": 10}]
    assert there == [[], history_of(out)]  # nor is it written before all have read that there is none


def test_what_is_not_known_here_leaves_the_folder_as_it_is(tmp_path):
    register("algorithm", "passing", PPO)
    train(dataclasses.replace(walk.config(updates=1), algorithm="passing"), tmp_path / "run")
    plugins.forget(plugins.ALGORITHMS, "passing")
    before = (tmp_path / "run" / "config.json").read_bytes()
    with pytest.raises(ValueError, match="passing"):
        extend(tmp_path / "run", 640)
    assert (tmp_path / "run" / "config.json").read_bytes() == before


def test_cut_it_is_resumed_by_the_usual_commands(finished, tmp_path, monkeypatch, capsys):
    _, out = finished
    train(CONFIG, tmp_path / "whole")
    whole = extend(tmp_path / "whole", 30 * 64)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        with pytest.raises(Interrupted):
            extend(out, 30 * 64)
    resumed = train(dataclasses.replace(CONFIG, steps=30 * 64), out, resume=True)
    assert_equal(resumed.states, whole.states)
    assert_same_run(out, tmp_path / "whole")
    assert main(["resume", str(out), "--steps", "1920"]) == 0  # once more: it is done
    assert "had already finished" in (said := capsys.readouterr().out) and "return" in said
    assert "1,920 steps per seed" in said
    assert (
        main(["resume", str(out), "--steps", "2e3", "--quiet"]) == 0
    )  # and more, rounded up to whole updates
    history = json.loads((out / "config.json").read_text())["history"]
    assert [part["steps"] for part in history] == [640, 1920]
    with pytest.raises(ValueError, match="step is 24, but the run was given more steps after 30 updates"):
        train(dataclasses.replace(CONFIG, steps=2000), out, resume=True, step=24)


def test_cut_before_its_result_is_written_it_has_none(finished, tmp_path, monkeypatch):
    """The last checkpoint is there, and the result of the earlier end: that is no result of the longer run."""
    _, out = finished

    def fails(*given, **named):
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(loop, "summarise", fails)
        with pytest.raises(RuntimeError, match="killed"):
            extend(out, 12 * 64)
    with pytest.raises(ValueError, match="has not come to its end yet, after 768: first continue it"):
        extend(out, 6400)
    with pytest.raises(
        ReportError, match="is from before the run was given more steps, after 640, and it has"
    ):
        read_run(out)
    resumed = train(dataclasses.replace(CONFIG, steps=12 * 64), out, resume=True)
    assert resumed.summary["env_steps"] == 768
    assert (read_run(out).env_steps, read_run(out).extended) == (768, (640,))


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (640, "steps is 640; the run in .* is one of 640, so it must be more"),
        (320, "so it must be more"),
        (0, "steps is 0; it must be a whole number of at least 1"),
    ],
)
def test_no_fewer_steps(finished, steps, message):
    before = (finished[1] / "config.json").read_bytes()
    with pytest.raises(ValueError, match=message):
        extend(finished[1], steps)
    assert (finished[1] / "config.json").read_bytes() == before


def test_only_a_finished_training_run(finished, tmp_path, capsys):
    _, out = finished
    (out / "result.json").unlink()
    with pytest.raises(ValueError, match="has not come to its end yet, after 640: first continue it with: "):
        extend(out, 6400)
    (out / "points.json").write_text("{}")
    with pytest.raises(ValueError, match="is a part of a sweep"):
        extend(out, 6400)
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "config.json").write_text('{"kind": "meta-train"}')
    assert main(["resume", str(tmp_path / "meta"), "--steps", "1e6"]) == 2
    assert "steps is 1,000,000, but" in (said := capsys.readouterr().err) and "a meta-training" in said
