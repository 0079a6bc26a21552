"""Checkpoints: one pytree and one small record, written atomically, checked byte for byte when read.

A checkpoint is a folder ``step_<step>`` that comes into being by one rename, after orbax has written the
arrays and the manifest lists the size and checksum of every file. Until then all lies in a folder ``tmp-…``
that is never listed. So a process may be killed at any moment: what is listed is whole.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import jax
from jax.experimental import multihost_utils

from jaxrl_evolve.storage import manifest as manifests
from jaxrl_evolve.storage import steps as folders
from jaxrl_evolve.storage.arrays import Arrays, storable
from jaxrl_evolve.storage.causes import brief, system_cause
from jaxrl_evolve.storage.manifest import (
    CheckpointDamaged,
    CheckpointError,
    Leaf,
    Manifest,
    RetentionWarning,
    config_digest,
)
from jaxrl_evolve.storage.steps import entries, folder_name, publish, remove

__all__ = ["CheckpointDamaged", "CheckpointError", "Checkpoints", "Leaf", "Manifest", "config_digest"]

_T = TypeVar("_T")


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
        self._arrays = Arrays(self.folder)
        self._commit: threading.Thread | None = None
        self._failure: Exception | None = None
        self._undeleted: OSError | None = None
        self._warned = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def save(
        self,
        step: int,
        state: Any,
        record: Mapping[str, Any] | None = None,
        before: Callable[[], None] | None = None,
    ) -> None:
        """Write ``state`` and ``record`` as checkpoint ``step``; returns when the arrays are off the device.

        Waits for the previous save. Checkpoints of later steps are deleted once this one is written: they
        come from a run that was taken up again at an earlier step.

        Args:
            step: not negative.
            state: a pytree of arrays (jax, typed PRNG keys, NumPy).
            record: small and JSON-able; floats come back exactly, tuples as lists.
            before: what must have been done before the checkpoint counts; called on process 0, in the background. What
                it raises is a failure to write.

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
        work = folders.workplace(self.folder, step)
        try:
            if jax.process_index() == 0:
                folders.make_workplace(self.folder, step)
            barrier(f"checkpoint folder {step}")
            self._arrays.save(work, storable(named))
        except (OSError, ValueError) as error:
            raise _unwritten(step, error) from system_cause(error)
        self._commit = threading.Thread(
            target=self._finish, args=(step, work, content, before), name=f"checkpoint {step}"
        )
        self._commit.start()
        if not self._asynchronous:
            self.wait()

    def wait(self) -> None:
        """Block until the last save is on disk.

        Warns:
            RetentionWarning: it could, but older ones could not be deleted; once.

        Raises:
            CheckpointError: it could not be written. Earlier checkpoints are untouched.
        """
        if self._commit is None:
            return
        self._commit.join()
        step, self._commit = int(self._commit.name.split()[-1]), None
        barrier("checkpoint written")
        failure, self._failure = self._failure, None
        if failure is not None:
            raise _unwritten(step, failure) from system_cause(failure)
        if self._undeleted is not None and not self._warned:
            self._warned = True
            told = (
                f"older checkpoints in {self.folder} cannot be deleted and are kept: {brief(self._undeleted)}"
            )
            warnings.warn(RetentionWarning(told), stacklevel=2)

    def close(self) -> None:
        """`wait`, then end the threads that write."""
        try:
            self.wait()
        finally:
            self._arrays.close()

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, in rising order."""
        return sorted({step for step, _ in entries(self.folder)})

    def best_step(self) -> int | None:
        """The step whose record has the largest ``keep_best`` number (the later of equals), or None."""
        return self._best(self.steps())

    def path(self, step: int) -> Path:
        """The folder of checkpoint ``step``.

        Raises:
            CheckpointError: there is none.
        """
        revisions = [revision for s, revision in entries(self.folder) if s == step]
        if not revisions:
            there = ", ".join(map(str, self.steps())) or "none"
            raise CheckpointError(f"{self.folder} has no checkpoint of step {step} (it has: {there})")
        return self.folder / folder_name(step, max(revisions))

    def manifest(self, step: int | None = None) -> Manifest:
        """What checkpoint ``step`` (None: the newest) says of itself; reads no arrays.

        Raises:
            CheckpointError: there is no such checkpoint, or it is foreign or its manifest damaged.
        """
        self.wait()
        return self._settled(step, manifests.read)

    def verify(self, step: int) -> None:
        """Check every file of checkpoint ``step`` against its size and checksum.

        Raises:
            CheckpointError: a file is missing, truncated or corrupt (named), or the checkpoint is foreign.
        """
        self.wait()
        self._settled(step, lambda path: manifests.check_files(path, manifests.read(path)))

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

        def read(path: Path) -> tuple[list[Any], dict[str, Any]]:
            manifest = manifests.read(path)
            manifests.check_identity(path, manifest, self._identity)
            manifests.check_leaves(path, manifest, named)
            manifests.check_files(path, manifest)
            return self._arrays.restore(path, named, manifest.leaves), manifests.Record(manifest.record)

        leaves, record = self._settled(step, read)
        return jax.tree.unflatten(jax.tree.structure(template), leaves), record

    def _settled(self, step: int | None, read: Callable[[Path], _T]) -> _T:
        if step is not None:
            return folders.settled(lambda: self.path(step), read)
        found: list[Path] = []
        try:
            return folders.settled(lambda: found.append(folders.newest(self.folder)) or found[-1], read)
        except CheckpointDamaged as error:
            raise self._with_intact(error, found[-1]) from None

    def _finish(
        self, step: int, work: Path, content: Mapping[str, Any], before: Callable[[], None] | None
    ) -> None:
        try:
            self._arrays.wait()
            if jax.process_index() != 0:
                return
            self._arrays.check(work)
            manifests.write(work, content)
            if before is not None:
                before()
            publish(work, self.folder, step)
        except Exception as error:
            self._failure = error
        else:
            try:
                self._retain(step)
            except OSError as error:  # the new checkpoint is there, so the run goes on
                self._undeleted = error

    def _retain(self, newest: int) -> None:
        failures: list[OSError] = []
        listed = entries(self.folder)
        current = dict(listed)  # sorted, so the last revision of a step wins
        steps = [step for step in current if step <= newest]
        kept = {*(steps if self._keep is None else steps[-self._keep :]), self._best(steps)}
        for step, revision in listed:
            if step not in kept or revision != current[step]:
                try:
                    remove(self.folder, step, revision)
                except OSError as error:
                    failures.append(error)
        if failures:
            raise failures[0]

    def _best(self, steps: list[int]) -> int | None:
        return None if self._keep_best is None else folders.best(self.path, steps, self._keep_best)

    def _with_intact(self, error: CheckpointError, damaged: Path) -> CheckpointError:
        for step in reversed(self.steps()):
            try:
                if self.path(step) == damaged:
                    continue
                self.verify(step)
            except CheckpointError:
                continue
            text = f"{error}; the newest intact checkpoint is step {step}: ask for it by number"
            return CheckpointDamaged(text, intact=step)
        return CheckpointDamaged(f"{error}; no older checkpoint is intact")


def _unwritten(step: int, error: Exception) -> CheckpointError:
    return CheckpointError(f"checkpoint step {step} could not be written: {brief(system_cause(error))}")


def barrier(name: str) -> None:
    """Return once all processes have come here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)
