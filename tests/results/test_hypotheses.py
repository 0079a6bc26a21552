"""Welch's and Holm's tests against scipy and by hand, and means of meetings against draws by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from jaxrl_evolve.results.hypotheses import contrast, holm, judged
from jaxrl_evolve.results.meetings import mean_of_meetings

RNG = np.random.default_rng(0)
A, B = RNG.normal(1.0, 1.0, 5), RNG.normal(0.0, 3.0, 8)


def test_two_samples_are_welchs_test():
    found, theirs = contrast([A, B], (1, -1)), stats.ttest_ind(A, B, equal_var=False)
    assert found.value == pytest.approx(A.mean() - B.mean())
    assert found.freedom == pytest.approx(theirs.df)
    assert 2 * min(found.above, found.below) == pytest.approx(theirs.pvalue)
    assert found.above == pytest.approx(stats.ttest_ind(A, B, equal_var=False, alternative="greater").pvalue)
    interval = theirs.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_one_sample_is_students_test_against_the_bound():
    found = contrast([A], (1,), bound=0.4)
    assert found.below == pytest.approx(stats.ttest_1samp(A, 0.4, alternative="less").pvalue)
    assert found.freedom == pytest.approx(4)


def test_a_difference_of_differences_has_the_variance_of_all_four():
    four = [A, B, A + 1.0, 2.0 * B]
    found = contrast(four, (1, -1, -1, 1))
    error = np.sqrt(sum(x.var(ddof=1) / x.size for x in four))
    assert found.value == pytest.approx(A.mean() - B.mean() - (A.mean() + 1) + 2 * B.mean())
    assert found.above == pytest.approx(stats.t.sf(found.value / error, found.freedom))


def test_samples_that_are_all_alike_are_what_they_are():
    assert contrast([[0.1] * 8], (1,), bound=0.03)[3:5] == (0.0, 1.0)
    assert contrast([[0.0] * 8], (1,), bound=0.03)[3:5] == (1.0, 0.0)
    assert judged(0.5, (0.0, 0.0), (3, 3), 0.5)[3:5] == (1.0, 1.0)


def test_several_hypotheses_are_adjusted_by_steps():
    # 4 x 0.01, 3 x 0.02, then no less than before: 2 x 0.022 = 0.044 is below 0.06; 1 x 0.9.
    assert holm([0.02, 0.9, 0.01, 0.022]) == pytest.approx([0.06, 0.9, 0.04, 0.06])
    assert holm([0.5, 0.6]) == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: contrast([[1.0]], (1,)), "at least two finite numbers"),
        (lambda: contrast([A, [1.0, np.nan]], (1, -1)), "at least two finite numbers"),
        (lambda: contrast([A], (1, -1)), "one for each of 1 samples"),
        (lambda: contrast([A, B], (1, 0)), "none 0"),
        (lambda: holm([]), "numbers between 0 and 1"),
        (lambda: holm([1.2]), "numbers between 0 and 1"),
        (lambda: mean_of_meetings([0.5]), r"\[runs, others\]"),
        (lambda: mean_of_meetings([[0.5, np.nan]]), "finite"),
        (lambda: mean_of_meetings([[0.5, 0.5]], ["a"]), "one for each of 2"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_runs_of_both_sides_are_drawn_anew():
    """A matrix that is a sum of a row's and a column's strength: the interval is that of both sides, far wider than that of independent entries."""
    row, column = RNG.normal(0, 0.05, 8), RNG.normal(0, 0.1, 8)
    rates = 0.6 + row[:, None] - column[None, :]
    found = mean_of_meetings(rates)
    draw = lambda x: x[RNG.integers(0, x.size, (20_000, x.size))].mean(1)
    low, high = np.quantile(0.6 + draw(row) - draw(column), [0.025, 0.975])
    assert found.value == pytest.approx(rates.mean())
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.005)


def test_runs_of_each_method_are_drawn_among_themselves():
    """Two methods, one always beaten and one never: drawn together, their numbers would vary, and with these the mean."""
    rates = np.repeat([[1.0, 0.0]], 4, 0).repeat(4, 1)
    methods = ["weak"] * 4 + ["strong"] * 4
    assert mean_of_meetings(rates, methods)[1:] == (0.5, 0.5)
    low, high = mean_of_meetings(rates)[1:]
    assert low < 0.3 and high > 0.7


@pytest.mark.parametrize("shape", [(2, 8), (8, 2)])
def test_two_runs_have_no_interval(shape):
    found = mean_of_meetings(np.full(shape, 0.7))
    assert found.value == pytest.approx(0.7) and np.isnan(found.low) and np.isnan(found.high)
