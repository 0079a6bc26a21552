"""Sinks: what is written, that resuming leaves the file of an uninterrupted run, and repairs."""

import csv
import json
import struct
import sys
import types

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxrl_evolve.storage import destinations, sinks
from jaxrl_evolve.storage.sinks import SinkError


def row(step):
    loss = jnp.asarray([step / 7, np.nan if step == 20 else step], jnp.float32)
    out = {"env_steps": step, "updates": step // 10, "seconds": step * 0.1, "loss": loss}
    return out | {"eval_return": np.asarray([1.0, np.inf])} if step >= 30 else out


def write(make, path, steps, **options):
    sink = make(path, **options)
    for step in steps:
        sink.write(row(step), step)
    sink.close()
    return path.read_bytes()


def again(make, path, at):
    """The file of an earlier run up to a step, and how `write` goes on in it."""
    if make is sinks.jsonl:
        return {"resume_at": at}
    lines = path.with_suffix(".lines")
    write(sinks.jsonl, lines, STEPS)
    return {"rows": sinks.read_jsonl(lines, at)}


STEPS = range(10, 80, 10)
FILES = pytest.mark.parametrize("make", [sinks.jsonl, sinks.table])


def test_json_lines(tmp_path):
    text = write(sinks.jsonl, tmp_path / "m.jsonl", STEPS).decode()
    assert "NaN" not in text and "Infinity" not in text
    found = [json.loads(line) for line in text.splitlines()]
    assert found[0] == {"env_steps": 10, "updates": 1, "seconds": 1.0, "loss": [found[0]["loss"][0], 10.0]}
    assert np.float32(found[0]["loss"][0]) == np.float32(10 / 7)
    assert found[1]["loss"][1] is None and found[2]["eval_return"] == [1.0, None]
    assert [r["env_steps"] for r in found] == list(STEPS)


def test_table(tmp_path):
    write(sinks.table, tmp_path / "m.csv", STEPS)
    with open(tmp_path / "m.csv", newline="") as file:
        found = list(csv.DictReader(file))
    first = ["env_steps", "updates", "seconds", "seed_0/loss", "seed_1/loss"]
    assert list(found[0]) == [*first, "seed_0/eval_return", "seed_1/eval_return"]
    assert found[0]["seed_0/eval_return"] == "" and found[2]["seed_0/eval_return"] == "1.0"
    assert found[1]["seed_1/loss"] == "" and found[2]["seed_1/eval_return"] == ""
    assert [np.float32(r["seed_0/loss"]) for r in found] == [np.float32(s / 7) for s in STEPS]


@FILES
def test_each_row_is_readable_at_once_and_a_missing_metric_leaves_a_gap(tmp_path, make):
    sink = make(tmp_path / "m")
    for count, step in enumerate(STEPS, start=1):
        sink.write(row(step), step)
        assert (tmp_path / "m").read_text().count("\n") == count + (make is sinks.table)
    sink.write({"updates": 9}, 90)
    sink.close()
    last = (tmp_path / "m").read_text().splitlines()[-1]
    assert last == ('{"updates": 9, "env_steps": 90}' if make is sinks.jsonl else "90,9,,,,,")


@FILES
@pytest.mark.parametrize("at", [0, 20, 30, 50, 70])
@pytest.mark.parametrize("torn", [0, 1, 9])
def test_resuming_leaves_the_file_of_an_uninterrupted_run(tmp_path, make, at, torn):
    whole = write(make, tmp_path / "whole", STEPS)
    path = tmp_path / "resumed"
    content = write(make, path, STEPS)
    if at < 70:
        path.write_bytes(content[: len(content) - torn])  # killed while the last row was written
    assert write(make, path, [s for s in STEPS if s > at], **again(make, path, at)) == whole
    assert write(make, path, STEPS) == whole  # and without either it starts anew


def test_resuming_at_a_step_before_any_row_or_without_a_file(tmp_path):
    whole = write(sinks.jsonl, tmp_path / "whole", STEPS)
    assert write(sinks.jsonl, tmp_path / "absent", STEPS, resume_at=20) == whole
    (tmp_path / "empty").touch()
    assert write(sinks.jsonl, tmp_path / "empty", STEPS, resume_at=20) == whole
    (tmp_path / "torn").write_bytes(whole[:3])
    assert write(sinks.jsonl, tmp_path / "torn", STEPS, resume_at=20) == whole


def test_damage_is_refused_by_line_and_left_alone(tmp_path):
    path = tmp_path / "m"
    lines = write(sinks.jsonl, path, STEPS).split(b"\n")
    lines[2] = b"xx" + lines[2]
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(SinkError, match="m is damaged: line 3 is not a row"):
        sinks.jsonl(path, resume_at=70)
    assert path.read_bytes() == b"\n".join(lines)
    for make in (sinks.jsonl, sinks.table):
        with pytest.raises(sinks.SinkUnwritable, match="cannot write .*: No such file"):
            make(tmp_path / "no" / "m")


def test_aggregate_and_per_seed():
    rng = np.random.default_rng(0)
    for n in (1, 3, 4, 7, 8, 30):
        values = rng.normal(size=n).astype(np.float32)
        gaps = np.concatenate([values, [np.nan, np.inf]])
        found = sinks.aggregate({"x": gaps, "n": 3})
        np.testing.assert_allclose(found["x/mean"], values.mean(dtype=np.float64), rtol=1e-5)
        np.testing.assert_allclose(
            found["x/iqm"], stats.trim_mean(values.astype(np.float64), 0.25), rtol=1e-5
        )
        assert found["n"] == 3
    assert sinks.aggregate({"x": [np.nan]}) == {"x/mean": None, "x/iqm": None}
    flat = sinks.per_seed({"n": 1, "x": np.asarray([2.0, np.nan]), "grid": np.arange(4).reshape(2, 2)})
    grid = {"seed_0_0/grid": 0, "seed_0_1/grid": 1, "seed_1_0/grid": 2, "seed_1_1/grid": 3}
    assert flat == {"n": 1, "seed_0/x": 2.0, "seed_1/x": None} | grid


def events(folder):
    """(tag, step, value) of every scalar, read from the files' own framing; and the purge steps."""
    from tensorboardX.proto.event_pb2 import Event

    scalars, starts = [], []
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            event = Event.FromString(content[12 : 12 + length])
            content = content[16 + length :]
            scalars += [(v.tag, event.step, v.simple_value) for v in event.summary.value]
            if event.HasField("session_log"):
                starts.append(event.step)
    return scalars, starts


def test_tensorboard(tmp_path):
    sink = destinations.tensorboard(tmp_path / "mean")
    sink.write(row(20), 20)
    sink.close()
    found, starts = events(tmp_path / "mean")
    assert starts == []
    loss = np.float32(20 / 7)
    assert ("loss/mean", 20, loss) in found and ("loss/iqm", 20, loss) in found
    sink = destinations.tensorboard(tmp_path / "seeds", seeds=True, resume_at=10)
    sink.write(row(20), 20)
    sink.close()
    found, starts = events(tmp_path / "seeds")
    assert ("seed_0/loss", 20, loss) in found and starts == [11]
    assert "seed_1/loss" not in [tag for tag, _, _ in found]  # NaN
    destinations.tensorboard(tmp_path / "mean").close()  # cut before the first checkpoint, it starts anew
    assert events(tmp_path / "mean")[1] == [0]


def test_wandb(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(SinkError, match=r'wandb is not installed: pip install "jaxrl-evolve\[wandb\]"'):
        destinations.wandb(tmp_path)
    calls = []
    run = types.SimpleNamespace(
        log=lambda data, step: calls.append((data, step)), finish=lambda: calls.append("end")
    )
    client = types.SimpleNamespace(init=lambda **options: calls.append(options) or run)
    monkeypatch.setitem(sys.modules, "wandb", client)
    for _ in range(2):
        sink = destinations.wandb(tmp_path / "w", config={"rate": np.float32(0.1)}, seeds=True, offline=True)
        sink.write(row(20), 20)
        sink.close()
    options, logged, end = calls[:3]
    assert options["mode"] == "offline" and options["config"] == {"rate": 0.1}
    assert (
        logged == ({"env_steps": 20, "updates": 2, "seconds": 2.0, "seed_0/loss": 2.857143}, 20)
        and end == "end"
    )
    assert (tmp_path / "w" / "wandb" / "run_id").is_file()
    assert calls[3]["id"] == options["id"] and options["resume"] == "allow"  # the same run goes on

    def refuse(**_):
        raise RuntimeError("no key\nstack")

    client.init = refuse
    with pytest.raises(SinkError, match="W&B could not be started: no key$"):
        destinations.wandb(tmp_path / "w")


def test_together(tmp_path):
    both = sinks.together(sinks.jsonl(tmp_path / "a"), sinks.table(tmp_path / "b"))
    for step in STEPS:
        both.write(row(step), step)
    both.close()
    assert (tmp_path / "a").read_bytes() == write(sinks.jsonl, tmp_path / "c", STEPS)
    assert (tmp_path / "b").read_bytes() == write(sinks.table, tmp_path / "d", STEPS)
