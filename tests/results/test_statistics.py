"""Estimators against their definitions, brute-force enumeration and scipy."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from jaxrl_evolve.results import resampling
from jaxrl_evolve.results import statistics as s


def test_point_estimates_by_hand():
    runs = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 1000.0]
    assert s.iqm(runs) == 3.5  # two cut at each end
    assert s.mean(runs) == pytest.approx(127.625)
    assert s.median(runs) == 3.5
    tasks = np.array([[0.0, 10.0, 0.5], [2.0, 30.0, 0.7]])
    assert s.median(tasks) == 1.0  # of the task means 1, 20, 0.6
    assert (
        s.median([[0.0, 1.0, 4.0], [0.0, 1.0, 5.0], [9.0, 1.0, 6.0]]) == 3.0
    )  # means 3, 1, 5; medians 0, 1, 5
    assert s.mean(tasks) == pytest.approx(43.2 / 6)
    assert s.optimality_gap(tasks) == pytest.approx(1 - (0 + 1 + 1 + 1 + 0.5 + 0.7) / 6)
    assert s.optimality_gap([2.0, 8.0], gamma=5.0) == pytest.approx(5 - (2 + 5) / 2)


def test_iqm_pools_runs_and_tasks():
    """Not the mean over tasks of per-task values: the pooled quarter at each end goes."""
    scores = np.array([[0.0, 100.0], [1.0, 101.0], [2.0, 102.0], [3.0, 103.0]])
    assert s.iqm(scores) == pytest.approx((2 + 3 + 100 + 101) / 4)
    assert s.iqm([1.0, 2.0, 30.0]) == pytest.approx(11.0)  # a quarter of three rounds down to none
    assert s.iqm([7.0]) == 7.0


@pytest.mark.parametrize("statistic", [s.mean, s.median, s.iqm, s.optimality_gap])
def test_leading_axes_are_batches(statistic):
    batch = np.random.default_rng(0).normal(size=(6, 5, 3))
    np.testing.assert_allclose(statistic(batch), [statistic(x) for x in batch])
    one = batch[:, :, :1]
    np.testing.assert_allclose(statistic(one), [statistic(x[:, 0]) for x in one])


@pytest.mark.parametrize("statistic", [s.mean, s.median, s.iqm])
def test_interval_is_that_of_all_possible_resamples(statistic):
    """Four runs have 256 equally likely resamples: their exact quantiles are the target."""
    runs = np.array([0.3, 1.9, 2.2, 7.1])
    everything = np.array([statistic(np.array(c)) for c in itertools.product(runs, repeat=4)])
    low, high = s.stratified_bootstrap(runs, statistic, confidence=0.9, resamples=200_000, seed=1)
    lower, upper = np.quantile(everything, [0.045, 0.055]), np.quantile(everything, [0.945, 0.955])
    assert lower[0] - 1e-9 <= low <= lower[1] + 1e-9
    assert upper[0] - 1e-9 <= high <= upper[1] + 1e-9


def test_interval_agrees_with_scipy():
    runs = np.random.default_rng(2).normal(size=20)
    found = s.stratified_bootstrap(runs, s.mean, resamples=50_000)
    theirs = stats.bootstrap(
        (runs,), np.mean, method="percentile", n_resamples=50_000, rng=0
    ).confidence_interval
    np.testing.assert_allclose(found, theirs, atol=0.02)


def test_resampling_is_within_tasks_and_independent_between_them():
    levels = np.array([0.0, 1000.0]) + np.zeros((5, 2))
    assert s.stratified_bootstrap(levels, s.mean) == (500.0, 500.0)  # pooled resampling would spread
    noise = np.random.default_rng(3).normal(size=(10, 1)) * np.ones((1, 16))
    low, high = s.stratified_bootstrap(noise, s.mean)
    one_low, one_high = s.stratified_bootstrap(noise[:, 0], s.mean)
    assert (high - low) == pytest.approx((one_high - one_low) / 4, rel=0.1)  # 1 / sqrt(16)


def test_coverage_is_about_nominal():
    """Of 200 intervals for the mean of 30 normal runs, nearly 95 % contain the truth."""
    rng = np.random.default_rng(4)
    hits = 0
    for i in range(200):
        low, high = s.stratified_bootstrap(rng.normal(size=30), s.mean, resamples=500, seed=i)
        hits += low <= 0 <= high
    assert 178 <= hits <= 199


def test_seeds_chunks_and_single_runs(monkeypatch):
    scores = np.random.default_rng(5).normal(size=(6, 4))
    assert s.stratified_bootstrap(scores, seed=3) == s.stratified_bootstrap(scores, seed=3)
    assert s.stratified_bootstrap(scores, seed=3) != s.stratified_bootstrap(scores, seed=4)
    whole = s.stratified_bootstrap(scores)
    monkeypatch.setattr(resampling, "_CHUNK", 1000)
    np.testing.assert_allclose(s.stratified_bootstrap(scores), whole)
    assert np.isnan(s.stratified_bootstrap([3.0])).all()
    single = s.estimate([3.0])
    assert single.value == 3.0
    assert np.isnan(single[1:]).all()


def test_aggregate_holds_all_four():
    scores = np.random.default_rng(6).uniform(0, 1.2, size=(8, 3))
    found = s.aggregate(scores, resamples=500)
    assert (found.runs, found.tasks) == (8, 3)
    for name in ("mean", "median", "iqm", "optimality_gap"):
        value, low, high = getattr(found, name)
        assert value == pytest.approx(getattr(s, name)(scores))
        assert low < value < high


def test_probability_of_improvement_counts_pairs():
    rng = np.random.default_rng(7)
    x, y = rng.integers(0, 6, (7, 3)).astype(float), rng.integers(0, 5, (4, 3)).astype(float)
    found = s.probability_of_improvement(x, y, resamples=2000)
    wins = [[(a > b) + 0.5 * (a == b) for a in x[:, k] for b in y[:, k]] for k in range(3)]
    assert found.value == pytest.approx(np.mean(wins))
    u = [stats.mannwhitneyu(x[:, k], y[:, k]).statistic / 28 for k in range(3)]
    assert found.value == pytest.approx(np.mean(u))
    assert s.probability_of_improvement(y, x).value == pytest.approx(1 - found.value)
    assert found.low < found.value < found.high


def test_probability_of_improvement_interval_against_direct_resampling():
    rng = np.random.default_rng(8)
    x, y = rng.normal(0.5, 1, 8), rng.normal(0, 1, 6)
    found = s.probability_of_improvement(x, y, resamples=20_000)
    direct = []
    for _ in range(20_000):
        a, b = rng.choice(x, 8), rng.choice(y, 6)
        direct.append(np.mean(a[:, None] > b) + 0.5 * np.mean(a[:, None] == b))
    np.testing.assert_allclose(found[1:], np.quantile(direct, [0.025, 0.975]), atol=0.03)


def test_probability_of_improvement_resamples_both_sides_of_each_task():
    x, y = np.random.default_rng(9).normal(size=(2, 8, 1))
    one = s.probability_of_improvement(x, y)
    many = s.probability_of_improvement(np.tile(x, 16), np.tile(y, 16))
    assert many.value == pytest.approx(one.value)
    assert (many.high - many.low) == pytest.approx((one.high - one.low) / 4, rel=0.1)  # 1 / sqrt(16)


def test_probability_of_improvement_extremes_and_single_runs():
    assert s.probability_of_improvement([2.0, 3.0, 4.0], [0.0, 1.0, 1.0]) == (1.0, 1.0, 1.0)
    assert s.probability_of_improvement([1.0, 1.0], [1.0, 1.0]).value == 0.5
    for few in ([2.0], [2.0, 3.0]):
        alone = s.probability_of_improvement(few, [0.0, 1.0, 1.0])
        assert alone.value == 1.0
        assert np.isnan(alone[1:]).all()


def test_two_runs_have_no_interval_and_few_are_told_to_be_few():
    for runs in range(1, 7):
        estimate = s.estimate(np.arange(runs))
        assert np.isfinite(estimate.value) and np.isfinite(estimate[1:]).all() == (runs >= 3)
        assert np.isfinite(s.bootstrap_curve(np.arange(runs)[:, None])[1]).all() == (runs >= 3)
    said = [s.caution(runs) for runs in range(1, 7)]
    assert said == [
        "a single seed has no interval",
        "2 seeds are too few for an interval",
        "an interval from 3 seeds is too narrow",
        "an interval from 4 seeds is too narrow",
        "",
        "",
    ]
    assert s.caution(2, "meta-seed") == "2 meta-seeds are too few for an interval"


def test_non_finite_runs_are_named_or_count_as_the_worst():
    with pytest.raises(ValueError, match=r"run 2 \(counted from 0\) is nan.*non_finite='worst'"):
        s.stratified_bootstrap([1.0, 2.0, np.nan])
    with pytest.raises(ValueError, match="run 1 on task 0"):
        s.aggregate([[1.0, 2.0], [np.inf, 1.0]])
    scores = np.array([[5.0, 1.0], [np.nan, 2.0], [3.0, -np.inf], [9.0, np.inf]])
    np.testing.assert_array_equal(s.clean(scores, "worst"), [[5, 1], [3, 2], [3, 1], [9, 1]])
    assert s.estimate(scores, s.mean, non_finite="worst", resamples=100).value == pytest.approx(25 / 8)
    lost = s.probability_of_improvement([np.nan, 5.0], [-100.0, 1.0], non_finite="worst")
    assert lost.value == 0.5  # the diverged run loses to both, below even the lowest finite score
    with pytest.raises(ValueError, match="no run on task 1"):
        s.clean([[1.0, np.nan], [2.0, np.nan]], "worst")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: s.stratified_bootstrap([]), "not empty"),
        (lambda: s.stratified_bootstrap(np.zeros((2, 2, 2))), r"shape \(2, 2, 2\)"),
        (lambda: s.stratified_bootstrap([[1.0, 2.0], [3.0]]), "equally many runs"),
        (lambda: s.stratified_bootstrap([1.0, 2.0], confidence=95.0), "confidence is 95"),
        (lambda: s.stratified_bootstrap([1.0, 2.0], resamples=0), "resamples is 0"),
        (lambda: s.clean([1.0], "ignore"), "non_finite is 'ignore'"),
        (lambda: s.probability_of_improvement(np.zeros((3, 2)), np.zeros((3, 1))), "x has 2 tasks, y has 1"),
        (lambda: s.mean_of_pairs([]), r"differences is \[\]; it must be a row"),
        (lambda: s.mean_of_pairs([1.0, np.nan, 2.0]), "must be a row of at least one finite number"),
        (lambda: s.bootstrap_curve([1.0, 2.0]), r"\[runs, points\]"),
    ],
)
def test_bad_input_is_named(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_few_pairs_have_students_interval():
    found = s.mean_of_pairs([1.0, 2.0, 3.0, 4.0, 5.0])
    # The table's 97.5 % quantile with four degrees of freedom, times the root of 2.5 over 5.
    np.testing.assert_allclose(found, (3.0, 3.0 - 2.776445 * 0.5**0.5, 3.0 + 2.776445 * 0.5**0.5), rtol=1e-6)
    assert s.mean_of_pairs([2.0, 4.0]).value == 3.0 and np.isnan(s.mean_of_pairs([2.0, 4.0]).low)
    drawn = np.random.default_rng(0).normal(7.0, 2.0, (1_000, 5))
    held = [low < 7.0 < high for _, low, high in (s.mean_of_pairs(row, 0.9) for row in drawn)]
    assert abs(np.mean(held) - 0.9) < 0.03  # resampled, five hold it less often


def test_bootstrap_curve_uses_the_runs_that_have_values():
    curves = np.array([[np.nan, 1.0, 2.0], [np.nan, np.nan, 4.0], [np.nan, np.nan, 9.0]])
    value, low, high = s.bootstrap_curve(curves, s.mean)
    np.testing.assert_allclose(value, [np.nan, 1.0, 5.0])
    np.testing.assert_array_equal(np.isnan(low), [True, True, False])
    np.testing.assert_allclose((low[2], high[2]), s.stratified_bootstrap([2.0, 4.0, 9.0], s.mean), atol=0.5)


def test_importing_it_does_not_import_jax():
    code = "import sys, jaxrl_evolve.results.statistics; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
