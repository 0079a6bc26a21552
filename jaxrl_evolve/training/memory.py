"""Whether a run fits into memory, said before anything compiles."""

from __future__ import annotations

import contextlib
import math
import os
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrl_envs.contract import Env
from jaxrl_evolve import random
from jaxrl_evolve.runs.axes import mesh_for
from jaxrl_evolve.runs.chunk import Chunk, TrainState
from jaxrl_evolve.training.config import TrainConfig
from jaxrl_evolve.training.experiment import Experiment, identity, traced
from jaxrl_evolve.training.groups import Groups
from jaxrl_evolve.training.programs import AXIS, group_shapes, sequential_lanes

_CGROUP = Path("/sys/fs/cgroup/memory.max")


class Need(NamedTuple):
    """Bytes that one run needs at least.

    Attributes:
        store: what its learner keeps of its experience.
        state: everything else of it between two updates.
        rollout: observations, actions and rewards of one update.
        learner: of the state, parameters and what else is the learner's.
    """

    store: int
    state: int
    rollout: int
    learner: int = 0


def check_memory(config: TrainConfig[Any, Any], experiment: Experiment, groups: Groups) -> None:
    """Refuse a training run that cannot fit.

    What is counted is there in any case (states, stores and rollouts, not what computing with them takes), so that a run
    which fits is never refused. Nothing is refused on a device that does not tell its memory.

    Raises:
        ValueError: naming the field that asks for most.
    """
    # As it is kept for the whole group: nothing is traced twice.
    shapes = group_shapes(experiment, traced(config.hp), groups.size, identity(config))
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), shapes)
    need = need_of(config, one, experiment.env)
    mesh = mesh_for(AXIS, groups.size)
    owners = [0] if mesh is None else [device.process_index for device in mesh.devices.flat]
    devices = len(owners)
    told = f"seeds is {config.seeds:,} and group {config.group:,}"
    if jax.default_backend() == "cpu":  # one memory for all devices of a host, and for the groups that wait
        here = max(Counter(owners).values())
        held, each = groups.runs * here // devices, groups.size * here // devices
        together = min(each, here * sequential_lanes(config.steps_per_update))
        _refuse(config, need, held, together, told, devices // here)
    else:
        each = groups.size // devices
        _refuse(config, need, each, each, told, devices)


def check_agent(config: Any, chunk: Chunk, env: Env) -> None:
    """Refuse settings of which not even one agent fits; see `check_memory`.

    Args:
        config: with ``num_envs``, ``rollout_length``, ``learner`` and ``hp``.
        chunk: what it means.
        env: where it learns.

    Raises:
        ValueError: naming the field that asks for most.
    """
    one = jax.eval_shape(chunk.init, random.key(0), traced(config.hp), env.params)
    _refuse(config, need_of(config, one, env), 1, 1, "")


def need_of(config: Any, state: TrainState, env: Env) -> Need:
    """What one run needs at least, of the shapes of its state."""
    store, action = _bytes(state.store), env.action_space
    each = math.prod(action.shape) * np.dtype(action.dtype).itemsize + 4  # and the reward
    rollout = config.rollout_length * (_bytes(state.envs.obs) + config.num_envs * each)
    return Need(store, _bytes(state) - store, rollout, _bytes(state.learner))


def _refuse(config: Any, need: Need, held: int, together: int, several: str, memories: int = 1) -> None:
    """Refuse ``held`` runs of which ``together`` make a rollout at the same time, if they do not fit.

    Args:
        config: what asks for them.
        need: of one run.
        held: in one memory.
        together: of these.
        several: the fields that say how many there are, with their values; empty where it is one.
        memories: among which all that are asked for are divided.
    """
    there = available_bytes()
    parts = {
        "states": held * need.state,
        "stores": held * need.store,
        "rollouts": together * need.rollout,
    }
    if there is None or sum(parts.values()) <= there:
        return
    field, fits = _blamed(config, need, there, held, together, several, memories)
    told = ", ".join(f"{name} {_told(size)}" for name, size in parts.items() if size)
    raise ValueError(
        f"{field}: {held:,} {'run takes' if held == 1 else 'runs take'} {_told(sum(parts.values()))} at least ({told}), and "
        f"there are {_told(there)} of memory{fits}"
    )


def _blamed(
    config: Any, need: Need, there: int, held: int, together: int, several: str, memories: int
) -> tuple[str, str]:
    """The field that asks for most, with its value, and what would fit instead as a clause, where a number says it."""
    each, update = need.store + need.state, config.num_envs * config.rollout_length
    if several and each + need.rollout <= there:
        runs = (there - together * need.rollout) // each
        runs = runs if runs >= together else there // (each + need.rollout)
        total = f", {memories * runs:,} in all" if memories > 1 else ""
        return several, f", in which at most {runs:,} fit{total}"
    if need.store > need.state + need.rollout and hasattr(config.learner, "capacity"):
        # It is rounded up to whole rollouts, and what comes with it need not grow as it does.
        room = there - held * need.state - together * need.rollout
        room = config.learner.capacity * room // (held * need.store) - update
        field = f"learner.capacity is {config.learner.capacity:,}"
        return field, f", in which a capacity of at most {room:,} fits" if room > update else ""
    if 2 * need.learner > need.state + need.rollout and hasattr(config.learner, "network"):
        return f"learner.network is {config.learner.network}", ""
    slots = (there - held * (need.store + need.learner)) * config.num_envs
    slots //= max(held * (need.state - need.learner) + together * need.rollout, 1)
    field = f"num_envs is {config.num_envs:,} and rollout_length {config.rollout_length:,}"
    return field, f", in which a num_envs of at most {slots:,} fits" if slots > 0 else ""


def available_bytes() -> int | None:
    """Memory of a device; on CPU, that of the host, or of the part of it that this process may use. None if it is not
    known.
    """
    device = jax.local_devices()[0]
    if device.platform != "cpu":
        return (device.memory_stats() or {}).get("bytes_limit")
    try:
        found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    except (AttributeError, ValueError, OSError):  # not everywhere
        return None
    with contextlib.suppress(OSError, ValueError):  # there is none, or it says "max"
        found.append(int(_CGROUP.read_text()))
    return min(found)


def _bytes(tree: Any) -> int:
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(tree))


def _told(size: float) -> str:
    return f"{size / 2**30:,.3g} GiB"
