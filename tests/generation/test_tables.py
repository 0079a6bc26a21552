"""Counts on the device against counts by hand, intervals, and mixtures that are exact."""

from __future__ import annotations

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_evolve.generation.feedback import Rate, feedback_of
from jaxrl_evolve.generation.intervals import wilson
from jaxrl_evolve.generation.mixture import account_of, apportioned, dealt
from jaxrl_evolve.generation.skill_table import Ends, empty_table, skill_shares, success_shares, with_rollout


@pytest.mark.parametrize(
    ("won", "episodes", "low", "high"),
    [(0, 0, 0, 1), (0, 10, 0, 0.2775), (10, 10, 0.7225, 1), (5, 10, 0.2366, 0.7634)],
)
def test_intervals_are_wilsons_and_nothing_seen_is_not_nothing_done(won, episodes, low, high):
    share, *interval = wilson(np.asarray(won), np.asarray(episodes))
    assert interval == pytest.approx([low, high], abs=1e-4)
    assert share == (won / episodes if episodes else 0.5)
    assert Rate.of(won, episodes).width == pytest.approx(high - low, abs=2e-4)


def rollout(rng, specs, skills, shape=(7, 5)):
    ended = rng.random(shape) < 0.4
    return rng.integers(-2, specs + 2, shape), {
        "ended": ended,
        "cut": rng.random(shape) < 0.5,
        "won": rng.random(shape) < 0.5,
        "length": rng.integers(1, 100, shape),
        "returned": np.where(rng.random(shape) < 0.2, np.nan, 2.0).astype(np.float32),
        "skills": rng.random((*shape, skills)) < 0.5,
        "granted": rng.random((*shape, skills)) < 0.3,
    }


def test_a_table_counts_what_a_loop_counts():
    rng, specs, skills = np.random.default_rng(0), 4, 3
    count = jax.jit(with_rollout)
    table = empty_table(specs, skills)
    want = {name: np.zeros_like(np.asarray(x)) for name, x in vars(table).items()}
    for _ in range(3):
        number, ends = rollout(rng, specs, skills)
        table = count(
            table, jnp.asarray(number, jnp.int32), Ends(**{k: jnp.asarray(v) for k, v in ends.items()})
        )
        for t, n in np.ndindex(number.shape):
            s = number[t, n]
            if not 0 <= s < specs:
                continue
            want["steps"][s] += 1
            if ends["ended"][t, n]:
                want["episodes"][s] += 1
                want["cut"][s] += ends["cut"][t, n]
                want["won"][s] += ends["won"][t, n]
                want["lengths"][s] += ends["length"][t, n]
                want["returns"][s] += np.nan_to_num(ends["returned"][t, n])
                want["done"][s] += ends["skills"][t, n] & ~ends["granted"][t, n]
    for name, value in vars(table).items():
        np.testing.assert_array_equal(value, want[name], err_msg=name)
    assert count._cache_size() == 1
    won = success_shares(table)
    np.testing.assert_allclose(won.share, want["won"] / want["episodes"], rtol=1e-6)
    assert (won.low <= won.share).all() and (won.share <= won.high).all() and won.share.dtype == jnp.float32
    assert skill_shares(empty_table(2, 3)).high.tolist() == [[1.0] * 3] * 2
    account = account_of(table)
    assert account.original_steps == want["steps"][0] / want["steps"].sum()
    assert (account + account).original_episodes == want["episodes"][0] / want["episodes"].sum()


def by_largest_remainders(shares, slots):
    total = sum(shares)
    quota = [share * slots / total for share in shares]
    counts = [int(q) for q in quota]
    order = sorted(range(len(shares)), key=lambda i: (-(quota[i] - counts[i]), i))
    for i in order[: slots - sum(counts)]:
        counts[i] += 1
    return counts


def test_slots_are_shared_out_exactly():
    rng, share = np.random.default_rng(1), jax.jit(apportioned, static_argnums=1)
    for slots in (1, 7, 64):
        for _ in range(10):
            weights = [Fraction(int(x)) for x in rng.integers(0, 8, 6)]
            weights[int(rng.integers(6))] += 1
            counts = share(jnp.asarray([float(w) for w in weights], jnp.float32), slots)
            assert counts.tolist() == by_largest_remainders(weights, slots)
    # A tenth of ten is one, in float32, too; nobody without a share gets a slot.
    assert share(jnp.full((10,), 0.1, jnp.float32), 10).tolist() == [1] * 10
    assert share(jnp.asarray([0.0, 1.0, 0.0], jnp.float32), 5).tolist() == [0, 5, 0]
    assert dealt(jnp.asarray([2, 0, 3], jnp.int32), 5).tolist() == [0, 0, 2, 2, 2]


def test_trends_are_told_where_both_cycles_were_seen():
    before = feedback_of({"walk": (10, 2), "climb": (0, 0)}, {})
    now = feedback_of({"walk": (10, 5), "climb": (10, 5)}, {"a": (4, 1)}, before)
    assert now.skills["walk"].trend == pytest.approx(0.3) and now.skills["climb"].trend == 0.0
    assert now.specs["a"].mean == 0.25 and now.rate("nothing").episodes == 0
