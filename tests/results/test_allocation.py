"""What shares of draws and scores over time say of a curriculum."""

import numpy as np
import pytest

from jaxrl_evolve.results.allocation import forgotten, starved, times_to_reallocate


def test_a_change_is_followed_when_the_new_best_has_its_share():
    best = [0, 0, 1, 1, 1, 2, 2, 0]
    share = np.zeros((8, 3))
    share[4, 1] = share[7, 0] = (
        0.8  # two rows after the first change, never after the second, at once in the end
    )
    np.testing.assert_array_equal(times_to_reallocate(share, best), [2, np.nan, 0])
    assert times_to_reallocate(share, [1] * 8).size == 0
    np.testing.assert_array_equal(times_to_reallocate(share, best, 0.9), [np.nan] * 3)
    with pytest.raises(ValueError, match=r"share has shape \(8, 3\) and best \(7,\); they must be"):
        times_to_reallocate(share, best[:-1])


def test_who_starves_has_less_than_a_tenth_of_a_fair_share():
    share = [[0.94, 0.06], [0.96, 0.04], [0.97, 0.03], [0.5, 0.5], [0.99, 0.01]]
    assert starved(share).tolist() == [0, 2]
    # An arm that may not be drawn does not starve, and leaves the fair share to the others.
    forbidden = np.array([[0.955, 0.045, 0.0]] * 3)
    assert starved(forbidden).tolist() == [0, 0, 3]
    assert starved(forbidden, available=[1, 1, 0]).tolist() == [0, 3, 0]
    runs = np.stack([share, np.flip(share, 1)], 1)  # [T, runs, arms]
    assert starved(runs).tolist() == [[0, 2], [2, 0]]


def test_what_is_forgotten_was_known_before():
    score = [[0.2, 0.9, np.nan], [0.8, 0.5, 0.1], [0.5, 0.95, np.nan]]
    np.testing.assert_allclose(forgotten(score), [0.3, 0.0, np.nan])
    assert forgotten([[0.4]]).tolist() == [0.0]
