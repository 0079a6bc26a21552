"""Axes of runs: many runs as one program, vmapped over what differs and sharded over devices.

A run axis says which arguments of a `Chunk` differ along it. Axes nest freely, outermost first: every
leaf of the state and of the metrics then leads with all of them, and an argument leads with those along
which it differs. An axis whose name is also an axis of the mesh is split over the mesh's devices; that is
the only distribution mechanism, on one host and on many.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxrl_evolve.runs.chunk import Chunk


@dataclasses.dataclass(frozen=True)
class RunAxis:
    """One axis of runs. The state (and the key it grows from) always differs along it.

    Attributes:
        name: what the axis counts, e.g. ``"seed"``; shared with a mesh axis if it is to be sharded.
        size: number of runs along it.
        hp: whether hyperparameters differ along the axis too.
        eta: whether parameters of the objective do.
        env_params: whether parameters of the environment do.
        horizon: whether the training horizon does.
        lanes: how many runs of one device are vmapped, the others following one after another in the same
            program; 0 is all. Accelerators want all. On a CPU core a run of some size fills the core, and
            more of them at a time only spill its cache.
    """

    name: str
    size: int
    hp: bool = False
    eta: bool = False
    env_params: bool = False
    horizon: bool = False
    lanes: int = 0


def over_runs(chunk: Chunk, axes: Sequence[RunAxis], mesh: Mesh | None = None) -> Chunk:
    """A chunk that advances every run along ``axes`` (outermost first) at once.

    Args:
        chunk: functions of one run.
        axes: the axes; none leaves the chunk as it is.
        mesh: devices to split the axes over that bear the name of one of its axes.

    Raises:
        ValueError: if a mesh axis is no run axis, or does not divide its size.
    """
    init, run = chunk.init, chunk.run
    for axis in reversed(axes):
        hp, eta, params, horizon = (
            0 if x else None for x in (axis.hp, axis.eta, axis.env_params, axis.horizon)
        )
        init = jax.vmap(init, in_axes=(0, hp, params))
        run = _along(run, (0, hp, eta, params, horizon, None), axis.lanes)
    if mesh is not None:
        sizes = {axis.name: axis.size for axis in axes}
        for name, devices in mesh.shape.items():
            if name not in sizes:
                raise ValueError(
                    f"mesh axis {name!r} is no run axis; run axes are {', '.join(sizes) or 'none'}"
                )
            if sizes[name] % devices:
                raise ValueError(
                    f"run axis {name!r} has size {sizes[name]}; the mesh splits it over {devices} devices, so "
                    f"it must be a multiple of {devices}"
                )
        every, hp, eta, params, horizon = (
            _spec(axes, mesh, field) for field in ("", "hp", "eta", "env_params", "horizon")
        )
        whole = PartitionSpec()
        init = jax.shard_map(init, mesh=mesh, in_specs=(every, hp, params), out_specs=every, check_vma=False)
        run = jax.shard_map(
            run,
            mesh=mesh,
            in_specs=(every, hp, eta, params, horizon, whole),
            out_specs=(every, every),
            check_vma=False,
        )
    return chunk._replace(init=init, run=run)


def _along(function: Any, in_axes: tuple[int | None, ...], lanes: int) -> Any:
    """``function`` over leading axes: vmapped, or ``lanes`` at a time in sequence."""
    if not lanes:
        return jax.vmap(function, in_axes=in_axes)

    @functools.wraps(function)  # profiles and compile logs then name what is mapped
    def mapped(*arguments: Any) -> Any:
        differing = [argument for argument, axis in zip(arguments, in_axes, strict=True) if axis == 0]

        def one(own: list[Any]) -> Any:
            rest = iter(own)
            return function(
                *(next(rest) if axis == 0 else a for a, axis in zip(arguments, in_axes, strict=True))
            )

        return jax.lax.map(one, differing, batch_size=None if lanes == 1 else lanes)

    return mapped


def _spec(axes: Sequence[RunAxis], mesh: Mesh, field: str) -> PartitionSpec:
    """Partition of an argument's leading axes; ``field`` is empty for what differs along every axis."""
    along = [axis for axis in axes if not field or getattr(axis, field)]
    return PartitionSpec(*(axis.name if axis.name in mesh.shape else None for axis in along))


def device_mesh(name: str = "seed", devices: Sequence[Any] | None = None) -> Mesh:
    """A one-axis mesh over ``devices`` (all of this program's, on all its processes, by default)."""
    return Mesh(np.asarray(jax.devices() if devices is None else devices), (name,))


def devices_for_runs() -> list[Any]:
    """Devices that runs may be split over: all of this program's, or the one that `jax.default_device` asks for."""
    asked = jax.config.jax_default_device  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(asked, jax.Device) and jax.process_count() == 1:
        return [asked]
    return jax.devices()


def mesh_for(name: str, runs: int, what: str = "runs (of a group)") -> Mesh | None:
    """A mesh over as many devices as divide ``runs``, or None where that is one, or one is asked for by `jax.default_device`.

    Args:
        name: of its axis.
        runs: how many there are to be split.
        what: they are, for the message.

    Raises:
        ValueError: several processes take part and their devices don't divide ``runs``.
    """
    devices = devices_for_runs()
    count = max(d for d in range(1, len(devices) + 1) if runs % d == 0)
    if jax.process_count() > 1 and count != len(devices):
        raise ValueError(
            f"there are {runs} {what} and {len(devices)} devices on {jax.process_count()} processes; the "
            "first must be a multiple of the second"
        )
    return device_mesh(name, devices[:count]) if count > 1 else None


def place(tree: Any, mesh: Mesh, *names: str | None) -> Any:
    """Arrays laid out over a mesh, from the same values on every process.

    Args:
        tree: arrays whose leading axes are to be split.
        mesh: the devices.
        names: mesh axis of each leading axis (None keeps it whole); no names replicate everything.
    """
    sharding = NamedSharding(mesh, PartitionSpec(*names))

    def leaf(x: Any) -> jax.Array:
        if jax.dtypes.issubdtype(getattr(x, "dtype", None), jax.dtypes.prng_key):
            return jax.random.wrap_key_data(leaf(jax.random.key_data(x)), impl=jax.random.key_impl(x))
        host = np.asarray(x)
        return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])

    return jax.tree.map(leaf, tree)
