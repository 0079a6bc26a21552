"""Priorities in two levels of sums, against one flat list."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import program

from jaxrl_evolve.experience import priorities as of_priorities

init_priorities = program(of_priorities.init_priorities, "rows", "num_envs")
set_rows, set_places = program(of_priorities.set_rows), program(of_priorities.set_places)
draw_by_priority = program(of_priorities.draw_by_priority, "batch")


@pytest.mark.parametrize(("rows", "num_envs"), [(1, 1), (37, 1), (50, 3), (4, 30)])
def test_draws_follow_priorities(rows: int, num_envs: int):
    rng = np.random.default_rng(0)
    priorities, flat = init_priorities(rows, num_envs), np.zeros((rows, num_envs), np.float32)
    for _ in range(5):
        row = rng.choice(rows, min(rows, 7), replace=False)
        value = rng.random(row.size).astype(np.float32)
        priorities = set_rows(priorities, row.astype(np.int32), value)
        flat[row] = value[:, None]
        place = rng.integers(rows * num_envs, size=9)
        value = rng.random(9).astype(np.float32) * (rng.random(9) < 0.7 if rows > 1 else 1.0)
        priorities = set_places(priorities, place.astype(np.int32), value.astype(np.float32))
        for p, v in zip(place, value, strict=True):  # of a place that comes twice the last counts
            flat[p // num_envs, p % num_envs] = v
    leaves = priorities.leaves.reshape(-1, num_envs)
    np.testing.assert_array_equal(leaves[:rows], flat)
    assert not leaves[rows:].any()
    np.testing.assert_allclose(priorities.sums.sum(), flat.sum(), rtol=1e-5)
    draws = 20_000
    place, probability = draw_by_priority(priorities, jax.random.key(1), draws)
    expected = flat.reshape(-1) / flat.sum()
    np.testing.assert_allclose(probability, expected[place], rtol=1e-5)
    share = np.bincount(place, minlength=flat.size) / draws
    assert not share[expected == 0].any()
    # Five standard errors of each share.
    assert (np.abs(share - expected) <= 5 * np.sqrt(expected / draws) + 1e-9).all()


def test_what_is_no_number_changes_nothing():
    before = set_rows(init_priorities(4, 1), np.arange(4), np.arange(1, 5, dtype=np.float32))
    bad = np.array([np.nan, np.inf, -np.inf], np.float32)
    after = set_places(before, np.array([0, 1, 2], np.int32), bad)
    jax.tree.map(np.testing.assert_array_equal, after, before)
    # Nor does it hide what was set in the same batch.
    after = set_places(before, np.array([0, 0], np.int32), np.array([7.0, np.nan], np.float32))
    assert float(after.leaves.reshape(-1)[0]) == float(after.highest) == 7.0


def test_without_priorities_nothing_is_probable():
    place, probability = draw_by_priority(init_priorities(9, 2), jax.random.key(0), 5)
    assert not probability.any() and (place >= 0).all() and (place < 18).all()


def test_sums_do_not_drift():
    def step(i, priorities):
        place = jax.random.randint(jax.random.fold_in(jax.random.key(0), i), (32,), 0, 1_000, jnp.int32)
        return of_priorities.set_places(
            priorities, place, jnp.float32(10.0) ** (place % 7).astype(jnp.float32)
        )

    priorities = program(lambda start: jax.lax.fori_loop(0, 3_000, step, start))(init_priorities(1_000, 1))
    np.testing.assert_array_equal(priorities.sums, priorities.leaves.sum((1, 2)))
