"""Meetings of two policies against counting and the formula of a two-sample U-statistic; reservoirs and files."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import program
from same import assert_equal

from jaxrl_evolve import random
from jaxrl_evolve.learners.snapshots import Snapshots, offer
from jaxrl_evolve.preferences import head_to_head
from jaxrl_evolve.preferences.count import Count
from jaxrl_evolve.preferences.head_to_head import interval
from jaxrl_evolve.preferences.oracle import from_advantage
from jaxrl_evolve.preferences.oracles import flip, max_reward
from jaxrl_evolve.preferences.stored import read_summaries, write_summaries
from jaxrl_evolve.preferences.summary import random_summaries

meet = program(head_to_head.meet, "oracle", "soft")


def of_returns(*returns: float) -> Any:
    return replace(random_summaries(random.key(0), len(returns)), total=jax.device_put(np.float32(returns)))


def test_a_meeting_counts_all_pairs_and_leaves_out_what_is_no_number():
    found = meet(max_reward(), random.key(0), of_returns(1, 3, np.nan, 2), of_returns(0, 2, np.inf))
    wins = np.array([[1, 0], [1, 1], [1, 0.5]])
    assert float(found.rate) == pytest.approx(wins.mean()) and int(found.queries) == 6
    variance = wins.mean(1).var(ddof=1) / 3 + wins.mean(0).var(ddof=1) / 2
    assert float(found.error) == pytest.approx(variance**0.5)
    assert interval(0.9, 0.1) == pytest.approx((0.704, 1.0))


@pytest.mark.parametrize(("episodes", "low"), [(2, 0.347), (128, 0.979)])
def test_who_won_everything_may_win_less_than_that(episodes: int, low: float):
    """All pairs alike say nothing of how much episodes vary: of two equals that happens now and then."""
    ours, theirs = of_returns(*range(1, episodes + 1)), of_returns(*[0] * episodes)
    for one, other, rate in ((ours, theirs, 1.0), (theirs, ours, 0.0)):
        found = meet(max_reward(), random.key(0), one, other)
        assert float(found.rate) == rate
        ends = interval(rate, float(found.error))
        assert ends == pytest.approx((low, 1.0) if rate else (0.0, 1 - low), abs=1e-3)


def test_who_was_compared_with_nobody_says_nothing_of_how_much_it_varies():
    told = lambda a, b, _: jnp.where(
        jnp.minimum(a.total, b.total) < 0, jnp.nan, 0.2 * jnp.sign(a.total - b.total)
    )
    found = meet(
        from_advantage("some", told), random.key(0), of_returns(-1, 2, -1, 3), of_returns(1, 1, 1), soft=True
    )
    assert float(found.rate) == pytest.approx(0.6) and int(found.queries) == 6
    assert float(found.error) == pytest.approx(0.0, abs=1e-6)


def test_hard_labels_have_the_mean_of_the_probabilities():
    one, other = of_returns(*range(1, 101)), of_returns(*[0] * 100)
    oracle = flip(max_reward(), 0.3)
    soft = meet(oracle, random.key(0), one, other, soft=True)
    hard = meet(oracle, random.key(0), one, other)
    assert float(soft.rate) == pytest.approx(0.7) and float(soft.error) == pytest.approx(0.0, abs=1e-6)
    assert float(hard.rate) == pytest.approx(0.7, abs=4 * (0.21 / 10_000) ** 0.5)


def test_a_reservoir_keeps_each_policy_alike_often():
    """Ten policies, of which four are kept: each with probability 0.4."""

    def kept(key: Any) -> Any:
        snapshots = Snapshots.of({"w": jnp.float32(-1)}, 4)
        for i, k in enumerate(jax.random.split(key, 10)):
            snapshots = offer(k, snapshots, {"w": jnp.float32(i)})
        return snapshots

    found = program(lambda key: jax.vmap(kept)(jax.random.split(key, 2_000)))(random.key(0))
    assert (found.seen == 10).all() and (found.actor["w"] >= 0).all()
    share = np.bincount(np.asarray(found.actor["w"], int).ravel(), minlength=10) / 2_000
    np.testing.assert_allclose(share, 0.4, atol=4.5 * (0.24 / 2_000) ** 0.5)


def test_a_count_of_queries_stays_exact():
    many = jax.jit(
        lambda: jax.lax.fori_loop(0, 1_500, lambda i, c: c.plus(jnp.float32(32_640)), Count.none())
    )()
    assert (int(many.high), int(many.low)) == divmod(48_960_000, 2**24)
    assert float(many.total) == 48_960_000


def test_summaries_come_back_from_their_file(tmp_path: Any):
    phi = random_summaries(random.key(1), 5)
    path = write_summaries(tmp_path, phi)
    assert_equal(read_summaries(path), phi)
    assert write_summaries(tmp_path, phi) == path != write_summaries(tmp_path, of_returns(1, 2, 3))
    with pytest.raises(ValueError, match=r"cannot read the summaries .*none.npz: No such file"):
        read_summaries(tmp_path / "none.npz")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="cannot be read: it is truncated"):
        read_summaries(path)
    np.savez(tmp_path / "other.npz", total=np.zeros(3))
    with pytest.raises(ValueError, match="is no file of summaries: it has no early"):
        read_summaries(tmp_path / "other.npz")
