"""A replay buffer of sequences: every observation once, windows of any place in time, true ends.

Rows are time, columns are environments. Of stacked observations only the newest frame is kept, and stacks
are put together again when they are read; of successors only those that no row holds, which are those cut off by a
time limit. A window is what ``n``-step returns (Sutton 1988) and self-prediction (Schwarzer et al. 2021) read: the steps
``t .. t + ahead - 1`` of one environment and the observations around them, up to ``t + ahead``.

What a window may hold of another episode is told by its flags: nothing after the first end belongs to the start.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from jaxrl_evolve.experience.layout import Layout, check_capacity
from jaxrl_evolve.experience.priorities import Priorities, draw_by_priority, init_priorities, set_rows
from jaxrl_evolve.trajectory import Trajectory

_SHARE = 32
"""Of so many rows one may end by a time limit before successors are given up."""


@struct.dataclass
class Replay:
    """A ring of steps; leaves ``[rows, N, ...]``.

    Attributes:
        frame: the newest frame of every observation, in its dtype or as bytes.
        action: what was done.
        reward: float32.
        ending: int32, how the step ended its episode: 0 not at all, -1 it terminated (also if a time limit cut it in the same step), and
            ``c > 0`` it was the ``c``-th of its slot that a time limit cut. One array, since what is read of a large
            buffer is nowhere near, and each array is another wait for memory.
        finals: frames of the successors that time limits cut off, a ring of its own, leaves ``[some, N, ...]``.
        cut: int32 ``[N]``, episodes cut so far.
        cursor: the row that is written next, int32 scalar.
        filled: rows that hold something, int32 scalar.
        priorities: of starts of windows, or ``()``.
    """

    frame: Any
    action: Any
    reward: Float[Array, "rows N"]
    ending: Int[Array, "rows N"]
    finals: Any
    cut: Int[Array, " N"]
    cursor: Int[Array, ""]
    filled: Int[Array, ""]
    priorities: Any = ()


@struct.dataclass
class Window:
    """Stretches of experience; ``H`` is `Layout.ahead`.

    Attributes:
        frames: ``[B, before + H + 1, ...]``, of the observations ``t - before .. t + H``; at the first end by a time limit
            the true successor stands in place of what came after the reset.
        action: leaves ``[B, H, ...]``.
        reward: float32 ``[B, H]``.
        terminated: bool ``[B, H]``.
        ended: bool ``[B, H]``, in one way or the other.
        begin: int32 ``[B]``, the first of the frames that belongs to the episode of ``t``.
        known: bool ``[B]``; not where the first end is by a time limit and its successor is not held any more.
    """

    frames: Any
    action: Any
    reward: Float[Array, "B H"]
    terminated: Bool[Array, "B H"]
    ended: Bool[Array, "B H"]
    begin: Int[Array, " B"]
    known: Bool[Array, " B"]


class Drawn(NamedTuple):
    """What was drawn from a buffer.

    Attributes:
        window: leaves ``[B, ...]``.
        place: int32 ``[B]``, where each starts: its row times the number of environments, plus its environment.
        probability: float32 ``[B]``, with which each was drawn.
    """

    window: Window
    place: Int[Array, " B"]
    probability: Float[Array, " B"]


def init_replay(layout: Layout, example: Trajectory, capacity: int) -> Replay:
    """An empty buffer.

    Args:
        layout: what is static.
        example: a trajectory, or shapes and dtypes of one, leaves ``[T, N, ...]``.
        capacity: steps that it holds at least; rounded up to whole rollouts.

    Raises:
        ValueError: it is too small for a window, larger than int32 can count, or the observations are no stacks.
    """
    length, num_envs = example.reward.shape
    rows = check_capacity(layout, capacity, num_envs, length)
    # As many as a rollout can cut, so that none is written over another of its own rollout.
    some = max(length, rows // _SHARE)
    of = lambda x, count: jnp.zeros((count, *x.shape[1:]), x.dtype)
    frame = jax.eval_shape(lambda obs: _newest(layout, obs), example.obs)
    return Replay(
        frame=jax.tree.map(lambda x: of(x, rows), frame),
        action=jax.tree.map(lambda x: of(x, rows), example.action),
        reward=jnp.zeros((rows, num_envs), jnp.float32),
        ending=jnp.zeros((rows, num_envs), jnp.int32),
        finals=jax.tree.map(lambda x: of(x, some), frame),
        cut=jnp.zeros((num_envs,), jnp.int32),
        cursor=jnp.zeros((), jnp.int32),
        filled=jnp.zeros((), jnp.int32),
        priorities=init_priorities(rows, num_envs) if layout.prioritised else (),
    )


def add(layout: Layout, replay: Replay, trajectory: Trajectory, new: Any = 1.0) -> Replay:
    """The buffer with a rollout in place of its oldest rows; its cost does not depend on the buffer's size.

    Add before you draw: a buffer that is read after it has been written to is written to in place, one that is read
    before would have to be copied.

    Args:
        layout: what is static.
        replay: the buffer.
        trajectory: leaves ``[T, N, ...]``.
        new: the priority of what can be drawn from now on.
    """
    t, (length, num_envs) = trajectory, trajectory.reward.shape
    rows, some = replay.reward.shape[0], jax.tree.leaves(replay.finals)[0].shape[0]
    write = lambda held, new: jax.lax.dynamic_update_slice_in_dim(held, new, replay.cursor, 0)
    cut = t.truncated & ~t.terminated
    count = replay.cut + jnp.cumsum(cut, 0, dtype=jnp.int32)
    # A place beyond the last is dropped.
    place = jnp.where(cut, (count - 1) % some, some)
    slots = jnp.broadcast_to(jnp.arange(num_envs), place.shape)
    keep = lambda held, new: held.at[place, slots].set(new, mode="drop")
    added = replace(
        replay,
        frame=jax.tree.map(write, replay.frame, _newest(layout, t.obs)),
        action=jax.tree.map(write, replay.action, t.action),
        reward=write(replay.reward, t.reward),
        ending=write(replay.ending, jnp.where(t.terminated, -1, jnp.where(cut, count, 0))),
        finals=jax.tree.map(keep, replay.finals, _newest(layout, t.next_obs)),
        cut=replay.cut + cut.sum(0, dtype=jnp.int32),
        cursor=(replay.cursor + length) % rows,
        filled=jnp.minimum(replay.filled + length, rows),
    )
    if not layout.prioritised:
        return added
    return replace(added, priorities=_opened(layout, replay, length, new))


def _opened(layout: Layout, replay: Replay, length: int, new: Any) -> Priorities:
    """Priorities after so many rows more: what now has its future can be drawn; what has none yet, or has lost its past, can't."""
    rows = replay.reward.shape[0]
    number = replay.cursor + jnp.arange(-layout.ahead, length + layout.before)
    # Of a ring that was never full, the first rows have no past, and those before them are not there.
    there = (number >= layout.before) | (replay.filled == rows)
    opened = there & (number < replay.cursor + length - layout.ahead)
    value = jnp.where(opened, jnp.asarray(new, jnp.float32), 0.0)
    return set_rows(replay.priorities, number % rows, value)


def starts(layout: Layout, replay: Replay) -> Int[Array, ""]:
    """How many windows can be drawn, int32 scalar; 0 while there are too few rows."""
    rows = jnp.maximum(replay.filled - layout.before - layout.ahead, 0)
    return rows * replay.reward.shape[1]


def draw(layout: Layout, key: Array, replay: Replay, batch: int) -> Drawn:
    """Windows drawn with replacement, uniformly or by their priorities; of a buffer with too few rows, whatever is there."""
    rows, num_envs = replay.reward.shape
    many = jnp.maximum(starts(layout, replay), 1)
    key_any, key_priority = jax.random.split(key)
    index = jax.random.randint(key_any, (batch,), 0, many, jnp.int32)
    oldest = jnp.where(replay.filled == rows, replay.cursor, 0)
    row = (oldest + layout.before + index // num_envs) % rows
    place, probability = row * num_envs + index % num_envs, jnp.full((batch,), 1.0 / many, jnp.float32)
    if layout.prioritised:
        found, mass = draw_by_priority(replay.priorities, key_priority, batch)
        # Where nothing has a priority, all have the same.
        place = jnp.where(mass > 0, found, place)
        probability = jnp.where(mass > 0, mass, probability)
    return Drawn(read(layout, replay, place), place, probability)


def read(layout: Layout, replay: Replay, place: Int[Array, " B"]) -> Window:
    """The windows that start there."""
    rows, num_envs = replay.reward.shape
    row, slot = place // num_envs, place % num_envs
    before, ahead = layout.before, layout.ahead
    around = (row[:, None] + jnp.arange(-before, ahead + 1)) % rows
    steps = around[:, before : before + ahead]
    at = lambda x, rows: x[rows, slot[:, None]]
    ending = at(replay.ending, steps)
    ended = ending != 0
    first = ended.argmax(1)
    # The first end by a time limit, counted from 0; below where the first end is another, or there is none.
    number = jnp.take_along_axis(ending, first[:, None], 1)[:, 0] - 1
    some = jax.tree.leaves(replay.finals)[0].shape[0]
    known = (number < 0) | (replay.cut[slot] - number <= some)
    frames = jax.tree.map(lambda x: at(x, around), replay.frame)
    # Where nothing was cut, what lies beyond the window is set.
    after = jnp.where(number >= 0, before + first + 1, before + ahead + 1)
    batch = jnp.arange(place.shape[0])
    frames = jax.tree.map(
        lambda x, held: x.at[batch, after].set(held[number % some, slot], mode="drop"), frames, replay.finals
    )
    past = at(replay.ending, around[:, :before]) != 0 if before else jnp.zeros((place.shape[0], 0), bool)
    begin = jnp.max(jnp.where(past, jnp.arange(1, before + 1), 0), axis=1, initial=0).astype(jnp.int32)
    return Window(
        frames=frames,
        action=jax.tree.map(lambda x: at(x, steps), replay.action),
        reward=at(replay.reward, steps),
        terminated=ending < 0,
        ended=ended,
        begin=begin,
        known=known,
    )


def observation(layout: Layout, window: Window, offset: Int[Array, " B"] | int) -> Any:
    """The observation ``offset`` steps after the start, leaves ``[B, ...]``, as the environment showed it.

    After the first end it is of no episode in particular.
    """
    stack = layout.stack
    place = jnp.asarray(offset, jnp.int32)[..., None] + jnp.arange(stack.frames)
    place = jnp.broadcast_to(place, (window.begin.shape[0], stack.frames))
    own = place >= window.begin[:, None]

    def whole(frames: Array) -> Array:
        batch = jnp.arange(frames.shape[0])[:, None]
        if stack.frames == 1:
            return _from_levels(layout, frames[batch, place][:, 0])
        picked = _from_levels(layout, frames[batch, jnp.maximum(place, window.begin[:, None])])
        if stack.start == "zeros":
            picked = jnp.where(own.reshape((*own.shape, *[1] * (frames.ndim - 2))), picked, 0)
        # [B, frames, ..., C] to [B, ..., frames * C]
        picked = jnp.moveaxis(picked, 1, -2)
        return picked.reshape((*picked.shape[:-2], -1))

    return jax.tree.map(whole, window.frames)


def _newest(layout: Layout, obs: Any) -> Any:
    """Of stacked observations the newest frame, as it is kept."""
    stack = layout.stack
    if stack.frames > 1:
        if obs.shape[-1] % stack.frames:
            raise ValueError(f"observations of {obs.shape[2:]} are no stack of {stack.frames} frames")
        obs = obs[..., -(obs.shape[-1] // stack.frames) :]
    return jax.tree.map(lambda x: _to_levels(layout, x), obs)


def _to_levels(layout: Layout, x: Array) -> Array:
    if layout.levels is None:
        return x
    low, high = layout.levels
    return jnp.round((jnp.clip(x, low, high) - low) * 255.0 / (high - low)).astype(jnp.uint8)


def _from_levels(layout: Layout, x: Array) -> Array:
    if layout.levels is None:
        return x
    low, high = layout.levels
    return low + x.astype(jnp.float32) * (high - low) / 255.0
