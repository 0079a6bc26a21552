"""Estimates over meta-seeds and their runs against slow loops and the spread of theory."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from jaxrl_evolve.results import meta_seeds as m
from jaxrl_evolve.results import statistics as s


def _slow_two_level(scores: np.ndarray, shared: bool, resamples: int, seed: int) -> np.ndarray:
    """IQMs of resamples, drawn one by one."""
    rng = np.random.default_rng(seed)
    metas, runs, _ = scores.shape
    found = []
    for _ in range(resamples):
        rows = rng.integers(0, metas, metas)
        once = rng.integers(0, runs, runs)
        drawn = [scores[row, once if shared else rng.integers(0, runs, runs)] for row in rows]
        found.append(stats.trim_mean(np.concatenate(drawn).reshape(-1), 0.25))
    return np.array(found)


@pytest.mark.parametrize("shared", [True, False])
def test_two_levels_are_those_of_a_slow_loop(shared):
    scores = np.random.default_rng(0).normal(size=(4, 5, 2)) + np.arange(4.0)[:, None, None]
    found = m.two_level_estimate(scores, shared=shared, resamples=40_000, seed=1)
    slow = _slow_two_level(scores, shared, 8_000, 2)
    assert found.value == s.iqm(scores.reshape(20, 2))
    np.testing.assert_allclose(found[1:], np.quantile(slow, [0.025, 0.975]), atol=0.06)


@pytest.mark.parametrize("shared", [True, False])
def test_two_levels_of_a_mean_have_the_spread_of_theory(shared):
    """Scores ``a_i + b_j``: a resampled mean has variance ``var(a) / M + var(b) / S``, or ``/ (M S)`` if not shared."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=6), 2.0 * rng.normal(size=9)
    drawn = []

    def spy(x: np.ndarray):
        drawn.append(np.atleast_1d(s.mean(x)))
        return s.mean(x)

    m.two_level_estimate(a[:, None] + b, spy, shared=shared, resamples=60_000)
    wanted = a.var() / 6 + b.var() / (9 if shared else 54)
    assert np.concatenate(drawn[1:]).var() == pytest.approx(wanted, rel=0.03)


def test_one_meta_seed_leaves_the_runs():
    runs = np.random.default_rng(4).normal(size=12)
    two = m.two_level_estimate(runs[None], resamples=40_000)
    np.testing.assert_allclose(two[1:], s.stratified_bootstrap(runs, resamples=40_000), atol=0.03)
    assert np.isnan(m.two_level_estimate([[1.0]])[1:]).all()
    assert np.isnan(m.two_level_estimate([[1.0], [2.0]])[1:]).all()
    assert np.isfinite(m.two_level_estimate([[1.0], [2.0], [3.0]])[1:]).all()


def test_paired_improvement_compares_the_same_run_alone():
    """Runs differ far more than sides do: only pairing tells who is better."""
    luck = 100.0 * np.arange(8.0)
    x, y = luck + 1.0, luck
    assert m.paired_improvement([x], [y]).value == 1.0
    assert s.probability_of_improvement(x, y).value < 0.6
    assert m.paired_improvement([x], [x]).value == 0.5
    both = m.paired_improvement([x, y], [y, x])  # each with each: wins, two ties, a loss
    assert both.value == 0.5
    assert both.low < 0.5 < both.high
    same = m.paired_improvement([x, y + 2.0], [y, x], same_meta_seeds=True)
    assert same == s.Estimate(1.0, 1.0, 1.0)


def test_paired_improvement_has_the_interval_of_a_slow_loop():
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(3, 6, 2)) + 0.3, rng.normal(size=(4, 6, 2))
    found = m.paired_improvement(x, y, resamples=40_000)
    wins = [[[(x[i, r] > y[j, r]).mean() for r in range(6)] for j in range(4)] for i in range(3)]
    assert found.value == pytest.approx(np.mean(wins))
    slow = []
    for _ in range(8_000):
        rows, columns, runs = (rng.integers(0, n, n) for n in (3, 4, 6))
        slow.append(np.array(wins)[np.ix_(rows, columns, runs)].mean())
    np.testing.assert_allclose(found[1:], np.quantile(slow, [0.025, 0.975]), atol=0.03)


def test_two_levels_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match=r"scores have shape \(3,\); they must be \[meta-seeds, runs\]"):
        m.two_level_estimate([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="both need the same runs and tasks"):
        m.paired_improvement(np.zeros((2, 3)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match="both need the same meta-seeds, runs and tasks"):
        m.paired_improvement(np.zeros((2, 3)), np.zeros((3, 3)), same_meta_seeds=True)
    lost = m.paired_improvement([[np.nan, 1.0]], [[0.0, 0.0]], non_finite="worst")
    assert lost.value == 0.5  # what diverged loses
