"""Taking a folder: what is refused, what is deleted, who holds the lock, and what a run must agree with."""

import contextlib
import errno
import json
import os
import platform
import subprocess
import sys
import textwrap
import types

import pytest

from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.storage import kinds
from jaxrl_evolve.storage import lock as locks
from jaxrl_evolve.storage.claim import claim, claim_sweep, create
from jaxrl_evolve.storage.folder import FolderError
from jaxrl_evolve.storage.kinds import Kind
from jaxrl_evolve.storage.lock import Lock
from jaxrl_evolve.storage.overwritten import has_written
from jaxrl_evolve.storage.unwritten import ASIDE

KIND = Kind("train", kinds.RUN, dict, lambda *_: "", kinds.METRICS_FILES, kinds.STATE_FOLDERS)
OTHER = Kind("meta-test", kinds.RUN, dict, lambda *_: "", ("table.csv",), "results")
SWEEP = Kind("sweep", kinds.SWEEP, dict, lambda *_: "", (), r"shape_\d{3,}")


def a_run(path):
    run = create(path, KIND)
    folders.write_json(run.config, {"algorithm": "ppo"})
    run.metrics.touch()
    (run.checkpoints / "step_000000001").mkdir(parents=True)
    (run.path / "return.png").touch()
    return run


def test_an_existing_folder_is_refused_unless_asked_for(tmp_path):
    run = create(tmp_path / "a" / "run", KIND)
    assert run.path.is_dir() and not os.listdir(run.path)
    assert create(run.path, KIND) == run  # empty: nothing to lose
    a_run(run.path)
    with pytest.raises(FolderError, match="not empty: .* --resume .* --overwrite"):
        create(run.path, KIND)
    before = sorted(os.listdir(run.path))
    assert create(run.path, KIND, resume=True) == run and sorted(os.listdir(run.path)) == before
    take(run.path, {"algorithm": "a2c"}, overwrite=True)
    assert sorted(os.listdir(run.path)) == [".lock", "config.json"]
    assert create(tmp_path / "new", KIND, resume=True).path.is_dir()
    with pytest.raises(FolderError, match="exclude each other"):
        create(run.path, KIND, overwrite=True, resume=True)


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
        create(tmp_path, KIND, overwrite=True)
    assert sorted(tmp_path.rglob("*")) == before


def test_overwrite_does_not_follow_links(tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "data").touch()
    run = a_run(tmp_path / "run")
    (run.path / "checkpoints" / "link").symlink_to(precious)
    take(run.path, {"algorithm": "ppo"}, overwrite=True)
    assert (precious / "data").exists() and not (run.path / "checkpoints").exists()
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "metrics.jsonl").touch()
    with pytest.raises(FolderError, match="it has no config.json"):
        create(tmp_path / "bare", KIND, overwrite=True)


def test_unwritable_and_missing_folders(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match="cannot write to output folder .*file/run: Not a directory"):
        create(tmp_path / "file" / "run", KIND)
    with pytest.raises(FolderError, match="cannot write to output folder .*file: "):
        create(tmp_path / "file", KIND)
    with pytest.raises(FolderError, match="there is no run folder"):
        folders.existing(tmp_path / "nowhere", KIND)
    with pytest.raises(FolderError, match="not a run folder: it has no config.json"):
        folders.existing(tmp_path, KIND)
    with pytest.raises(FolderError, match="cannot write .*nowhere/x.json: No such file"):
        folders.write_json(tmp_path / "nowhere" / "x.json", {})


HOLD = """
    import sys
    from pathlib import Path
    from jaxrl_evolve.storage.lock import Lock
    from jaxrl_evolve.storage.folder import RunFolder
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
            take(tmp_path, {"algorithm": "ppo"}, overwrite=True)
        assert run.config.exists() and run.metrics.exists()
        child.kill()
    with Lock(run):
        assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"
        with pytest.raises(FolderError, match="another process"), Lock(run):
            pass
    with Lock(run):
        pass


LINKS = ("config.json", "metrics.jsonl", "metrics.csv", "result.json", "curves.png", ".lock")
LINKS += (".config.json.tmp", "checkpoints", "checkpoints/step_000000002", "checkpoints/tmp-step_000000002")
LINKS += ("tensorboard", "wandb")


@pytest.mark.parametrize("name", LINKS)
def test_a_symbolic_link_inside_a_run_is_refused_and_what_it_points_to_kept(tmp_path, name):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "data").write_text('{"algorithm": "ppo"}')
    run = a_run(tmp_path / "run")
    place = run.path / name
    if name == "checkpoints":
        (place / "step_000000001").rmdir()
        place.rmdir()
    place.unlink(missing_ok=True) if not place.is_dir() else None
    place.symlink_to(outside if "." not in name else outside / "data")
    if name == ".config.json.tmp":  # what a killed process left is no file of the run: it is not followed
        folders.write_json(run.config, {"algorithm": "a2c"})
        assert folders.read_json(run.config) == {"algorithm": "a2c"} and not run.config.is_symlink()
    else:
        with pytest.raises(FolderError, match=rf"{name}.* is a symbolic link") as caught:
            take(run.path, {"algorithm": "ppo"}, resume=True)
        assert "\n" not in str(caught.value)
    assert (outside / "data").read_text() == '{"algorithm": "ppo"}' and os.listdir(outside) == ["data"]


def test_the_run_folder_may_be_a_link_and_foreign_links_may_lie_in_it(tmp_path):
    run = a_run(tmp_path / "run")
    (run.path / "notes").symlink_to(tmp_path)
    (tmp_path / "link").symlink_to(run.path)
    assert take(tmp_path / "link", {"algorithm": "ppo"}, resume=True).path == tmp_path / "link"


@pytest.fixture
def without_locks(monkeypatch):
    """A file system that has none."""

    def flock(descriptor, how):
        raise OSError(without.number, os.strerror(without.number))

    without = types.SimpleNamespace(number=errno.ENOLCK)
    monkeypatch.setattr(locks.fcntl, "flock", flock)
    return without


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_lets_one_process_train(tmp_path, without_locks, number):
    without_locks.number = number
    run, held = a_run(tmp_path), tmp_path / locks.HELD
    with Lock(run):
        with (
            pytest.raises(FolderError, match=rf"another process \({os.getpid()}\) is training into"),
            Lock(run),
        ):
            pass
        assert held.exists()
    assert not held.exists()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    held.write_text(f"{dead.pid} {platform.node()}\n")  # killed here
    with Lock(run):
        assert held.read_text().startswith(f"{os.getpid()} ")
    held.write_text("1 another-machine\n")
    with (
        pytest.raises(
            FolderError,
            match=rf"process 1 on another-machine .* delete {held} .this file system has no locks",
        ),
        Lock(run),
    ):
        pass
    held.write_text("")  # killed between two steps
    with (
        pytest.raises(FolderError, match="^another process is training .* if it has ended, delete"),
        Lock(run),
    ):
        pass
    create(tmp_path / "new", KIND)
    (tmp_path / "new" / locks.HELD).touch()
    assert create(tmp_path / "new", KIND).path.is_dir()  # a lock is nothing to lose


def test_another_fault_of_locking_is_told_as_it_is(tmp_path, without_locks):
    lock = Lock(a_run(tmp_path))
    without_locks.number = errno.EIO
    with pytest.raises(FolderError, match="cannot lock output folder .*: Input/output error"), lock:
        pass
    without_locks.number = errno.EWOULDBLOCK
    with pytest.raises(FolderError, match="another process"), lock:
        pass


def take(path, config, kind=KIND, **how):
    """Claim a folder and let it go."""
    with contextlib.ExitStack() as stack:
        return (claim_sweep if kind.mark == kinds.SWEEP else claim)(path, kind, config, stack, **how)


@pytest.mark.parametrize("kind", [KIND, SWEEP], ids=lambda kind: kind.name)
def test_the_folder_says_its_kind_and_one_from_before_is_taken_up(tmp_path, kind):
    asked = {"algorithm": "ppo", "hp": {"clip": 0.2}}
    take(tmp_path, asked, kind)
    mark = tmp_path / kind.mark
    assert json.loads(mark.read_text()) == {"kind": kind.name, **asked}
    take(tmp_path, asked, kind, resume=True)
    mark.write_text(json.dumps(asked))  # as it was written before kinds were
    take(tmp_path, asked, kind, resume=True)
    assert json.loads(mark.read_text()) == asked
    assert folders.configuration(tmp_path, kind) == asked
    with pytest.raises(ValueError, match="was started with"):
        take(tmp_path, asked | {"hp": {"clip": 0.3}}, kind, resume=True)


def test_a_setting_that_is_left_away_is_another_setting(tmp_path):
    asked = {"env": "x", "env_options": {"length": "3"}, "curriculum": "random"}
    take(tmp_path, asked)
    with pytest.raises(ValueError, match=r"env_options.length is None, but the run in .* started with '3'"):
        take(tmp_path, {**asked, "env_options": {}}, resume=True)
    with pytest.raises(ValueError, match=r"curriculum is None, but the run in .* was started with 'random'"):
        take(tmp_path, {"env": "x", "env_options": {"length": "3"}}, resume=True)


def test_a_folder_of_another_kind_is_neither_taken_up_nor_deleted(tmp_path):
    take(tmp_path, {"objectives": []}, OTHER)
    (tmp_path / "table.csv").touch()
    before = sorted(tmp_path.rglob("*"))
    for text in ('{"objectives": []}', (tmp_path / "config.json").read_text()):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(
            FolderError, match=f"^{tmp_path} holds a meta-test, not a training run: its tables"
        ):
            take(tmp_path, {"algorithm": "ppo"}, resume=True)
        with pytest.raises(
            FolderError, match="will not overwrite .* it holds a meta-test, not a training run$"
        ):
            take(tmp_path, {"algorithm": "ppo"}, overwrite=True)
    assert sorted(tmp_path.rglob("*")) == before
    assert take(tmp_path, {"objectives": [1]}, OTHER, overwrite=True).path == tmp_path
    assert not (tmp_path / "table.csv").exists()


def contents(path):
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file() and file.name != ".lock"
    }


def overwrite(path, error=None, *, writes=None, kind=KIND, **how):
    """A run that writes what it is asked to, and fails if there is an error."""
    with contextlib.ExitStack() as stack:
        claimed = (claim_sweep if kind.mark == kinds.SWEEP else claim)(
            path, kind, {"algorithm": "a2c"}, stack, **how or {"overwrite": True}
        )
        assert not claimed.metrics.exists()
        if writes:
            writes(claimed)
        if error is not None:
            raise error


class Cut(Exception):
    signal = "SIGTERM"


def row(run):
    run.metrics.write_text("{}")
    has_written()


def test_what_is_overwritten_comes_back_if_nothing_was_written(tmp_path):
    run = a_run(tmp_path / "run")
    run.metrics.write_text("old")
    before, opened = contents(run.path), []
    for writes in (
        None,
        lambda run: run.metrics.touch(),
        lambda run: (run.path / "wandb" / "x").mkdir(parents=True),
    ):
        with pytest.raises(KeyError):
            overwrite(run.path, KeyError("compile"), writes=writes)
        assert contents(run.path) == before and (run.checkpoints / "step_000000001").is_dir()
        opened += [name for name in os.listdir(run.path) if name.startswith(".")]
    assert set(opened) == {".lock"}
    # Ended by a signal before its first row it is to be resumed, and neither is lost: whoever overwrites it has the old one back.
    with pytest.raises(Cut):
        overwrite(run.path, Cut())
    assert json.loads(run.config.read_text())["algorithm"] == "a2c"
    assert contents(run.path / ASIDE) == before
    with pytest.raises(KeyError):
        overwrite(run.path, KeyError("compile"))
    assert contents(run.path) == before
    with pytest.raises(Cut):
        overwrite(run.path, Cut())
    overwrite(run.path, resume=True, writes=row)
    assert sorted(contents(run.path)) == ["config.json", "metrics.jsonl"]


@pytest.mark.parametrize("error", [None, KeyError("later"), Cut()])
def test_what_is_overwritten_is_gone_with_the_first_row(tmp_path, error):
    run = a_run(tmp_path / "run")

    def writes(run):
        assert (run.path / ASIDE / "checkpoints").is_dir()
        row(run)
        assert not (run.path / ASIDE).exists()

    with pytest.raises(type(error)) if error else contextlib.nullcontext():
        overwrite(run.path, error, writes=writes)
    assert sorted(contents(run.path)) == ["config.json", "metrics.jsonl"]
    # So it is where something was written that is no row.
    with pytest.raises(KeyError):
        overwrite(run.path, KeyError("later"), writes=lambda run: (run.path / "metrics.csv").write_text("x"))
    assert sorted(contents(run.path)) == ["config.json", "metrics.csv"]


def test_a_sweep_is_overwritten_with_the_first_row_of_a_run_in_it(tmp_path):
    take(tmp_path / "a", {"algorithm": "ppo"}, SWEEP)
    a_run(tmp_path / "a" / "shape_000")
    before = contents(tmp_path / "a")

    def inside(sweep, error=None):
        overwrite(sweep.path / "shape_000", error, writes=None if error else row)
        assert not (sweep.path / ASIDE).exists()

    with pytest.raises(KeyError):
        overwrite(tmp_path / "a", kind=SWEEP, writes=lambda sweep: inside(sweep, KeyError("compile")))
    assert contents(tmp_path / "a") == before
    overwrite(tmp_path / "a", kind=SWEEP, writes=inside)
    assert sorted(contents(tmp_path / "a")) == [
        "shape_000/config.json",
        "shape_000/metrics.jsonl",
        "sweep.json",
    ]


def test_what_cannot_be_moved_is_where_it_was(tmp_path, monkeypatch):
    run = a_run(tmp_path)
    before, rename = contents(tmp_path), os.rename

    def busy(source, target):
        if source == run.path / "return.png":
            raise OSError(errno.EBUSY, "Device or resource busy")
        rename(source, target)

    monkeypatch.setattr(os, "rename", busy)
    with pytest.raises(FolderError, match="^cannot overwrite .*: Device or resource busy$"):
        overwrite(tmp_path)
    assert contents(tmp_path) == before and not (tmp_path / ASIDE).exists()


def test_a_damaged_configuration_can_be_overwritten(tmp_path):
    take(tmp_path, {"algorithm": "ppo"})
    (tmp_path / "config.json").write_text("{")
    take(tmp_path, {"algorithm": "a2c"}, overwrite=True)
    assert folders.configuration(tmp_path, KIND) == {"algorithm": "a2c"}
