"""The host that kinds of run share, by a kind of run that counts."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from jaxrl_evolve.storage import kinds
from jaxrl_evolve.storage.checkpoint import CheckpointError
from jaxrl_evolve.storage.kinds import Kind
from jaxrl_evolve.storage.sinks import read_jsonl
from jaxrl_evolve.training.config import SinkConfig
from jaxrl_evolve.training.host import Host, open_host
from jaxrl_evolve.training.interrupts import Interrupted

COUNTER = Kind("counter", kinds.RUN, dict, lambda *_: "", kinds.METRICS_FILES, kinds.STATE_FOLDERS)
CONFIG = {"goal": 6, "by": 2, "keep": 2}


def count(out: Any = None, cut: int = 0, config: Any = CONFIG, step: int | None = None, **how: Any) -> Host:
    """Count to the goal in a state; a signal comes after ``cut``."""
    with contextlib.ExitStack() as stack:
        identity = {"what": "counter"}
        host = open_host(
            stack, out, COUNTER, config, identity=identity, indifferent=("keep",), keep=config["keep"], **how
        )
        state, record = host.restore({"count": jnp.zeros((), jnp.int32)}, step)
        done = 0 if record is None else record["done"]
        host.open_sinks(SinkConfig(), done if done else None)
        host.show(stack, "counter", config["goal"], "counts", done=done)
        while host.done < host.total:
            with host.timed("run_seconds"):
                state = {"count": state["count"] + config["by"]}
            if host.done + 1 == cut:
                os.kill(os.getpid(), signal.SIGTERM)
            host.row({"done": host.done + 1, "count": state["count"]}, host.done + 1)
            host.advanced(host.done + 1)
            host.save(host.done, state, {"done": host.done})
            if (name := host.signal()) and host.done < host.total:
                raise host.interrupted(name)
        host.result({"count": int(state["count"]), **host.seconds})
    return host


def test_resumed_is_uninterrupted(tmp_path: Any):
    out = tmp_path / "run"
    with pytest.raises(Interrupted, match=f"^SIGTERM after 4 of 6 counts; continue with: .* resume {out}$"):
        count(out, cut=4)
    assert not (out / "result.json").exists()
    host = count(out, resume=True)
    result = json.loads((out / "result.json").read_text())
    assert result["count"] == 12 and result["run_seconds"] == host.seconds["run_seconds"] > 0
    rows = read_jsonl(out / "metrics.jsonl")
    assert [(row["env_steps"], row["count"]) for row in rows] == [(i, 2 * i) for i in range(1, 7)]
    assert [row["done"] for row in host.rows] == [1, 2, 3, 4, 5, 6]  # of both parts of the run
    assert host.saved == 6
    again = count(out, resume=True)
    assert again.rows == host.rows and again.seconds == host.seconds


def test_an_older_checkpoint_and_a_foreign_one(tmp_path: Any):
    out = tmp_path / "run"
    count(out)
    assert [row["done"] for row in count(out, resume=True, step=5).rows] == [1, 2, 3, 4, 5, 6]
    with pytest.raises(CheckpointError, match="has no checkpoint of step 1"):
        count(out, resume=True, step=1)
    with pytest.raises(ValueError, match="by is 3, but the run in .* was started with 2"):
        count(out, config=CONFIG | {"by": 3}, resume=True)
    (out / "config.json").write_text(json.dumps({"kind": "counter", **CONFIG, "by": 3}))
    with pytest.raises(CheckpointError, match="config_digest"):
        count(out, config=CONFIG | {"by": 3}, resume=True)
    (out / "config.json").write_text(json.dumps({"kind": "counter", **CONFIG, "keep": 1}))
    assert (
        count(out, config=CONFIG | {"keep": 1}, resume=True).saved == 6
    )  # does not decide what the state is


def test_without_a_folder_nothing_is_saved():
    with pytest.raises(Interrupted, match="^SIGTERM after 2 of 6 counts; nothing was saved$"):
        count(cut=2)
    host = count()
    assert [row["count"] for row in host.rows] == [2, 4, 6, 8, 10, 12] and host.saved == 0


def test_a_step_is_saved_once_and_a_failure_takes_no_time(tmp_path: Any):
    with contextlib.ExitStack() as stack:
        host = open_host(stack, tmp_path, COUNTER, CONFIG, identity={"what": "counter"})
        for _ in range(2):
            host.save(3, {"count": jnp.zeros(())}, {})
        host.wait()
        assert os.listdir(tmp_path / "checkpoints") == ["step_000000003"]  # no second revision
        with pytest.raises(ZeroDivisionError), host.timed("run_seconds"):
            raise ZeroDivisionError
        assert host.seconds == {"run_seconds": 0.0, "compile_seconds": 0.0}


def test_only_the_first_process_writes(tmp_path: Any, monkeypatch: Any):
    with contextlib.ExitStack() as stack:
        host = open_host(stack, tmp_path / "run", COUNTER, CONFIG)
        assert host.writable == host.folder is not None
        monkeypatch.setattr(jax, "process_index", lambda: 1)
        assert host.writable is None
        host.open_sinks(SinkConfig(), None)
        host.result({})
        assert sorted(os.listdir(tmp_path / "run")) == [".lock", "config.json"]
