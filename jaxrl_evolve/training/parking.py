"""Where the states of several groups of runs lie: one at a time on the accelerator, the others in the host's memory."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import SingleDeviceSharding

from jaxrl_evolve.storage.manifest import is_key


def host_device() -> Any:
    """The device of the host's memory, for what an accelerator does not work on; None where it works there itself.

    Of several processes each holds a part of every array, for which no single device has room: there all stays where it is.
    """
    if jax.default_backend() == "cpu" or jax.process_count() > 1:
        return None
    return jax.local_devices(backend="cpu")[0]


def parked(state: Any, place: Any) -> Any:
    """A state moved to a device, and gone from where it was if nobody else holds it; as it is without one.

    It returns once all is there, so that whatever comes next has the room.
    """
    return state if place is None else jax.block_until_ready(jax.device_put(state, place))


def template_of(state: Any, place: Any = None) -> Any:
    """What a state like this is restored by (see `Checkpoints.restore`), which holds none of its arrays but keys.

    Args:
        state: arrays, or their shapes.
        place: where it is to lie; by default where ``state`` does.
    """

    def shape(x: Any) -> Any:
        if place is not None:
            return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=SingleDeviceSharding(place))
        if not isinstance(x, jax.Array) or is_key(
            x
        ):  # how data of keys are laid out is known of arrays alone
            return x
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding if x.committed else None)

    return jax.tree.map(shape, state)


def taken_up(state: Any, place: Any) -> Any:
    """A state that was restored to ``place`` on the default device; as it is without one."""

    def moved(x: jax.Array) -> jax.Array:
        if is_key(x):
            data = jnp.asarray(np.asarray(jax.random.key_data(x)))
            return jax.random.wrap_key_data(data, impl=jax.random.key_impl(x))
        return jnp.asarray(np.asarray(x))

    return state if place is None else jax.tree.map(moved, state)
