"""Checkpoints: one pytree and one small record, written atomically, checked byte for byte when read.

A checkpoint is a folder ``step_<step>`` that comes into being by one rename, after orbax has written the
arrays and the manifest lists the size and checksum of every file. Until then all lies in a folder ``tmp-…``
that is never listed. So a process may be killed at any moment: what is listed is whole.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from jaxrl_evolve.random import implementation
from jaxrl_evolve.storage import manifest as manifests
from jaxrl_evolve.storage.manifest import CheckpointDamaged, CheckpointError, Leaf, Manifest, is_key

__all__ = ["CheckpointDamaged", "CheckpointError", "Checkpoints", "Leaf", "Manifest", "config_digest"]

_ARRAYS = "arrays"
_FOLDER = re.compile(r"step_(\d{9,})(?:\.(\d+))?")


def config_digest(config: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of a JSON-able mapping, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


class Checkpoints:
    """The checkpoints of one run, in one folder.

    With several processes (`jax.distributed`) every process makes the same calls on the same shared
    folder; process 0 writes the manifest and renames. Use it in a ``with`` block, or `close` it: a save
    still going on when Python exits is lost, and the one before it remains.

    Args:
        folder: where the checkpoints lie; made at the first save.
        identity: JSON-able facts that must be equal for a checkpoint to be restored into this run, e.g.
            ``{"algorithm": "ppo", "env": "CartPole-v1", "config_digest": "…"}``. Only the names given
            here are compared.
        keep: how many of the newest checkpoints to keep; None keeps all.
        keep_best: name of a number in the host record; the checkpoint with its largest value is kept too.
        asynchronous: write in the background. `save` returns as soon as the arrays have left the device,
            so the state may be donated at once.

    Raises:
        CheckpointError: ``keep`` is less than 1.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        identity: Mapping[str, Any] | None = None,
        *,
        keep: int | None = 3,
        keep_best: str | None = None,
        asynchronous: bool = True,
    ) -> None:
        if keep is not None and keep < 1:
            raise CheckpointError(f"keep is {keep}, but at least 1 checkpoint must be kept (None keeps all)")
        self.folder = Path(os.path.abspath(folder))
        self._identity = dict(identity or {})
        self._keep = keep
        self._keep_best = keep_best
        self._asynchronous = asynchronous
        self._orbax: Any = None
        self._commit: threading.Thread | None = None
        self._failure: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def save(self, step: int, state: Any, record: Mapping[str, Any] | None = None) -> None:
        """Write ``state`` and ``record`` as checkpoint ``step``; returns when the arrays are off the device.

        Waits for the previous save. Checkpoints of later steps are deleted once this one is written: they
        come from a run that was taken up again at an earlier step.

        Args:
            step: not negative.
            state: a pytree of arrays (jax, typed PRNG keys, NumPy).
            record: small and JSON-able; floats come back exactly, tuples as lists.

        Raises:
            CheckpointError: a leaf is not an array, the record is not JSON-able, or writing failed (of
                this save or, when asynchronous, of the one before).
        """
        if step < 0:
            raise CheckpointError(f"step is {step}, but a checkpoint's step cannot be negative")
        self.wait()
        named = manifests.named_leaves(state)
        leaves = {name: manifests.describe(name, leaf) for name, leaf in named.items()}
        content = manifests.encode(Manifest(int(step), self._identity, dict(record or {}), leaves))
        arrays = {name: _storable(leaf) for name, leaf in named.items() if math.prod(leaf.shape)}
        work = self.folder / f"tmp-step_{step:09d}"
        try:
            if jax.process_index() == 0:
                self.folder.mkdir(parents=True, exist_ok=True)
                for leftover in self.folder.glob("tmp-*"):
                    shutil.rmtree(leftover)
                work.mkdir()
            _barrier(f"checkpoint folder {step}")
            if arrays:
                import orbax.checkpoint as ocp

                self._checkpointer().save(work / _ARRAYS, ocp.args.PyTreeSave(arrays))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"checkpoint step {step} could not be written: {_brief(error)}") from error
        self._commit = threading.Thread(
            target=self._finish, args=(step, work, content), name=f"checkpoint {step}"
        )
        self._commit.start()
        if not self._asynchronous:
            self.wait()

    def wait(self) -> None:
        """Block until the last save is on disk.

        Raises:
            CheckpointError: it could not be written. Earlier checkpoints are untouched.
        """
        if self._commit is None:
            return
        self._commit.join()
        self._commit = None
        _barrier("checkpoint written")
        failure, self._failure = self._failure, None
        if failure is not None:
            raise CheckpointError(f"a checkpoint could not be written: {_brief(failure)}") from failure

    def close(self) -> None:
        """`wait`, then end the threads that write."""
        try:
            self.wait()
        finally:
            if self._orbax is not None:
                self._orbax.close()
                self._orbax = None

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, in rising order."""
        return sorted({step for step, _ in self._entries()})

    def best_step(self) -> int | None:
        """The step whose record has the largest ``keep_best`` number (the later of equals), or None."""
        return self._best(self.steps())

    def path(self, step: int) -> Path:
        """The folder of checkpoint ``step``.

        Raises:
            CheckpointError: there is none.
        """
        revisions = [revision for s, revision in self._entries() if s == step]
        if not revisions:
            there = ", ".join(map(str, self.steps())) or "none"
            raise CheckpointError(f"{self.folder} has no checkpoint of step {step} (it has: {there})")
        return self.folder / _folder_name(step, max(revisions))

    def manifest(self, step: int | None = None) -> Manifest:
        """What checkpoint ``step`` (None: the newest) says of itself; reads no arrays.

        Raises:
            CheckpointError: there is no such checkpoint, or it is foreign or its manifest damaged.
        """
        self.wait()
        return manifests.read(self.path(self._newest() if step is None else step))

    def verify(self, step: int) -> None:
        """Check every file of checkpoint ``step`` against its size and checksum.

        Raises:
            CheckpointError: a file is missing, truncated or corrupt (named), or the checkpoint is foreign.
        """
        self.wait()
        path = self.path(step)
        manifests.check_files(path, manifests.read(path))

    def restore(self, template: Any, step: int | None = None) -> tuple[Any, dict[str, Any]]:
        """The state and host record of checkpoint ``step``.

        Args:
            template: a pytree of the state's structure; leaves are arrays or `jax.ShapeDtypeStruct`. Each
                restored leaf gets its template's sharding (or is left uncommitted where the template is or
                names no sharding, which several processes need); NumPy leaves come back as NumPy.
            step: None is the newest. If that is damaged it is refused, never silently passed over.

        Returns:
            ``(state, record)``, dtypes, shapes and bits as saved.

        Raises:
            CheckpointError: there is none, or it is foreign, damaged, or does not fit ``template``.
        """
        self.wait()
        named = manifests.named_leaves(template)
        asked = self._newest() if step is None else step
        path = self.path(asked)
        try:
            manifest = manifests.read(path)
            manifests.check_identity(path, manifest, self._identity)
            manifests.check_leaves(path, manifest, named)
            manifests.check_files(path, manifest)
        except CheckpointDamaged as error:
            if step is None:
                raise self._with_intact(error, asked) from None
            raise
        raw = self._read_arrays(path, {name: leaf for name, leaf in named.items() if math.prod(leaf.shape)})
        leaves = [_rebuild(raw.get(name), leaf, manifest.leaves[name]) for name, leaf in named.items()]
        return jax.tree.unflatten(jax.tree.structure(template), leaves), dict(manifest.record)

    def _checkpointer(self) -> Any:
        if self._orbax is None:
            import orbax.checkpoint as ocp  # here, because it takes as long to import as jax

            options = ocp.options.AsyncOptions(create_directories_asynchronously=False)
            self._orbax = ocp.AsyncCheckpointer(ocp.PyTreeCheckpointHandler(), async_options=options)
        return self._orbax

    def _finish(self, step: int, work: Path, content: Mapping[str, Any]) -> None:
        try:
            if self._orbax is not None:
                self._orbax.wait_until_finished()
            if jax.process_index() != 0:
                return
            manifests.write(work, content)
            _sync_folder(work)
            # A name of its own each time: an existing checkpoint of this step stays valid until this one is.
            taken = [revision for s, revision in self._entries() if s == step]
            os.rename(work, self.folder / _folder_name(step, max(taken, default=-1) + 1))
            _sync_folder(self.folder)
            self._retain(step)
        except Exception as error:
            self._failure = error

    def _retain(self, newest: int) -> None:
        entries = self._entries()
        current = dict(entries)  # sorted, so the last revision of a step wins
        steps = [step for step in current if step <= newest]
        kept = {*(steps if self._keep is None else steps[-self._keep :]), self._best(steps)}
        for step, revision in entries:
            if step not in kept or revision != current[step]:
                doomed = self.folder / _folder_name(step, revision)
                hidden = self.folder / f"tmp-deleted-{doomed.name}"
                os.rename(doomed, hidden)  # first out of the list, so that no half-deleted one is listed
                shutil.rmtree(hidden)

    def _best(self, steps: list[int]) -> int | None:
        best, best_value = None, -math.inf
        if self._keep_best is None:
            return None
        for step in steps:
            try:
                value = manifests.read(self.path(step)).record.get(self._keep_best)
            except CheckpointError:
                continue
            if isinstance(value, (int, float)) and value >= best_value:
                best, best_value = step, value
        return best

    def _entries(self) -> list[tuple[int, int]]:
        """(step, revision) of every listed checkpoint, sorted."""
        if not self.folder.is_dir():
            return []
        matches = (_FOLDER.fullmatch(name) for name in os.listdir(self.folder))
        return sorted((int(match[1]), int(match[2] or 0)) for match in matches if match)

    def _newest(self) -> int:
        steps = self.steps()
        if steps:
            return steps[-1]
        if not self.folder.is_dir():
            raise CheckpointError(f"{self.folder} is not a checkpoint folder: there is no such folder")
        others = sorted(name for name in os.listdir(self.folder) if not name.startswith("tmp-"))
        holds = f"only {', '.join(others[:5])}" if others else "nothing finished"
        raise CheckpointError(f"{self.folder} has no checkpoint of {manifests.PROGRAM}: it holds {holds}")

    def _with_intact(self, error: CheckpointError, damaged: int) -> CheckpointError:
        for step in reversed([step for step in self.steps() if step < damaged]):
            try:
                self.verify(step)
            except CheckpointError:
                continue
            fuller = CheckpointDamaged(
                f"{error}; the newest intact checkpoint is step {step}: ask for it by number"
            )
            fuller.intact = step
            return fuller
        return CheckpointDamaged(f"{error}; no older checkpoint is intact")

    def _read_arrays(self, path: Path, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        if not wanted:
            return {}
        import orbax.checkpoint as ocp

        arguments = {name: _restore_arguments(leaf) for name, leaf in wanted.items()}
        request = ocp.args.PyTreeRestore(item=dict.fromkeys(wanted, 0), restore_args=arguments)
        try:
            return self._checkpointer().restore(path / _ARRAYS, request)
        except Exception as error:  # the files are as they were written, so it is the reader that differs
            kind = type(error).__name__
            raise CheckpointError(f"{path} cannot be read by orbax {ocp.__version__} ({kind})") from error


def _storable(leaf: Any) -> jax.Array | np.ndarray:
    if not isinstance(leaf, jax.Array):
        return np.asarray(leaf)  # orbax copies host arrays before save returns
    return jax.random.key_data(leaf) if is_key(leaf) else leaf


def _restore_arguments(leaf: Any) -> Any:
    import orbax.checkpoint as ocp

    sharding = getattr(leaf, "sharding", None)
    if sharding is None or (isinstance(leaf, jax.Array) and not leaf.committed):
        return ocp.RestoreArgs(restore_type=np.ndarray)
    if is_key(leaf) and not isinstance(
        sharding, (jax.sharding.NamedSharding, jax.sharding.SingleDeviceSharding)
    ):
        sharding = jax.random.key_data(leaf).sharding  # key data has one axis more than the keys
    return ocp.ArrayRestoreArgs(sharding=sharding)


def _rebuild(raw: Any, template: Any, saved: Leaf) -> Any:
    if raw is None:  # an array without elements, which orbax does not store
        if saved.key_impl is not None:
            width = jax.random.key_data(jax.random.key(0, impl=implementation(saved.key_impl))).shape
            raw = np.zeros((*saved.shape, *width), np.uint32)
        else:
            raw = np.zeros(saved.shape, jnp.dtype(saved.dtype))
    if isinstance(template, (np.ndarray, np.generic)):
        return np.asarray(raw)
    array = raw if isinstance(raw, jax.Array) else jnp.array(raw)
    return (
        array
        if saved.key_impl is None
        else jax.random.wrap_key_data(array, impl=implementation(saved.key_impl))
    )


def _brief(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]  # storage errors can run to pages


def _folder_name(step: int, revision: int) -> str:
    return f"step_{step:09d}" + (f".{revision}" if revision else "")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _barrier(name: str) -> None:
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)
