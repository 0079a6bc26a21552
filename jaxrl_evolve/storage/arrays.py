"""Arrays of a checkpoint as files, written in the background by orbax."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_evolve.random import implementation
from jaxrl_evolve.storage.alias import Aliases
from jaxrl_evolve.storage.causes import without_traces
from jaxrl_evolve.storage.manifest import CheckpointDamaged, CheckpointError, Leaf, is_key

_FOLDER = "arrays"


def storable(named: Mapping[str, Any]) -> dict[str, jax.Array | np.ndarray]:
    """The arrays that are to be written: keys as their data, and none without elements, which orbax does not store."""
    return {name: _storable(leaf) for name, leaf in named.items() if math.prod(leaf.shape)}


class Arrays:
    """Writes and reads the arrays of checkpoints below one folder; to be closed once.

    Args:
        folder: absolute. Orbax takes some characters of paths for patterns, so it never sees those: it is given an
            alias.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._aliases = Aliases()
        self._saving = contextlib.ExitStack()
        self._wanted: dict[str, tuple[tuple[int, ...], str]] = {}
        self._orbax: Any = None

    def save(self, folder: Path, arrays: Mapping[str, jax.Array | np.ndarray]) -> None:
        """Start writing below a checkpoint's folder; returns when the arrays have left the device.

        Raises:
            OSError, ValueError: it cannot be written.
        """
        if arrays:
            import orbax.checkpoint as ocp

            with contextlib.ExitStack() as saving:
                saving.enter_context(without_traces())
                self._checkpointer().save(self._place(folder), ocp.args.PyTreeSave(dict(arrays)))
                self._saving = saving.pop_all()
        self._wanted = {name: (tuple(x.shape), str(x.dtype)) for name, x in arrays.items()}

    def wait(self) -> None:
        """Block until what was saved is in the files.

        Raises:
            Exception: whatever orbax failed with.
        """
        if self._orbax is not None:
            with self._saving:
                self._orbax.wait_until_finished()

    def check(self, folder: Path) -> None:
        """Look whether the files that were written below a checkpoint's folder hold the arrays that were to be saved.

        Raises:
            CheckpointDamaged: they do not.
        """
        self._check(folder, self._wanted)

    def restore(self, folder: Path, template: Mapping[str, Any], saved: Mapping[str, Leaf]) -> list[Any]:
        """The leaves of a checkpoint, in the order of ``template``.

        Args:
            folder: of the checkpoint.
            template: by name, arrays or `jax.ShapeDtypeStruct`, as in `Checkpoints.restore`.
            saved: what the manifest says of them.

        Raises:
            CheckpointDamaged: the files hold other arrays than ``template`` asks for.
            CheckpointError: this version of orbax cannot read them.
        """
        wanted = {name: leaf for name, leaf in template.items() if math.prod(leaf.shape)}
        # Before it is read: what the files say of their size is what would be allocated.
        self._check(folder, {name: _stored_as(leaf) for name, leaf in wanted.items()})
        raw = self._read(folder, wanted)
        try:
            return [_rebuild(raw.get(name), leaf, saved[name]) for name, leaf in template.items()]
        except (TypeError, ValueError):
            raise CheckpointDamaged(f"{folder} is damaged: it has keys of an unknown kind") from None

    def close(self) -> None:
        """End the threads that write."""
        if self._orbax is not None:
            self._orbax.close()
            self._orbax = None
        self._aliases.close()

    def _place(self, folder: Path) -> Path:
        return self._aliases.of(self._folder) / folder.relative_to(self._folder) / _FOLDER

    def _check(self, folder: Path, wanted: Mapping[str, tuple[tuple[int, ...], str]]) -> None:
        if not wanted:
            return
        import orbax.checkpoint as ocp

        handler: Any = ocp.PyTreeCheckpointHandler()
        try:
            with without_traces():
                tree = handler.metadata(self._place(folder)).tree
            found = {name: (tuple(x.shape), str(jnp.dtype(x.dtype))) for name, x in tree.items()}
        except Exception:  # it says in many ways that files are not there or not as they should be
            raise CheckpointDamaged(f"{folder} is damaged: its arrays cannot be found in its files") from None
        for name, description in wanted.items():
            if found.get(name) != description:
                raise CheckpointDamaged(
                    f"{folder} is damaged: array {name} is not in its files as it should be"
                )

    def _checkpointer(self) -> Any:
        if self._orbax is None:
            import orbax.checkpoint as ocp  # here, because it takes as long to import as jax

            options = ocp.options.AsyncOptions(create_directories_asynchronously=False)
            self._orbax = ocp.AsyncCheckpointer(ocp.PyTreeCheckpointHandler(), async_options=options)
        return self._orbax

    def _read(self, folder: Path, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        if not wanted:
            return {}
        import orbax.checkpoint as ocp

        arguments = {name: _restore_arguments(leaf) for name, leaf in wanted.items()}
        request = ocp.args.PyTreeRestore(item=dict.fromkeys(wanted, 0), restore_args=arguments)
        try:
            with without_traces():
                return self._checkpointer().restore(self._place(folder), request)
        except Exception as error:  # the files are as they were written, so it is the reader that differs
            kind = type(error).__name__
            raise CheckpointError(f"{folder} cannot be read by orbax {ocp.__version__} ({kind})") from error


def _storable(leaf: Any) -> jax.Array | np.ndarray:
    if not isinstance(leaf, jax.Array):
        return np.asarray(leaf)  # orbax copies host arrays before save returns
    return jax.random.key_data(leaf) if is_key(leaf) else leaf


def _stored_as(leaf: Any) -> tuple[tuple[int, ...], str]:
    """Shape and dtype of the array that a leaf is stored as."""
    if is_key(leaf):
        words = _data_of_key(leaf.dtype)
        return (*leaf.shape, *words.shape), str(words.dtype)
    return tuple(leaf.shape), str(leaf.dtype)


@functools.cache
def _data_of_key(kind: Any) -> jax.ShapeDtypeStruct:
    return jax.eval_shape(jax.random.key_data, jax.ShapeDtypeStruct((), kind))


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
    array = raw if isinstance(raw, jax.Array) else jax.device_put(raw)
    return (
        array
        if saved.key_impl is None
        else jax.random.wrap_key_data(array, impl=implementation(saved.key_impl))
    )
