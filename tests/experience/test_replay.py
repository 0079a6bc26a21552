"""The replay buffer against a list, its draws, and its writes, which copy nothing."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_evolve import PolicyOutput, Trajectory
from jaxrl_evolve.experience.replay import add, init_replay, rows_for, sample

T, N = 3, 2


def rollout(start: int) -> Trajectory:
    """Steps numbered from ``start``, one number for each step of each environment."""
    number = start + jnp.arange(T * N, dtype=jnp.int32).reshape(T, N)
    flag = number % 5 == 0
    obs = jnp.stack([number, number], -1).astype(jnp.uint8)
    policy = PolicyOutput(jnp.zeros((T, N), jnp.float32))
    return Trajectory(obs, number, number.astype(jnp.float32), flag, ~flag, flag, obs + 1, policy)


@pytest.mark.parametrize("capacity", [1, 6, 7, 18, 20])
def test_it_holds_the_newest_rollouts_in_order_of_time(capacity: int):
    replay = init_replay(rollout(0), capacity)
    rows = rows_for(capacity, N, T)
    assert replay.steps.reward.shape == (rows, N)
    assert rows % T == 0 and capacity <= rows * N < capacity + T * N
    assert replay.steps.obs.dtype == jnp.uint8
    kept: list[np.ndarray] = []
    write = jax.jit(add, donate_argnums=0)
    for i in range(9):
        replay = write(replay, rollout(6 * i))
        kept = [*kept, *np.arange(6 * i, 6 * i + 6).reshape(T, N)][-rows:]
        assert int(replay.size) == len(kept) * N
        # From the oldest row on: the ring begins at the cursor once it is full.
        begin = int(replay.cursor) if len(kept) == rows else 0
        held = np.roll(np.asarray(replay.steps.action), -begin, axis=0)[: len(kept)]
        np.testing.assert_array_equal(held, kept)
    flags = np.asarray(replay.steps.action) % 5 == 0
    np.testing.assert_array_equal(replay.steps.terminated, flags)
    np.testing.assert_array_equal(replay.steps.next_obs, replay.steps.obs + 1)


def test_draws_are_whole_transitions_spread_evenly_over_what_is_held():
    replay = init_replay(rollout(0), 18)
    for i in (0, 1):  # two of three rollouts: nothing may come from the empty rows
        replay = add(replay, rollout(6 * i))
    draws = 24_000
    batch = jax.jit(sample, static_argnums=2)(jax.random.key(0), replay, draws)
    np.testing.assert_array_equal(batch.obs[:, 0], batch.action)
    np.testing.assert_array_equal(batch.next_obs[:, 1], batch.action + 1)
    np.testing.assert_array_equal(batch.reward, batch.action)
    counts = np.bincount(np.asarray(batch.action), minlength=12)
    assert counts.size == 12
    # Twelve counts of 2,000 on average: a deviation of 5 standard errors is one in millions.
    assert abs(counts - draws / 12).max() < 5 * np.sqrt(draws / 12)


def test_more_than_can_be_counted_is_refused():
    shapes = jax.eval_shape(lambda: rollout(0))
    with pytest.raises(ValueError, match="capacity is 2147483647, in whole rollouts 2147483652; it must"):
        init_replay(shapes, 2**31 - 1)


def test_a_loop_that_adds_and_samples_copies_no_storage():
    rows = 1_024

    def update(i: Any, carry: Any) -> Any:
        replay, total = carry
        replay = add(replay, rollout(0))
        return replay, total + sample(jax.random.fold_in(jax.random.key(0), i), replay, 4).reward.sum()

    def loop(replay: Any, count: Any) -> Any:
        return jax.lax.fori_loop(0, count, update, (replay, jnp.float32(0)))

    replay = init_replay(rollout(0), rows * N)
    compiled = jax.jit(loop, donate_argnums=0).lower(replay, jnp.int32(3)).compile().as_text() or ""
    storage = rows_for(rows * N, N, T)
    copies = re.findall(rf"\[{storage},{N}[^\]]*\]\S* copy\(", compiled)
    assert f"[{storage},{N},2]" in compiled
    assert not copies
