"""Checkpoints: exact round trips, atomicity under SIGKILL, and refusals that name what is wrong."""

import json
import multiprocessing
import os
import random
import resource
import shutil
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct
from processes import address, ended, needs_an_address, starting

from jaxrl_evolve.storage import alias, causes, checkpoint, steps
from jaxrl_evolve.storage import manifest as manifests
from jaxrl_evolve.storage.checkpoint import CheckpointError, Checkpoints, config_digest
from jaxrl_evolve.storage.manifest import CheckpointDamaged, RetentionWarning

READING_SECONDS = float(os.environ.get("READING_SECONDS", "2"))
IDENTITY = {"algorithm": "ppo", "env": "CartPole-v1", "config_digest": config_digest({"steps": 10})}


@struct.dataclass
class Learner:
    params: Any
    key: jax.Array
    name: str = struct.field(pytree_node=False, default="toy")


class Pair(NamedTuple):
    first: Any
    second: Any


def toy_state(seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    keys = jax.random.split(jax.random.key(seed), 3)
    params = {
        "w": jnp.asarray(rng.normal(size=(3, 4, 2)), jnp.float32),
        "dotted.name/with slash": jnp.asarray(rng.normal(size=3), jnp.bfloat16),
        "nan": jnp.asarray([np.nan, -0.0, np.inf], jnp.float32),
    }
    group = Learner(params, keys)
    return [
        group,
        Pair(jnp.int32(seed + 7), (jnp.asarray([True, False]), jnp.arange(5, dtype=jnp.uint8), (), None)),
        {"rbg": jax.random.key(seed, impl="rbg"), "empty": jnp.zeros((0, 3), jnp.float16)},
        {"host": rng.integers(0, 9, 4), "scalar": np.float32(0.1), "no_keys": keys[:0]},
    ]


def bits(leaf: Any) -> bytes:
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.asarray(leaf).tobytes()


def assert_same(found: Any, expected: Any) -> None:
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert (a.shape, a.dtype, isinstance(a, jax.Array)) == (b.shape, b.dtype, isinstance(b, jax.Array))
        assert bits(a) == bits(b)


def test_round_trip_is_exact(tmp_path):
    state = toy_state()
    record = {"updates": 3, "seconds": 0.1 + 0.2, "best": None, "nested": {"returns": [1.5, 2.0]}}
    with Checkpoints(tmp_path / "c", IDENTITY) as checkpoints:
        checkpoints.save(3, state, record)
        found, found_record = checkpoints.restore(toy_state(1))
        assert_same(found, state)
        assert found_record == record
        with pytest.raises(CheckpointDamaged, match="its record has no 'diverged'"):  # whoever made it
            _ = found_record["diverged"]
        draw = jax.vmap(jax.random.normal)
        np.testing.assert_array_equal(draw(found[0].key), draw(state[0].key))
        abstract = jax.eval_shape(lambda: toy_state()[:3])  # a template without data
        checkpoints.save(4, state[:3], record)
        assert_same(checkpoints.restore(abstract)[0], state[:3])
        checkpoints.save(5, jnp.float32(2.5))
        assert checkpoints.restore(jnp.float32(0))[0] == 2.5
        assert checkpoints.manifest(3).identity == IDENTITY
        assert checkpoints.manifest().leaves["state"].dtype == "float32"


def test_a_state_may_be_donated_or_overwritten_once_save_returns(tmp_path):
    rng = np.random.default_rng(0)
    start = {str(i): rng.normal(size=1_000_000).astype(np.float32) for i in range(8)}
    chunk = jax.jit(lambda s: jax.tree.map(lambda x: x * 0.5 + 1.0, s), donate_argnums=0)
    state, host = jax.tree.map(jnp.array, start), np.arange(1_000_000)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(0, {"device": state, "host": host})
        host[:] = -1
        for _ in range(5):
            state = chunk(state)
        jax.block_until_ready(state)
        found, _ = checkpoints.restore({"device": state, "host": host})
    assert_same(found["device"], jax.tree.map(jnp.asarray, start))
    np.testing.assert_array_equal(found["host"], np.arange(1_000_000))


def test_resuming_compiles_nothing_again(tmp_path):
    chunk = jax.jit(lambda s: jax.tree.map(lambda x: x + x.dtype.type(1), s), donate_argnums=0)
    template = {"a": jnp.zeros((2, 3), jnp.float32), "n": jnp.int32(0)}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, chunk(template))
        found, _ = checkpoints.restore({"a": jnp.zeros((2, 3), jnp.float32), "n": jnp.int32(0)})
    assert not found["a"].committed
    chunk(found)
    assert chunk._cache_size() == 1
    mesh = jax.make_mesh((1,), ("seed",))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("seed"))
    keys = jax.random.split(jax.random.key(0), 2)
    with Checkpoints(tmp_path / "sharded") as checkpoints:
        checkpoints.save(1, keys)
        found, _ = checkpoints.restore(jax.device_put(keys, sharding))
        assert found.sharding == sharding and bits(found) == bits(keys)


def test_retention(tmp_path):
    with Checkpoints(tmp_path, keep=2, keep_best="score") as checkpoints:
        for step, score in enumerate([0.0, 5.0, 5.0, None, float("nan"), 1.0]):
            checkpoints.save(step, jnp.float32(step), {"score": score})
        checkpoints.wait()
        assert checkpoints.steps() == [2, 4, 5]
        assert checkpoints.best_step() == 2
        # A run taken up again at step 2 abandons what came after it.
        checkpoints.save(3, jnp.float32(-3), {"score": 9.0})
        checkpoints.wait()
        assert checkpoints.steps() == [2, 3]
        checkpoints.save(3, jnp.float32(-33), {"score": 9.0})  # the same step again replaces
        assert checkpoints.restore(jnp.float32(0))[0] == -33
        assert sorted(os.listdir(tmp_path)) == ["step_000000002", "step_000000003.1"]
    with Checkpoints(tmp_path / "all", keep=None, asynchronous=False) as checkpoints:
        for step in range(5):
            checkpoints.save(step, jnp.float32(step))
            assert checkpoints.steps() == list(range(step + 1))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with intact checkpoints 1 and 2."""
    folder = tmp_path_factory.mktemp("written")
    with Checkpoints(folder, IDENTITY) as checkpoints:
        for step in (1, 2):
            checkpoints.save(
                step, {"params": {"w": jnp.full((4, 3), step, jnp.float32)}, "n": jnp.int32(step)}
            )
    return folder


TEMPLATE = {"params": {"w": jnp.zeros((4, 3), jnp.float32)}, "n": jnp.int32(0)}


def largest_file(step_folder: Path) -> Path:
    return max((step_folder / "arrays").rglob("d/*"), key=lambda path: path.stat().st_size)


def truncate(step_folder: Path) -> None:
    path = largest_file(step_folder)
    path.write_bytes(path.read_bytes()[:-7])


def flip(step_folder: Path) -> None:
    path = largest_file(step_folder)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def edit_manifest(step_folder: Path, **changes: Any) -> None:
    path = step_folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


DAMAGE = {
    "truncated": (truncate, r"arrays/\S+ has \d+ bytes, expected \d+"),
    "bit flip": (flip, r"the checksum of arrays/\S+ is wrong"),
    "missing file": (lambda f: largest_file(f).unlink(), r"arrays/\S+ cannot be read \(No such file"),
    "no manifest": (lambda f: (f / "manifest.json").unlink(), "it has no manifest.json"),
    "torn manifest": (lambda f: os.truncate(f / "manifest.json", 99), "manifest.json is not JSON"),
    "changed manifest": (lambda f: edit_manifest(f, step=9), "the checksum of manifest.json is wrong"),
    "other program": (lambda f: edit_manifest(f, program="other"), "it was made by 'other'"),
    "not ours": (lambda f: (f / "manifest.json").write_text("[]"), "it was made by another program"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_refused_by_name_and_an_intact_one_pointed_out(written, tmp_path, name):
    damage, message = DAMAGE[name]
    folder = shutil.copytree(written, tmp_path / "c")
    damage(folder / "step_000000002")
    with Checkpoints(folder, IDENTITY) as checkpoints:
        with pytest.raises(CheckpointError, match=message) as caught:
            checkpoints.restore(TEMPLATE)
        assert "newest intact checkpoint is step 1" in str(caught.value) and caught.value.intact == 1
        assert "\n" not in str(caught.value)
        with pytest.raises(CheckpointError, match=message) as caught:
            checkpoints.restore(TEMPLATE, step=2)
        assert caught.value.intact is None
        assert checkpoints.restore(TEMPLATE, step=1)[0]["n"] == 1
        damage(folder / "step_000000001")
        with pytest.raises(CheckpointError, match="no older checkpoint is intact"):
            checkpoints.restore(TEMPLATE)


REFUSED = {
    "algorithm": (
        IDENTITY | {"algorithm": "a2c"},
        TEMPLATE,
        "saved with algorithm 'ppo', but this run has 'a2c'",
    ),
    "env": (
        IDENTITY | {"env": "Acrobot-v1"},
        TEMPLATE,
        "with env 'CartPole-v1', but this run has 'Acrobot-v1'",
    ),
    "digest": (IDENTITY | {"config_digest": "x"}, TEMPLATE, "config_digest '.*', but this run has 'x'"),
    "shape": ({}, TEMPLATE | {"n": jnp.zeros(2, jnp.int32)}, r"leaf n has shape \(\), expected \(2,\)"),
    "dtype": ({}, TEMPLATE | {"n": jnp.float32(0)}, "leaf n has dtype int32, expected float32"),
    "key": ({}, TEMPLATE | {"n": jax.random.key(0)}, r"leaf n has dtype int32, expected key<fry>"),
    "missing": ({}, TEMPLATE | {"m": jnp.int32(0)}, "leaf m is missing"),
    "unknown": ({}, {"n": TEMPLATE["n"]}, "it has a leaf params.w that the run has not"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_checkpoint_that_does_not_fit_is_refused_by_name(written, name):
    identity, template, message = REFUSED[name]
    with pytest.raises(CheckpointError, match=message):
        Checkpoints(written, identity).restore(template)


def test_other_refusals(written, tmp_path):
    with pytest.raises(CheckpointError, match="there is no such folder"):
        Checkpoints(tmp_path / "nowhere").restore(TEMPLATE)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    with pytest.raises(
        CheckpointError, match="run ended before its first one; `jaxrl-evolve resume` goes on"
    ):
        Checkpoints(tmp_path / "run" / "checkpoints").restore(TEMPLATE)
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(CheckpointError, match="no checkpoint of jaxrl_evolve: it holds only photo.jpg"):
        Checkpoints(tmp_path).restore(TEMPLATE)
    with pytest.raises(CheckpointError, match=r"no checkpoint of step 7 \(it has: 1, 2\)"):
        Checkpoints(written).restore(TEMPLATE, step=7)
    folder = shutil.copytree(written, tmp_path / "c")
    edit_manifest(folder / "step_000000002", format=2)
    with pytest.raises(CheckpointError, match="has format 2, but this version reads format 1"):
        Checkpoints(folder).restore(TEMPLATE)
    with pytest.raises(CheckpointError, match="keep is 0"):
        Checkpoints(folder, keep=0)
    checkpoints = Checkpoints(tmp_path / "new")
    with pytest.raises(CheckpointError, match=r"leaf a.0 of the state is 3 \(int\), but must be an array"):
        checkpoints.save(1, {"a": [3]})
    with pytest.raises(CheckpointError, match="is a ShapeDtypeStruct, which holds no data"):
        checkpoints.save(1, jax.ShapeDtypeStruct((), jnp.float32))
    with pytest.raises(CheckpointError, match="both called a.b"):
        checkpoints.save(1, {"a": {"b": jnp.int32(0)}, "a.b": jnp.int32(0)})
    with pytest.raises(CheckpointError, match="step is -1"):
        checkpoints.save(-1, jnp.int32(0))
    with pytest.raises(CheckpointError, match="record of checkpoint step 1 is not JSON-able: .*float32"):
        checkpoints.save(1, jnp.int32(0), {"x": np.float32(1)})
    assert not (tmp_path / "new").exists()
    with pytest.raises(CheckpointError, match="step 1 could not be written: .*Not a directory"):
        Checkpoints(tmp_path / "photo.jpg" / "c").save(1, jnp.int32(0))


def test_a_failed_save_is_reported_and_leaves_the_last_one(tmp_path, monkeypatch):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, jnp.int32(1))
        checkpoints.wait()
        with monkeypatch.context() as patch:
            patch.setattr(manifests, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
            checkpoints.save(2, jnp.int32(2))
            with pytest.raises(CheckpointError, match="could not be written: .*No space left"):
                checkpoints.wait()
        assert checkpoints.steps() == [1] and (tmp_path / "tmp-step_000000002").is_dir()
        checkpoints.save(3, jnp.int32(3))  # goes on, and clears what was left
        assert checkpoints.restore(jnp.int32(0))[0] == 3
        assert sorted(os.listdir(tmp_path)) == ["step_000000001", "step_000000003"]


ODD = ["a[1]", "st*r", "q?", "back\\slash", "{b}", "gs:", "new\nline", "\udcff", "ü"]


def test_any_name_of_a_folder_will_do(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "links"))
    (tmp_path / "links").mkdir()
    folder = tmp_path.joinpath("run", *ODD)
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(1, TEMPLATE)
        checkpoints.save(2, toy_state(), {"step": 2})
        state, record = checkpoints.restore(toy_state(1))
        assert record == {"step": 2}
        assert_same(state, toy_state())
        assert len(os.listdir(tmp_path / "links")) == 1
    assert os.listdir(tmp_path / "links") == []
    assert sorted(os.listdir(folder)) == ["step_000000001", "step_000000002"]
    with Checkpoints(tmp_path / "plain-name_1.0") as checkpoints:
        checkpoints.save(1, TEMPLATE)
        checkpoints.wait()
        assert os.listdir(tmp_path / "links") == []


def test_what_orbax_does_not_write_is_no_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(
        alias.Aliases, "of", lambda _, folder: folder
    )  # orbax loses what is below such a name
    with Checkpoints(tmp_path / "a[1]") as checkpoints:
        checkpoints.save(1, TEMPLATE)
        with pytest.raises(
            CheckpointError, match="checkpoint step 1 could not be written: .*cannot be found"
        ):
            checkpoints.wait()
        assert checkpoints.steps() == []


def test_what_cannot_be_deleted_is_told_once_and_ends_nothing(tmp_path, monkeypatch):
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(39, "Directory not empty")

    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(1, jnp.int32(1))
        checkpoints.wait()
        with monkeypatch.context() as patch:
            patch.setattr(steps, "remove", refuse)
            patch.setattr(checkpoint, "remove", refuse)
            checkpoints.save(2, jnp.int32(2))
            with pytest.warns(
                RetentionWarning, match=f"older checkpoints in {tmp_path} .*: Directory not empty"
            ):
                checkpoints.wait()
            checkpoints.save(3, jnp.int32(3))
            checkpoints.wait()
            assert checkpoints.steps() == [1, 2, 3]
        # A file that another process has open stays in a folder that is off the list; so does what a killed writer left.
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "rmtree", lambda path, ignore_errors=False: ignore_errors or refuse())
            (tmp_path / "tmp-step_000000004").mkdir()
            checkpoints.save(4, jnp.int32(4))
            checkpoints.wait()
            assert checkpoints.steps() == [4]
        checkpoints.save(5, jnp.int32(5))
        assert checkpoints.restore(jnp.int32(0))[0] == 5
    assert os.listdir(tmp_path) == ["step_000000005"]


def test_a_full_disk_is_told_in_one_sentence(tmp_path, capfd, caplog):
    state = {str(i): np.random.default_rng(i).normal(size=20_000) for i in range(8)}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, jnp.int32(1))
        checkpoints.wait()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))
        try:
            checkpoints.save(2, state)
            with pytest.raises(CheckpointError) as caught:
                checkpoints.wait()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert str(caught.value) == "checkpoint step 2 could not be written: File too large"
        assert str(caught.value.__cause__) == "[Errno 27] File too large"  # not the way through orbax
        assert checkpoints.steps() == [1]
        checkpoints.save(3, state)
        checkpoints.wait()
    assert capfd.readouterr().err == "" and not caplog.records
    full = ValueError(f'RESOURCE_EXHAUSTED: {"x" * 300}: No space left on device [spec="…"]')
    with pytest.raises(OSError, match="No space left on device") as caught:
        raise causes.system_cause(full)
    assert caught.value.errno == 28


def counted(step: int) -> Any:
    """The state of the run below after ``step`` updates, in closed form."""
    key = jax.random.fold_in(jax.random.key(5), step)
    noise = np.random.default_rng(step).normal(size=(3, 20_000)).astype(np.float32)
    return {"n": jnp.int32(step), "key": key, "noise": [jnp.asarray(row) for row in noise]}


def save_for_ever(folder: str, started: Any, at_once: bool, keep: int = 2) -> None:
    checkpoints = Checkpoints(folder, keep=keep)
    step = 0
    if checkpoints.steps():
        state, record = checkpoints.restore(counted(0))
        step = record["step"]
        assert int(state["n"]) == step
    if at_once:
        started.set()
    while True:
        step += 1
        checkpoints.save(step, counted(step), {"step": step})
        if step % 4 == 0 or not started.is_set():
            checkpoints.wait()
            started.set()


def test_twenty_kills(tmp_path):
    # The server forks children that have imported all and started nothing: a kill costs half a second.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["orbax.checkpoint", "jaxrl_evolve.storage.checkpoint", __name__])
    moment = random.Random(0)
    interrupted, reached = 0, []
    for i in range(20):
        started = context.Event()
        child = context.Process(target=save_for_ever, args=(str(tmp_path), started, i % 2 == 0))
        child.start()
        assert started.wait(60)
        time.sleep(moment.uniform(0.0, 0.2))
        child.kill()
        child.join()
        interrupted += any(name.startswith("tmp-") for name in os.listdir(tmp_path))
        with Checkpoints(tmp_path) as checkpoints:
            for step in checkpoints.steps():
                state, record = checkpoints.restore(counted(0), step)
                assert record == {"step": step}
                assert_same(state, counted(step))
            reached.append(max(checkpoints.steps(), default=0))
    assert reached == sorted(reached) and len(set(reached)) > 10
    assert interrupted > 5  # kills that hit a save half way


@pytest.mark.core
def test_a_reader_beside_a_writer_sees_whole_checkpoints(tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["orbax.checkpoint", "jaxrl_evolve.storage.checkpoint", __name__])
    started = context.Event()
    child = context.Process(target=save_for_ever, args=(str(tmp_path), started, False, 1))
    child.start()
    try:
        assert started.wait(60)
        reached, end = [], time.monotonic() + READING_SECONDS
        while time.monotonic() < end or len(set(reached)) < 5:
            with Checkpoints(tmp_path) as checkpoints:
                state, record = checkpoints.restore(counted(0))
                assert_same(state, counted(record["step"]))
                assert checkpoints.manifest().record["step"] >= record["step"]
                reached.append(record["step"])
                for step in checkpoints.steps():
                    try:
                        checkpoints.verify(step)
                    except (
                        CheckpointError
                    ) as error:  # its writer deleted it: it is not there, and not damaged
                        assert "has no checkpoint of step" in str(error)  # noqa: PT017
    finally:
        child.kill()
        child.join()
    assert reached == sorted(reached)


TWO_PROCESSES = """
    import sys
    import jax
    jax.config.update("jax_platforms", "cpu")
    coordinator, folder, index = sys.argv[1], sys.argv[2], int(sys.argv[3])
    jax.distributed.initialize(coordinator, 2, index)
    import numpy as np
    from jax.sharding import NamedSharding, PartitionSpec as P
    from jaxrl_evolve.storage.checkpoint import Checkpoints

    mesh = jax.make_mesh((4,), ("seed",))
    def make(seed):
        keys = jax.random.split(jax.random.key(seed), 8)
        return {"keys": keys, "x": jax.vmap(jax.random.normal)(keys), "n": jax.numpy.int32(seed)}
    sharding = {"keys": NamedSharding(mesh, P("seed")), "x": NamedSharding(mesh, P("seed")), "n": NamedSharding(mesh, P())}
    build = jax.jit(make, out_shardings=sharding, static_argnums=0)
    state = build(3)
    with Checkpoints(folder) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, state, {"step": step})
        found, record = checkpoints.restore(build(4))
        assert record == {"step": 2}
        assert checkpoints.steps() == [1, 2]
    assert jax.tree.all(jax.tree.map(lambda a, b: a.sharding == b.sharding, found, state))
    bits = lambda k: jax.random.key_data(k) if jax.dtypes.issubdtype(k.dtype, jax.dtypes.prng_key) else k
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(state), strict=True):
        for s, t in zip(bits(a).addressable_shards, bits(b).addressable_shards, strict=True):
            assert s.index == t.index
            np.testing.assert_array_equal(s.data, t.data)
    print("same")
"""


start = pytest.fixture(starting)


@needs_an_address
def test_two_processes_write_one_checkpoint(tmp_path, start):
    command = [sys.executable, "-c", textwrap.dedent(TWO_PROCESSES), address(), str(tmp_path / "a[1]*")]
    processes = [start([*command, str(i)], 2) for i in range(2)]
    for process in processes:
        code, output = ended(process, 120)
        assert code == 0 and "same" in output.splitlines(), output
    keys = jax.random.split(jax.random.key(3), 8)
    expected = {"keys": keys, "x": jax.vmap(jax.random.normal)(keys), "n": jnp.int32(3)}
    with Checkpoints(tmp_path / "a[1]*") as checkpoints:
        assert_same(checkpoints.restore(expected)[0], expected)
