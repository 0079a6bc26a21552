"""Files that others may have made or damaged: reading gives what was written, or one sentence; nothing is run, or fills memory."""

from __future__ import annotations

import io
import json
import os
import pickle
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import walk

from jaxrl_evolve.files import Unreadable, parse_json, parse_npz
from jaxrl_evolve.meta.train import META_TRAIN
from jaxrl_evolve.meta_test import outcome as outcomes
from jaxrl_evolve.meta_test.run import META_TEST
from jaxrl_evolve.meta_test.tuning import Tuning
from jaxrl_evolve.objectives import LPGConfig, LPOConfig, StoredObjective, TimeFeatures, lpg, stored
from jaxrl_evolve.objectives.disco import DiscoConfig, disco
from jaxrl_evolve.objectives.disco.published import load_disco_weights
from jaxrl_evolve.objectives.drift.lpo import lpo
from jaxrl_evolve.objectives.time_config import HorizonRange
from jaxrl_evolve.results.report.runs import ReportError, read_run
from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.storage import manifest as manifests
from jaxrl_evolve.storage import sinks
from jaxrl_evolve.storage.checkpoint import CheckpointError, Checkpoints
from jaxrl_evolve.storage.folder import FolderError
from jaxrl_evolve.storage.kinds import Kind
from jaxrl_evolve.training.sweep import SWEEP
from jaxrl_evolve.training.train import TRAIN

MEMORY = 32 * 2**20
"""Bytes that reading any small file may take."""
TIME = TimeFeatures(("fraction", "log_horizon", "periodic"), HorizonRange(640, 6_400), (1.0, 2.5))


def refused(read: Callable[[], Any], error: type[Exception]) -> bool:
    """Whether reading ends in one line of the documented error; anything else but success is a failure."""
    told = ""
    try:
        read()
    except error as caught:
        told = str(caught)
    assert told.isprintable(), told
    return told != ""


def damaged(rng: np.random.Generator, content: bytes) -> bytes:
    """The content with one kind of damage at a random place."""
    data, at = bytearray(content), int(rng.integers(len(content)))
    length = int(rng.integers(1, 40))
    match rng.integers(7):
        case 0:
            data[at] ^= 1 << int(rng.integers(8))
        case 1:
            del data[at:]
        case 2:
            del data[at : at + length]
        case 3:
            data[at:at] = rng.bytes(length)
        case 4:
            data[at : at + length] = bytes(min(length, len(data) - at))
        case 5:
            data[at:at] = data[: min(length, at)]
        case _:
            data[at] = int(rng.choice(list(b'\xff\x00"[{-9')))
    return bytes(data)


def same(found: Any, wanted: Any) -> bool:
    return jax.tree.structure(found) == jax.tree.structure(wanted) and all(
        np.array_equal(a, b, equal_nan=True)
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True)
    )


# Objectives.


def filled(objective: Any) -> Any:
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda x: rng.normal(size=x.shape).astype(x.dtype), jax.eval_shape(objective.init, jax.random.key(0))
    )


def objectives() -> Iterator[StoredObjective]:
    config = LPOConfig(width=4, time=TIME)
    facts: dict[str, Any] = {"environments": ("tiny/Walk",), "seeds": (0, 1), "scores": {"final": 1.5}}
    yield StoredObjective("lpo", config, filled(lpo(config)), TIME.horizons, **facts)
    small = LPGConfig(width=4, predictions=3, embedding=2)
    yield StoredObjective("lpg", small, filled(lpg(small)))
    tiny = DiscoConfig(predictions=3, bins=3, width=2, lifetime_width=2, hidden=2)
    yield StoredObjective("disco", tiny, filled(disco(tiny)))


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive(of: dict[str, bytes], packed: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packed) as out:
        for name, content in of.items():
            out.writestr(name, content)
    return file.getvalue()


def npy(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    size = len(header).to_bytes(2 if version == b"\x01\x00" else 4, "little")
    return b"\x93NUMPY" + version + size + header.encode() + data


def described(dtype: str, shape: str, order: str = "False") -> str:
    return f"{{'descr': {dtype}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


class Boom:
    def __reduce__(self) -> Any:
        return os.mkdir, (str(Path.cwd() / "unpickled"),)


def hostile_arrays() -> dict[str, bytes]:
    pickled = pickle.dumps(Boom())
    headers = {
        "a huge shape": described("'<f4'", f"({10**12},)"),
        "a shape beyond 64 bits": described("'<f4'", f"({2**40}, {2**40})"),
        "a negative shape": described("'<f4'", "(-1, -4)"),
        "an empty product": described("'<f4'", f"(0, {10**30})"),
        "a shape that is none": described("'<f4'", "'abc'"),
        "a shape of truth": described("'<f4'", "(True, 1.5)"),
        "a wide item": described("'V2000000000'", "(1,)"),
        "wide text": described("'<U500000000'", "(0,)"),
        "a dtype that is none": described("'fish'", "(1,)"),
        "a dtype that is nothing": described("None", "(1,)"),
        "nested dtypes": described("[('a', " * 50 + "'<f4'" + ")]" * 50, "(1,)"),
        "a deep literal": described("'<f4'", "(" * 3000 + ")" * 3000),
        "a call": described("__import__('os').mkdir('unpickled')", "(1,)"),
        "no literal": "\x00\xff(((",
        "a list": "[]\n",
        "another order": described("'<f4'", "(1,)", "'C'"),
    }
    return {
        **{name: npy(header, bytes(4)) for name, header in headers.items()},
        "pickled": npy(described("'|O'", "()"), pickled),
        "pickled in a field": npy(described("[('a', '|O')]", "(1,)"), pickled),
        "only a pickle": pickled,
        "nothing": b"",
        "magic alone": b"\x93NUMPY",
        "another version": npy(described("'<f4'", "(1,)"), bytes(4), b"\x03\x00"),
        "a version to come": npy(described("'<f4'", "(1,)"), bytes(4), b"\x09\x00"),
        "a long header": npy(" " * 10**6, version=b"\x02\x00"),
        "too little": npy(described("'<f4'", "(3,)"), bytes(8)),
        "too much": npy(described("'<f4'", "(3,)"), bytes(16)),
    }


VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    1,
    10**30,
    1e308,
    0.5,
    "",
    "x",
    "\ud800\n",
    [],
    {},
    [1],
    ["fraction"],
    [["x"]],
]
VALUES += [
    {"x": 1},
    {"kinds": 3},
    {"least": "1", "most": []},
    [None],
    2**31,
    "[" * 50,
    [[[[]]]],
    float("inf"),
]


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(tree, dict | list):
        for key, item in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield (*path, key)
            yield from places(item, (*path, key))


def replaced(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    copy = json.loads(json.dumps(tree))
    at = copy
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return copy


def with_header(content: bytes, text: str) -> bytes:
    arrays = {**members(content)}
    file = io.BytesIO()
    np.save(file, np.frombuffer(text.encode(errors="surrogatepass"), np.uint8))
    arrays["header.npy"] = file.getvalue()
    return archive(arrays)


DEEP = [
    "[" * 200_000,
    '{"a":' * 5_000,
    "[" * 500 + "]" * 500,
    "NaN",
    '{"a": 1e999}',
    "9" * 5_000,
    "\x00",
    '"\ud800"',
]


@pytest.fixture(scope="module")
def written(tmp_path_factory: Any) -> list[tuple[StoredObjective, bytes]]:
    path = tmp_path_factory.mktemp("objectives") / "a.npz"
    kept = []
    for objective in objectives():
        stored.save(path, objective)
        kept.append((objective, path.read_bytes()))
    return kept


def fuzz_objectives(written: Any, path: Path, count: int, seed: int) -> int:
    rng, ends = np.random.default_rng(seed), 0
    for i in range(count):
        objective, content = written[i % len(written)]
        path.write_bytes(damaged(rng, content))

        def read(objective: StoredObjective = objective) -> None:
            found = stored.load(path)
            assert same(found.eta, objective.eta) and found.settings == objective.settings

        ends += refused(read, stored.StoredObjectiveError)
    return ends


def fuzz_headers(written: Any, path: Path, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _, content in written:
        header = json.loads(parse_npz(content)["header"].tobytes())
        cases = [(place, value) for place in places(header) for value in VALUES]
        for i in rng.choice(len(cases), min(count, len(cases)), replace=False):
            path.write_bytes(with_header(content, json.dumps(replaced(header, *cases[i]))))
            refused(lambda: stored.load(path).objective(), stored.StoredObjectiveError)


def test_a_damaged_objective_is_read_as_it_was_or_refused(written: Any, tmp_path: Path):
    assert fuzz_objectives(written, tmp_path / "a.npz", 90, 0) > 60
    fuzz_headers(written, tmp_path / "a.npz", 15, 0)


def test_headers_that_are_none_are_refused(written: Any, tmp_path: Path):
    path = tmp_path / "a.npz"
    for text in DEEP:
        path.write_bytes(with_header(written[0][1], text))
        assert refused(lambda: stored.load(path), stored.StoredObjectiveError), text[:20]


@pytest.mark.parametrize("name", hostile_arrays())
def test_hostile_arrays_are_refused_without_being_made(
    name: str, written: Any, tmp_path: Path, monkeypatch: Any
):
    monkeypatch.chdir(tmp_path)
    content, path = hostile_arrays()[name], tmp_path / "a.npz"
    for member in ("eta/input.npy", "header.npy"):
        path.write_bytes(archive({**members(written[0][1]), member: content}))
        assert peak(lambda: refused(lambda: stored.load(path), stored.StoredObjectiveError)) < MEMORY
        assert refused(lambda: stored.load(path), stored.StoredObjectiveError)
    assert refused(lambda: load_disco_weights(path), ValueError)
    assert refused(lambda: outcomes.load(path), FolderError)
    assert not (tmp_path / "unpickled").exists()


def peak(action: Callable[[], Any]) -> int:
    """Most bytes that Python and numpy held during an action."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_archives_that_unpack_to_more_than_a_bound_are_refused(tmp_path: Path):
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bomb,
        bomb.open("a.npy", "w", force_zip64=True) as member,
    ):
        for _ in range(64):
            member.write(bytes(2**20))
    content = file.getvalue()
    assert len(content) < 2**20
    # The same with a size that the directory does not admit.
    size = (64 * 2**20).to_bytes(4, "little")
    assert size in content
    for bomb in (content, content.replace(size, (2**20).to_bytes(4, "little"))):
        assert refused(lambda bomb=bomb: parse_npz(bomb, 2**24), Unreadable)
        assert peak(lambda bomb=bomb: refused(lambda: parse_npz(bomb, 2**24), Unreadable)) < MEMORY
    with pytest.raises(Unreadable, match="two arrays 'a'"), pytest.warns(UserWarning, match="Duplicate"):
        parse_npz(twice())
    with pytest.raises(Unreadable, match="another way"):
        parse_npz(archive({"a.npy": npy(described("'<f4'", "(1,)"), bytes(4))}, zipfile.ZIP_LZMA))
    for array in (
        np.arange(6.0).reshape(2, 3).T,
        np.zeros((0, 3), np.uint8),
        np.float32(2),
        np.array([True]),
    ):
        file = io.BytesIO()
        np.savez_compressed(file, a=array)
        found = parse_npz(file.getvalue())["a"]
        assert found.dtype == array.dtype and found.flags.writeable
        np.testing.assert_array_equal(found, array)


def twice() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as out:
        for _ in range(2):
            out.writestr("a.npy", b"")
    return file.getvalue()


def test_what_has_no_end_is_not_read(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.npz")
    (tmp_path / "zero.npz").symlink_to("/dev/zero")
    for name in ("pipe.npz", "zero.npz"):
        with pytest.raises(stored.StoredObjectiveError, match="it is no regular file"):
            stored.load(tmp_path / name)
    os.mkfifo(tmp_path / "points.json")
    with pytest.raises(FolderError, match="it is no regular file"):
        folders.read_json(tmp_path / "points.json")


# Run folders.

RUN = json.loads(json.dumps(folders.plain(walk.config())))
KINDS: dict[Kind, dict[str, Any]] = {
    TRAIN: RUN,
    SWEEP: {"config": RUN, "shapes": [{"settings": {"learner.epochs": 2}, "points": [{"clip": 0.1}]}]},
    META_TRAIN: {
        "objective": "ta-lpo",
        "env": "tiny/Walk",
        "generations": 2,
        "settings": {"width": 4, "time": {"kinds": ["fraction"]}},
    },
    META_TEST: {
        "objectives": ["lpo"],
        "envs": ["tiny/Walk"],
        "horizons": [1, 2],
        "tuning": {"seeds": 1, "entropy_coefs": [0.0]},
    },
}


def fuzz_configurations(path: Path, count: int, seed: int) -> int:
    rng, ends = np.random.default_rng(seed), 0
    for kind, data in KINDS.items():
        whole = {"kind": kind.name, **data}
        cases = [(place, value) for place in places(whole) for value in VALUES]
        for i in range(count):
            content = json.dumps(whole)
            if i % 2:
                content = json.dumps(replaced(whole, *cases[int(rng.integers(len(cases)))]))
            changed = damaged(rng, content.encode()) if i % 2 == 0 else content.encode()
            for name in ("config.json", "sweep.json"):
                (path / name).unlink(missing_ok=True)
            (path / kind.mark).write_bytes(changed)
            ends += refused(lambda kind=kind: folders.configuration(path, kind), ValueError)
    return ends


def test_a_damaged_configuration_is_one_or_refused(tmp_path: Path):
    assert fuzz_configurations(tmp_path, 40, 0) > 60
    for text in DEEP:
        (tmp_path / "config.json").write_bytes(text.encode(errors="surrogatepass"))
        assert refused(lambda: folders.configuration(tmp_path, TRAIN), ValueError)
    for text, why in {
        b"[" * 101 + b"]" * 101: "100 levels",
        b'{"a": -Infinity}': "-Infinity",
        b"1" * 5000: "digits",
    }.items():
        with pytest.raises(Unreadable, match=why):
            parse_json(text)
    assert parse_json(b"[" * 100 + b"]" * 100) and parse_json(b'"' + b"[" * 200 + b'"') == "[" * 200


ROWS = [{"env_steps": 10 * i, "eval_return": [0.5, None], "seconds": 1.5} for i in range(1, 6)]
RESULT = {
    "algorithm": "ppo",
    "env": "tiny/Walk",
    "env_options": {"n": 3},
    "env_steps": 50,
    "eval_return": [1.0, 2.0],
}


def fuzz_rows(path: Path, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    file, result = path / "metrics.jsonl", path / "result.json"
    sink = sinks.jsonl(file)
    for row in ROWS:
        sink.write(row, row["env_steps"])
    sink.close()
    content, cases = file.read_bytes(), [(place, value) for place in places(RESULT) for value in VALUES]
    for i in range(count):
        file.write_bytes(damaged(rng, content))
        forged = json.dumps(replaced(RESULT, *cases[int(rng.integers(len(cases)))])).encode()
        result.write_bytes(forged if i % 2 else damaged(rng, json.dumps(RESULT).encode()))
        refused(lambda: sinks.table(path / "a.csv", sinks.read_jsonl(file)).close(), sinks.SinkError)
        refused(lambda: read_run(path), ReportError)
        refused(lambda: sinks.jsonl(file, 30).close(), sinks.SinkError)


def test_damaged_rows_are_read_or_refused(tmp_path: Path):
    fuzz_rows(tmp_path, 60, 0)
    file = tmp_path / "metrics.jsonl"
    (tmp_path / "result.json").write_text(json.dumps(RESULT))
    for step in ('"x"', "[1]", "null", "1e999", "[" * 5_000, '{"a":1}'):
        file.write_text(f'{{"env_steps": {step}}}\n{{"env_steps": 2}}\n')
        assert refused(lambda: sinks.read_jsonl(file), sinks.SinkError), step
        assert refused(lambda: read_run(tmp_path), ReportError), step


# Checkpoints.

STATE = {"w": jnp.arange(12, dtype=jnp.float32).reshape(4, 3), "key": jax.random.key(3), "n": np.int64(7)}


def bits(state: Any) -> Any:
    return {**state, "key": jax.random.key_data(state["key"])}


def fuzz_checkpoints(path: Path, count: int, seed: int) -> int:
    rng, ends = np.random.default_rng(seed), 0
    with Checkpoints(path) as checkpoints:
        checkpoints.save(1, STATE, {"step": 1})
        checkpoints.wait()
        folder = checkpoints.path(1)
        files = {file: file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}
        body = json.loads(files[folder / "manifest.json"])
        body.pop("crc32")
        cases = [(place, value) for place in places(body) if place[0] != "record" for value in VALUES]

        def read() -> None:
            state, _ = checkpoints.restore(STATE)
            assert same(bits(state), bits(STATE))

        for i in range(count):
            file = list(files)[int(rng.integers(len(files)))]
            if i % 2:
                file = folder / "manifest.json"
                forged = replaced(body, *cases[int(rng.integers(len(cases)))])
                file.write_text(json.dumps(forged | {"crc32": manifests._checksum(forged)}))
            else:
                file.write_bytes(damaged(rng, files[file]) if files[file] else b"x")
            ends += refused(read, CheckpointError)
            file.write_bytes(files[file])
        read()
    return ends


def forge(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a manifest, and make its checksums those of what is there."""
    content = json.loads((folder / "manifest.json").read_bytes())
    content.pop("crc32")
    change(content)
    content["files"] = {
        name: manifests._fingerprint(folder / name) if (folder / name).is_file() else size
        for name, size in content["files"].items()
    }
    (folder / "manifest.json").write_text(json.dumps(content | {"crc32": manifests._checksum(content)}))


def test_a_damaged_checkpoint_is_restored_as_it_was_or_refused(tmp_path: Path):
    assert fuzz_checkpoints(tmp_path, 80, 0) > 40


def test_a_forged_manifest_reaches_nothing_outside(tmp_path: Path):
    (tmp_path / "secret").write_text("x")
    with Checkpoints(tmp_path / "c") as checkpoints:
        checkpoints.save(1, STATE)
        checkpoints.wait()
        folder = checkpoints.path(1)
        for name in ("../../secret", "/dev/zero", str(tmp_path / "secret"), "arrays"):
            forge(folder, lambda content, name=name: content["files"].update({name: (1, 1)}))
            with pytest.raises(CheckpointError, match="does not say what it should|no regular file"):
                checkpoints.restore(STATE)
            forge(folder, lambda content, name=name: content["files"].pop(name))
        # Arrays of other sizes than the manifest says are found before they are made.
        big = dict(STATE, w=jnp.zeros((4_000, 3_000), jnp.float32))
        checkpoints.save(2, big)
        checkpoints.wait()
        forge(checkpoints.path(2), lambda content: content["leaves"]["w"].update(shape=[4, 3]))
        assert peak(lambda: refused(lambda: checkpoints.restore(STATE, 2), CheckpointError)) < MEMORY
        with pytest.raises(CheckpointError, match="array w is not in its files as it should be"):
            checkpoints.restore(STATE, 2)


def test_a_damaged_outcome_of_a_meta_test_is_refused(tmp_path: Path):
    tuning = Tuning(np.ones(2), np.ones(2), np.ones((2, 1)), np.zeros(1, np.int64))
    outcome = outcomes.Outcome(
        np.ones((1, 2, 1), np.float32),
        np.ones((1, 2, 1), np.float32),
        {},
        np.ones(2),
        np.ones(1, np.int64),
        tuning,
    )
    path, rng = tmp_path / "a.npz", np.random.default_rng(0)
    outcomes.save(path, outcome)
    content, ends = path.read_bytes(), 0
    for _ in range(60):
        path.write_bytes(damaged(rng, content))
        ends += refused(
            lambda: np.testing.assert_array_equal(outcomes.load(path).returns, outcome.returns), FolderError
        )
    assert ends > 30


@pytest.mark.slow
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("seed", range(1, 6))
def test_thousands_of_damaged_files(seed: int, written: Any, tmp_path: Path):
    fuzz_objectives(written, tmp_path / "a.npz", 600, seed)
    fuzz_headers(written, tmp_path / "a.npz", 100, seed)
    fuzz_configurations(tmp_path, 400, seed)
    fuzz_rows(tmp_path, 600, seed)
    fuzz_checkpoints(tmp_path / "c", 600, seed)
