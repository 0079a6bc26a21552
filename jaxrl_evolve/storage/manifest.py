"""A checkpoint's manifest: what it holds, for which run, and the size and checksum of its every file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxrl_evolve.files import Unreadable, one_line, parse_json, read_regular
from jaxrl_evolve.settings.notices import Notice

PROGRAM = "jaxrl_evolve"
FORMAT = 1
FILE_NAME = "manifest.json"


class CheckpointError(ValueError):
    """A checkpoint cannot be written or read; the message names what is wrong.

    Attributes:
        intact: the newest undamaged step of the same folder where a newer one was damaged, else None.
    """

    def __init__(self, message: str, intact: int | None = None) -> None:
        super().__init__(message)
        self.intact = intact


class CheckpointDamaged(CheckpointError):
    """A file of the checkpoint is missing, truncated or corrupt, or is another program's."""


class RetentionWarning(Notice, UserWarning):
    """A checkpoint was written, but older ones could not be deleted."""


class Leaf(NamedTuple):
    """One array of the state: its global shape, its dtype's name, and a PRNG key's implementation."""

    shape: tuple[int, ...]
    dtype: str
    key_impl: str | None


class Record(dict[str, Any]):
    """What a host saved with its state. A fact that it should have and has not is told as damage."""

    def __missing__(self, name: str) -> Any:
        raise CheckpointDamaged(f"the checkpoint is damaged: its record has no {name!r}")


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a checkpoint says of itself.

    Attributes:
        step: the step it was saved for.
        identity: what the run was (algorithm, env, …).
        record: the host record saved with the state.
        leaves: by path in the saved pytree, e.g. ``learner.params.w``.
        files: by path in the checkpoint folder, size in bytes and CRC-32.
    """

    step: int
    identity: Mapping[str, Any]
    record: Mapping[str, Any]
    leaves: Mapping[str, Leaf]
    files: Mapping[str, tuple[int, int]] = dataclasses.field(default_factory=dict)


def config_digest(config: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of a JSON-able mapping, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def named_leaves(tree: Any) -> dict[str, Any]:
    """The leaves of a pytree by their dotted path, in order.

    Raises:
        CheckpointError: a leaf is not an array, or two paths read the same.
    """
    named: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        name = jax.tree_util.keystr(path, simple=True, separator=".") or "state"
        if name in named:
            raise CheckpointError(f"two leaves of the state are both called {name}")
        if not hasattr(leaf, "dtype") or not hasattr(leaf, "shape"):
            kind = type(leaf).__name__
            raise CheckpointError(f"leaf {name} of the state is {leaf!r} ({kind}), but must be an array")
        named[name] = leaf
    return named


def is_key(leaf: Any) -> bool:
    """Whether ``leaf`` holds typed PRNG keys."""
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def describe(name: str, leaf: Any) -> Leaf:
    """The `Leaf` of an array that holds data.

    Raises:
        CheckpointError: it holds none, as a `jax.ShapeDtypeStruct` or a tracer.
    """
    if not isinstance(leaf, (jax.Array, np.ndarray, np.generic)) or isinstance(leaf, Tracer):
        raise CheckpointError(f"leaf {name} of the state is a {type(leaf).__name__}, which holds no data")
    key_impl = str(jax.random.key_impl(leaf)) if isinstance(leaf, jax.Array) and is_key(leaf) else None
    return Leaf(tuple(leaf.shape), str(leaf.dtype), key_impl)


def encode(manifest: Manifest) -> dict[str, Any]:
    """The manifest as JSON data, but for the files and the checksum that `write` adds.

    Raises:
        CheckpointError: the identity or the record is not JSON-able.
    """
    content = {
        "program": PROGRAM,
        "format": FORMAT,
        "step": manifest.step,
        "identity": manifest.identity,
        "record": manifest.record,
        "leaves": {name: leaf._asdict() for name, leaf in manifest.leaves.items()},
    }
    try:
        return json.loads(json.dumps(content))
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"the record of checkpoint step {manifest.step} is not JSON-able: {error}"
        ) from None


def write(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the manifest of all files below ``folder``, and force it and them to disk."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    body = dict(content) | {"files": {name: _fingerprint(folder / name, sync=True) for name in names}}
    with open(folder / FILE_NAME, "w") as file:
        json.dump(body | {"crc32": _checksum(body)}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def read(folder: Path) -> Manifest:
    """The manifest in ``folder``; no other file is read.

    Raises:
        CheckpointDamaged: it is missing, damaged, or another program's.
        CheckpointError: it has another format version.
    """
    try:
        content = parse_json(read_regular(folder / FILE_NAME), endless=True)
    except FileNotFoundError:
        raise CheckpointDamaged(f"{folder} is not a checkpoint of {PROGRAM}: it has no {FILE_NAME}") from None
    except OSError as error:
        raise CheckpointDamaged(f"{folder}/{FILE_NAME} cannot be read: {error.strerror}") from None
    except Unreadable as error:
        raise CheckpointDamaged(f"{folder} is damaged: {FILE_NAME} is not JSON ({error})") from None
    program = content.get("program") if isinstance(content, dict) else None
    if program != PROGRAM:
        maker = repr(program) if program else "another program"
        raise CheckpointDamaged(f"{folder} is not a checkpoint of {PROGRAM}: it was made by {maker}")
    if content.get("format") != FORMAT:
        raise CheckpointError(
            f"{folder} has format {content.get('format')!r}, but this version reads format {FORMAT}"
        )
    if content.pop("crc32", None) != _checksum(content):
        raise CheckpointDamaged(f"{folder} is damaged: the checksum of {FILE_NAME} is wrong")
    try:
        return _decoded(content)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise CheckpointDamaged(f"{folder} is damaged: {FILE_NAME} does not say what it should") from None


def _decoded(content: Mapping[str, Any]) -> Manifest:
    """A manifest whose every part has its type; raises what comes of other data."""
    leaves = {
        name: Leaf(tuple(map(int, leaf["shape"])), one_line(leaf["dtype"]), leaf["key_impl"])
        for name, leaf in content["leaves"].items()
    }
    files = {name: (int(size), int(checksum)) for name, (size, checksum) in content["files"].items()}
    for name in files:
        # Others may have made it: it is to speak of the files beside it, and of no others.
        if not name.isprintable() or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ValueError(name)
    return Manifest(int(content["step"]), {**content["identity"]}, Record(content["record"]), leaves, files)


def check_identity(folder: Path, manifest: Manifest, expected: Mapping[str, Any]) -> None:
    """Compare the names in ``expected``, in their order.

    Raises:
        CheckpointError: one differs.
    """
    for name, wanted in json.loads(json.dumps(dict(expected))).items():
        found = manifest.identity.get(name)
        if found != wanted:
            raise CheckpointError(f"{folder} was saved with {name} {found!r}, but this run has {wanted!r}")


def check_leaves(folder: Path, manifest: Manifest, template: Mapping[str, Any]) -> None:
    """Compare names, shapes and dtypes of the saved leaves with those of ``template``.

    Raises:
        CheckpointError: a leaf is missing, unknown, or of another shape or dtype.
    """
    saved = manifest.leaves
    unfit = f"{folder} does not fit this run:"
    for name in template:
        if name not in saved:
            raise CheckpointError(f"{unfit} leaf {name} is missing from it")
    for name in saved:
        if name not in template:
            raise CheckpointError(f"{unfit} it has a leaf {one_line(name)} that the run has not")
    for name, leaf in template.items():
        if saved[name].shape != tuple(leaf.shape):
            raise CheckpointError(
                f"{unfit} leaf {name} has shape {saved[name].shape}, expected {tuple(leaf.shape)}"
            )
        if saved[name].dtype != str(leaf.dtype):
            raise CheckpointError(f"{unfit} leaf {name} has dtype {saved[name].dtype}, expected {leaf.dtype}")


def check_files(folder: Path, manifest: Manifest) -> None:
    """Compare every file with its size and checksum.

    Raises:
        CheckpointDamaged: one is missing, truncated or corrupt.
    """
    for name, (size, checksum) in manifest.files.items():
        path = folder / name
        try:
            if not path.is_file():
                path.stat()
                raise CheckpointDamaged(f"{folder} is damaged: {name} is no regular file")
            found_size = path.stat().st_size
            if found_size != size:  # before it is read: it may be longer than anyone would want to
                raise CheckpointDamaged(
                    f"{folder} is damaged: {name} has {found_size} bytes, expected {size}"
                )
            found_checksum = _fingerprint(path)[1]
        except OSError as error:
            raise CheckpointDamaged(
                f"{folder} is damaged: {name} cannot be read ({error.strerror})"
            ) from None
        if found_checksum != checksum:
            raise CheckpointDamaged(f"{folder} is damaged: the checksum of {name} is wrong")


def _fingerprint(path: Path, sync: bool = False) -> tuple[int, int]:
    """(size in bytes, CRC-32) of a file; with ``sync`` it is also forced to disk."""
    size, checksum = 0, 0
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            size, checksum = size + len(block), zlib.crc32(block, checksum)
        if sync:
            os.fsync(file.fileno())
    return size, checksum


def _checksum(body: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(body, sort_keys=True).encode())
