"""Arrays of a checkpoint as files, written in the background by orbax."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_evolve.random import implementation
from jaxrl_evolve.storage.manifest import CheckpointError, Leaf, is_key

_FOLDER = "arrays"


def storable(named: Mapping[str, Any]) -> dict[str, jax.Array | np.ndarray]:
    """The arrays that are to be written: keys as their data, and none without elements, which orbax does not store."""
    return {name: _storable(leaf) for name, leaf in named.items() if math.prod(leaf.shape)}


class Arrays:
    """Writes and reads the arrays of checkpoints; to be closed once."""

    def __init__(self) -> None:
        self._orbax: Any = None

    def save(self, folder: Path, arrays: Mapping[str, jax.Array | np.ndarray]) -> None:
        """Start writing below a checkpoint's folder; returns when the arrays have left the device.

        Raises:
            OSError, ValueError: it cannot be written.
        """
        if arrays:
            import orbax.checkpoint as ocp

            self._checkpointer().save(folder / _FOLDER, ocp.args.PyTreeSave(dict(arrays)))

    def wait(self) -> None:
        """Block until what was saved is in the files.

        Raises:
            Exception: whatever orbax failed with.
        """
        if self._orbax is not None:
            self._orbax.wait_until_finished()

    def restore(self, folder: Path, template: Mapping[str, Any], saved: Mapping[str, Leaf]) -> list[Any]:
        """The leaves of a checkpoint, in the order of ``template``.

        Args:
            folder: of the checkpoint.
            template: by name, arrays or `jax.ShapeDtypeStruct`, as in `Checkpoints.restore`.
            saved: what the manifest says of them.

        Raises:
            CheckpointError: this version of orbax cannot read them.
        """
        raw = self._read(folder, {name: leaf for name, leaf in template.items() if math.prod(leaf.shape)})
        return [_rebuild(raw.get(name), leaf, saved[name]) for name, leaf in template.items()]

    def close(self) -> None:
        """End the threads that write."""
        if self._orbax is not None:
            self._orbax.close()
            self._orbax = None

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
            return self._checkpointer().restore(folder / _FOLDER, request)
        except Exception as error:  # the files are as they were written, so it is the reader that differs
            kind = type(error).__name__
            raise CheckpointError(f"{folder} cannot be read by orbax {ocp.__version__} ({kind})") from error


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
