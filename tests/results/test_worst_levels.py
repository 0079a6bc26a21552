"""The worst levels: chosen by one sample and judged by another, the truth is found."""

import numpy as np
import pytest

from jaxrl_evolve.results.worst_levels import cvar, worst_levels


def test_two_samples_find_the_truth_where_one_is_below_it():
    """Every level is solved with the same probability, so its worst tenth is no worse than the rest."""
    draws = np.random.default_rng(0)
    runs, levels, episodes, p = 30, 2_000, 10, 0.7
    first, second = draws.binomial(episodes, p, (2, runs, levels)) / episodes
    own, other = cvar(first, first, 0.1), cvar(first, second, 0.1)
    error = np.sqrt(p * (1 - p) / (episodes * 200 * runs))
    assert abs(other.mean() - p) < 4 * error
    assert own.mean() < p - 0.2


def test_two_samples_are_within_their_error_on_levels_that_differ():
    draws = np.random.default_rng(1)
    p = draws.beta(8, 1, 2_000)
    first, second = draws.binomial(50, p, (2, 20, 2_000)) / 50
    found = cvar(first, second, 0.01)
    chosen = np.take_along_axis(np.broadcast_to(p, first.shape), worst_levels(first, 0.01), -1).mean(-1)
    assert found.shape == (20,)
    assert abs(found.mean() - chosen.mean()) < 4 * np.sqrt(0.25 / (50 * 20 * 20))
    assert cvar(first, first, 0.01).mean() < chosen.mean() - 0.01
    np.testing.assert_allclose(cvar(first, second, 1.0), second.mean(-1))


def test_which_levels_are_the_worst():
    scores = np.array([[3.0, 1.0, 2.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    assert worst_levels(scores, 0.5).tolist() == [[1, 3], [0, 1]]
    assert worst_levels(np.zeros(2_000), 0.01).size == 20 and worst_levels(np.zeros(15), 0.1).size == 2
    assert np.isnan(cvar([np.nan, np.nan], [np.nan, np.nan], 0.5))
    with pytest.raises(ValueError, match="share is 0.0; it must be above 0 and at most 1"):
        worst_levels(scores, 0.0)
    with pytest.raises(ValueError, match="at least one level"):
        worst_levels([], 0.5)
    with pytest.raises(ValueError, match=r"shapes \(3,\) and \(2,\); they must be equal"):
        cvar([1, 2, 3], [1, 2], 0.5)
