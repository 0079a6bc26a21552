import itertools

import numpy as np
import pytest

from jaxrl_evolve.results.pass_at_k import pass_at_k


def test_it_is_the_share_of_draws_of_k_tries_that_succeed():
    tries = 6
    for k in (1, 2, 4, 6):
        for c in range(tries + 1):
            drawn = itertools.combinations([True] * c + [False] * (tries - c), k)
            np.testing.assert_allclose(pass_at_k(c, tries, k), np.mean([any(d) for d in drawn]), atol=1e-12)


def test_its_expectation_is_that_of_independent_tries():
    rng = np.random.default_rng(0)
    found = pass_at_k(rng.binomial(8, 0.3, 200_000), 8, 4)
    np.testing.assert_allclose(found.mean(), 1 - 0.7**4, atol=0.003)


def test_shapes_are_kept_and_nonsense_is_refused():
    assert pass_at_k([[0, 1], [2, 3]], 3, 2).shape == (2, 2)
    assert np.isnan(pass_at_k([np.nan, 1], 3, 2)).tolist() == [True, False]
    with pytest.raises(ValueError, match="k is 4; with 3 tries on each task it must be from 1 to 3"):
        pass_at_k(1, 3, 4)
    with pytest.raises(ValueError, match="successes are 0.5 to 4"):
        pass_at_k([0.5, 4], 3, 1)
