"""The run folder: what is refused, what is deleted, who holds the lock, and what is recorded."""

import dataclasses
import json
import math
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_evolve.storage import folder
from jaxrl_evolve.storage.folder import FolderError, Lock


def a_run(path):
    run = folder.create(path)
    folder.write_json(run.config, {"algorithm": "ppo"})
    run.metrics.touch()
    (run.checkpoints / "step_000000001").mkdir(parents=True)
    (run.path / "return.png").touch()
    return run


def test_an_existing_folder_is_refused_unless_asked_for(tmp_path):
    run = folder.create(tmp_path / "a" / "run")
    assert run.path.is_dir() and not os.listdir(run.path)
    assert folder.create(run.path) == run  # empty: nothing to lose
    a_run(run.path)
    with pytest.raises(FolderError, match="not empty: .* --resume .* --overwrite"):
        folder.create(run.path)
    before = sorted(os.listdir(run.path))
    assert folder.create(run.path, resume=True) == run and sorted(os.listdir(run.path)) == before
    folder.create(run.path, overwrite=True)
    assert os.listdir(run.path) in ([], [".lock"])
    assert folder.create(tmp_path / "new", resume=True).path.is_dir()
    with pytest.raises(FolderError, match="exclude each other"):
        folder.create(run.path, overwrite=True, resume=True)


@pytest.mark.parametrize("foreign", ["thesis.tex", "src/main.py", "config.json/x"])
def test_overwrite_deletes_only_runs(tmp_path, foreign):
    a_run(tmp_path)
    if foreign.startswith("config.json"):
        (tmp_path / "config.json").unlink()
    (tmp_path / foreign).parent.mkdir(exist_ok=True)
    (tmp_path / foreign).touch()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(
        FolderError, match=f"does not look like a run folder .it holds {foreign.split('/')[0]}"
    ):
        folder.create(tmp_path, overwrite=True)
    assert sorted(tmp_path.rglob("*")) == before


def test_overwrite_does_not_follow_links(tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "data").touch()
    run = a_run(tmp_path / "run")
    (run.path / "checkpoints" / "link").symlink_to(precious)
    folder.create(run.path, overwrite=True)
    assert (precious / "data").exists()
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "metrics.jsonl").touch()
    with pytest.raises(FolderError, match="it has no config.json"):
        folder.create(tmp_path / "bare", overwrite=True)


def test_unwritable_and_missing_folders(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match="cannot write to output folder .*file/run: Not a directory"):
        folder.create(tmp_path / "file" / "run")
    with pytest.raises(FolderError, match="cannot write to output folder .*file: "):
        folder.create(tmp_path / "file")
    with pytest.raises(FolderError, match="there is no run folder"):
        folder.existing(tmp_path / "nowhere")
    with pytest.raises(FolderError, match="not a run folder: it has no config.json"):
        folder.existing(tmp_path)
    with pytest.raises(FolderError, match="cannot write .*nowhere/x.json: No such file"):
        folder.write_json(tmp_path / "nowhere" / "x.json", {})


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
            folder.existing(tmp_path)


def test_a_failed_write_keeps_the_old_content(tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    folder.write_json(path, {"iqm": 1})
    with pytest.raises(TypeError, match="has no JSON form"):
        folder.write_json(path, {"iqm": object()})

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(FolderError, match="result.json: No space left on device"):
        folder.write_json(path, {"iqm": 2})
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


HOLD = """
    import sys
    from pathlib import Path
    from jaxrl_evolve.storage.folder import Lock, RunFolder
    with Lock(RunFolder(Path(sys.argv[1]))):
        print("held", flush=True)
        sys.stdin.read()
"""


def test_one_process_per_folder_and_a_dead_one_binds_nobody(tmp_path):
    run = a_run(tmp_path)
    command = [sys.executable, "-c", textwrap.dedent(HOLD), str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "held\n"
        with (
            pytest.raises(FolderError, match=rf"another process \({child.pid}\) is training into"),
            Lock(run),
        ):
            pass
        with pytest.raises(FolderError, match="another process"):
            folder.create(tmp_path, overwrite=True)
        assert run.config.exists()
        child.kill()
    with Lock(run):
        assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"
        with pytest.raises(FolderError, match="another process"), Lock(run):
            pass
    with Lock(run):
        pass
