"""A uniform replay buffer (Lin 1992; Mnih et al. 2015) as pure functions over one pytree: a ring of time steps.

Rows are time, columns are environments, so what one environment lived through stays in order. A rollout is written over
the oldest rows in place. Observations keep their dtypes: frames of uint8 and boards of bool take no more than they must.
Successors are stored as they were seen, before any reset, so that a time limit can be bootstrapped through.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from jaxrl_evolve.trajectory import Trajectory

_MOST = 2**31 - 1  # rows and slots are drawn as one int32


@struct.dataclass
class Transitions:
    """Steps of environments; leaves ``[rows, N, ...]`` in a buffer, ``[batch, ...]`` in a batch.

    Attributes:
        obs: observations.
        action: what was done.
        reward: float32.
        terminated: bool; then the successor has no value. A step that a time limit cut short is like any other.
        next_obs: the true successors.
    """

    obs: Any
    action: Any
    reward: Float[Array, ...]
    terminated: Bool[Array, ...]
    next_obs: Any

    @classmethod
    def of(cls, trajectory: Trajectory) -> Transitions:
        """Those of a rollout, leaves ``[T, N, ...]``."""
        t = trajectory
        return cls(t.obs, t.action, t.reward, t.terminated, t.next_obs)


@struct.dataclass
class Replay:
    """A ring of transitions.

    Attributes:
        steps: leaves ``[rows, N, ...]``.
        cursor: the row that is written next, int32 scalar.
        filled: rows that hold something, int32 scalar.
    """

    steps: Transitions
    cursor: Int[Array, ""]
    filled: Int[Array, ""]

    @property
    def size(self) -> Int[Array, ""]:
        """Transitions held, int32 scalar."""
        return self.filled * self.steps.reward.shape[1]


def rows_for(capacity: int, num_envs: int, rollout_length: int) -> int:
    """Rows of a buffer for at least ``capacity`` transitions: whole rollouts, so that none is ever split.

    Raises:
        ValueError: there are more transitions than int32 can count.
    """
    rollouts = -(-capacity // (num_envs * rollout_length))
    rows = rollouts * rollout_length
    if rows * num_envs > _MOST:
        raise ValueError(
            f"capacity is {capacity}, in whole rollouts {rows * num_envs}; it must be at most {_MOST}"
        )
    return rows


def init_replay(example: Trajectory, capacity: int) -> Replay:
    """An empty buffer.

    Args:
        example: a trajectory, or shapes and dtypes of one, leaves ``[T, N, ...]``.
        capacity: transitions that it holds at least; rounded up to whole rollouts.

    Raises:
        ValueError: there are more than int32 can count.
    """
    length, num_envs = example.reward.shape
    rows = rows_for(capacity, num_envs, length)
    steps = jax.tree.map(lambda x: jnp.zeros((rows, *x.shape[1:]), x.dtype), Transitions.of(example))
    return Replay(steps, jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))


def add(replay: Replay, trajectory: Trajectory) -> Replay:
    """The buffer with a rollout in place of its oldest rows.

    Add before you sample: a buffer that is read after it has been written to is written to in place, one that is read
    before would have to be copied.
    """
    length, rows = trajectory.reward.shape[0], replay.steps.reward.shape[0]
    write = lambda held, new: jax.lax.dynamic_update_slice_in_dim(held, new, replay.cursor, 0)
    return Replay(
        jax.tree.map(write, replay.steps, Transitions.of(trajectory)),
        (replay.cursor + length) % rows,
        jnp.minimum(replay.filled + length, rows),
    )


def sample(key: Array, replay: Replay, batch: int) -> Transitions:
    """Transitions drawn uniformly, with replacement, from those held; leaves ``[batch, ...]``."""
    num_envs = replay.steps.reward.shape[1]
    # The filled rows are the first ones until the ring is full, then all of them.
    index = jax.random.randint(key, (batch,), 0, replay.size, jnp.int32)
    row, slot = index // num_envs, index % num_envs
    return jax.tree.map(lambda x: x[row, slot], replay.steps)
