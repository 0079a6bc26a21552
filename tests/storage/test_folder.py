"""The run folder: what it holds, what is read, and what is written."""

import dataclasses
import json
import math
import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_evolve.storage import folder, kinds
from jaxrl_evolve.storage.folder import FolderError
from jaxrl_evolve.storage.kinds import Kind


def test_reading_names_the_file_and_the_fault(tmp_path):
    path = tmp_path / "config.json"
    with pytest.raises(FolderError, match="there is no file .*config.json"):
        folder.read_json(path)
    for content, message in {
        b'{"a": 1,\n': "not valid JSON: .* line 2",
        b"[1]": "a list",
        b"\xff": "not UTF-8",
    }.items():
        path.write_bytes(content)
        with pytest.raises(FolderError, match=f"config.json .*{message}"):
            folder.read_json(path)
        with pytest.raises(FolderError, match=message):
            folder.kind_of(tmp_path)


def test_a_failed_write_keeps_the_old_content(tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    folder.write_json(path, {"iqm": 1})
    with pytest.raises(TypeError, match="has no JSON form"):
        folder.write_json(path, {"iqm": object()})

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(FolderError, match="^cannot write .*result.json: No space left on device$") as caught:
        folder.write_json(path, {"iqm": 2})
    assert isinstance(caught.value, OSError)  # a failure, no wrong usage
    assert folder.read_json(path) == {"iqm": 1}


@dataclasses.dataclass
class Options:
    rate: float
    sizes: tuple[int, ...]


def test_plain_is_strict_json_and_exact():
    value = {
        "f32": jnp.asarray([0.1, jnp.nan, -jnp.inf], jnp.float32),
        "bf16": jnp.asarray([0.1], jnp.bfloat16),
        "scalar": np.float32(1 / 3),
        "bool": np.bool_(True),
        "grid": np.arange(4, dtype=np.uint8).reshape(2, 2),
        "options": Options(math.inf, (1, 2)),
        "path": Path("a"),
    }
    out = folder.plain(value)
    assert json.loads(json.dumps(out, allow_nan=False)) == out
    assert out["f32"] == [0.1, None, None] and out["grid"] == [[0, 1], [2, 3]] and out["bool"] is True
    assert out["path"] == "a" and out["options"] == {"rate": None, "sizes": [1, 2]}
    assert np.float32(out["scalar"]) == np.float32(1 / 3)
    numbers = np.random.default_rng(0).normal(size=1000).astype(np.float32) * 10.0 ** np.arange(
        -20, 20
    ).repeat(25)
    for dtype in (np.float32, np.float64, jnp.bfloat16):
        exact = numbers.astype(dtype)
        np.testing.assert_array_equal(np.asarray(folder.plain(exact)).astype(dtype), exact)


BEFORE = {
    "train": {"algorithm": "ppo", "env": "CartPole-v1"},
    "meta-train": {"objective": "lpg", "generations": 3},
    "meta-test": {"objectives": ["lpg"], "envs": []},
    "sweep": {"config": {"algorithm": "ppo"}, "shapes": []},
    "meta-sweep": {"config": {"objective": "lpg", "generations": 3}, "points": [{}], "seeds": 2},
}


@pytest.mark.parametrize("name", BEFORE)
def test_folders_from_before_kinds_were_written_are_known_by_their_fields(name, tmp_path):
    mark = kinds.SWEEP if "sweep" in name else kinds.RUN
    (tmp_path / mark).write_text(json.dumps(BEFORE[name]))
    assert folder.kind_of(tmp_path) == name
    (tmp_path / mark).write_text(json.dumps({"kind": "something new", **BEFORE[name]}))
    assert folder.kind_of(tmp_path) == "something new"
    wanted = Kind("train" if name != "train" else "meta-train", kinds.RUN, dict, lambda *_: "", (), "")
    with pytest.raises(FolderError, match="holds a run of the kind 'something new', not a .*training"):
        folder.existing(tmp_path, wanted)
    (tmp_path / mark).write_text(json.dumps({"kind": name}))
    with pytest.raises(FolderError, match=f"^{tmp_path} holds {kinds.ABOUT[name].what}, not a ") as caught:
        folder.existing(tmp_path, wanted)
    assert "{" not in str(caught.value)


@pytest.mark.parametrize("kind", [3, None, ["train"]])
def test_a_kind_that_is_no_text_is_refused(kind, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"kind": kind, "algorithm": "ppo"}))
    with pytest.raises(ValueError, match="kind in config.json is .*; it must be text"):
        folder.kind_of(tmp_path)


def test_what_was_asked_for_is_read_as_the_kind_says(tmp_path):
    kind = Kind("train", kinds.RUN, lambda data: data["algorithm"].upper(), lambda *_: "", (), "")
    (tmp_path / "config.json").write_text('{"kind": "train", "algorithm": "ppo"}')
    assert folder.configuration(tmp_path, kind) == "PPO"
    (tmp_path / "config.json").write_text('{"kind": "train"}')
    with pytest.raises(
        FolderError, match="config.json is damaged: it is no configuration of a run .'algorithm'"
    ):
        folder.configuration(tmp_path, kind)
