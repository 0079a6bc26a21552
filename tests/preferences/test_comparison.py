"""Win rates: the mean is 1/2, pairs are asked once, and a bad number spoils its own row and column."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import program

from jaxrl_evolve.preferences import comparison, oracles
from jaxrl_evolve.preferences.oracle import from_advantage

KEY = jax.random.key(3)
BEST = from_advantage("best", lambda a, b, _: jnp.sign(a - b))
NOISY = from_advantage("noisy", lambda a, b, _: 0.4 * jnp.sign(a - b))
RETURNS = np.asarray([3.0, 1.0, 1.0, 7.0], np.float32)

in_batch = program(comparison.in_batch, "oracle", "soft")
random_pairs = program(comparison.random_pairs, "oracle", "soft")
subsample = program(comparison.subsample, "oracle", "comparators", "soft")
winrate_matrix = program(comparison.winrate_matrix, "oracle", "soft")
grouped = program(comparison.grouped, "compare", "oracle")
against_queue = program(comparison.against_queue, "oracle")
empty_queue = program(comparison.empty_queue, "size")
rates_of, payoff, push, held, mean_age = map(
    program,
    (comparison.rates_of, comparison.payoff, comparison.push, comparison.held, comparison.mean_age),
)


def over_keys(rates, number):
    """Of a function of keys: all it gives, as one program."""
    return program(lambda key: jax.vmap(rates)(jax.random.split(key, number)))(KEY)


def normal(*shape):
    return program(lambda key: jax.random.normal(key, shape))(KEY)


def test_the_vector_of_four_returns():
    found = in_batch(BEST, KEY, RETURNS)
    np.testing.assert_allclose(found.rate, [2 / 3, 1 / 6, 1 / 6, 1], atol=1e-6)
    assert int(found.queries) == 6 and found.compared.tolist() == [3] * 4
    matrix = winrate_matrix(BEST, KEY, RETURNS)
    np.testing.assert_allclose(
        matrix.mean(1), [0.625, 0.25, 0.25, 0.875]
    )  # what self-comparison would make of it
    np.testing.assert_array_equal(rates_of(matrix).rate, found.rate)


@pytest.mark.parametrize("number", [2, 7, 8])
@pytest.mark.parametrize("oracle", [NOISY])
def test_the_mean_is_a_half_whatever_the_noise_and_the_ties(number, oracle):
    phi = np.round(normal(number))
    matrix = winrate_matrix(oracle, KEY, phi)
    np.testing.assert_array_equal(matrix + matrix.T, 1.0)
    for found in (rates_of(matrix), in_batch(oracle, KEY, phi)):
        assert float(found.rate.mean()) == pytest.approx(0.5, abs=1e-6)
        assert int(found.queries) == number * (number - 1) // 2 and (found.compared == number - 1).all()
    if number > 4:
        few = subsample(oracle, KEY, phi, comparators=4)
        assert float(few.rate.mean()) == pytest.approx(0.5, abs=1e-6)
        assert int(few.queries) == 2 * number and (few.compared == 4).all()


@pytest.mark.parametrize("number", [7, 8, 300])
def test_the_circle_asks_what_the_matrix_asks(number):
    phi = normal(number)
    soft = winrate_matrix(NOISY, KEY, phi, soft=True)
    np.testing.assert_allclose(in_batch(NOISY, KEY, phi, soft=True).rate, rates_of(soft).rate, atol=1e-6)
    all_others = partial(subsample, comparators=number - 1, soft=True)
    np.testing.assert_allclose(all_others(NOISY, KEY, phi).rate, rates_of(soft).rate, atol=1e-6)


@pytest.mark.parametrize("comparators", [1, 3, 4])
def test_a_subsample_is_of_those_that_are_finite(comparators):
    """Of ``n`` in a room of 12, each has as many comparators as were asked for, all different. Powers of two tell who they were."""
    tells = from_advantage("tells", lambda a, b, _: b - a)  # sums of the partners' powers, less one's own
    for n in (0, 1, 2, 3, 4, 5, 8, 9, 12):
        room = [*(2.0 ** np.arange(n)), *[np.nan] * (12 - n)]
        phi = np.random.default_rng(n).permutation(room).astype(np.float32)
        there = np.isfinite(phi)
        found = subsample(tells, KEY, phi, comparators=comparators, soft=True)
        many, own = found.compared[there], phi[there]
        odd = comparators % 2 and n % 2 and n > comparators
        expected = [min(comparators - bool(odd and comparators > 1), n - 1)] * n
        assert sorted(many) == ([0, *expected[1:]] if odd and comparators == 1 else expected), n
        assert not found.compared[~there].any() and int(found.queries) == many.sum() // 2
        met = many > 0
        partners = np.round(many * (2 * found.rate[there] - 1 + own))[met].astype(int)
        assert [int(p).bit_count() for p in partners] == many[met].tolist()
        assert not (partners & own[met].astype(int)).any()
        if met.any():
            fair = subsample(NOISY, KEY, phi, comparators=comparators).rate
            assert np.nanmean(fair) == pytest.approx(0.5, abs=1e-6)


def test_random_pairs_ask_half_as_many_and_noise_is_that_of_one_label():
    phi = jax.device_put(np.arange(8, dtype=np.float32))
    found = random_pairs(NOISY, KEY, phi)
    assert int(found.queries) == 4 and sorted(found.rate.tolist()) == [0.0] * 4 + [1.0] * 4
    rates = over_keys(lambda key: comparison.random_pairs(BEST, key, phi).rate, 400)
    np.testing.assert_allclose(rates.mean(0), np.arange(8) / 7, atol=0.08)


def test_labels_are_those_of_the_oracle_on_average():
    phi = jax.device_put(np.arange(5, dtype=np.float32))
    rates = over_keys(lambda key: comparison.in_batch(NOISY, key, phi).rate, 2_000)
    np.testing.assert_allclose(rates.mean(0), in_batch(NOISY, KEY, phi, soft=True).rate, atol=0.02)


def test_ties_give_no_payoff():
    for compare in (in_batch, random_pairs, partial(subsample, comparators=2)):
        np.testing.assert_array_equal(payoff(compare(BEST, KEY, np.ones(6, np.float32))), 0.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_return_spoils_its_own_row_and_column(bad):
    phi = np.asarray([3.0, bad, 1.0, 1.0, 7.0], np.float32)
    matrix = winrate_matrix(BEST, KEY, phi)
    assert np.isnan(matrix[1]).all() and np.isnan(matrix[:, 1]).all() and np.isnan(matrix).sum() == 9
    for found in (rates_of(matrix), in_batch(BEST, KEY, phi)):
        np.testing.assert_allclose(found.rate, [2 / 3, np.nan, 1 / 6, 1 / 6, 1], atol=1e-6)
        assert int(found.queries) == 6 and found.compared.tolist() == [3, 0, 3, 3, 3]
    assert payoff(in_batch(BEST, KEY, phi))[1] == 0
    queue = push(empty_queue(np.float32(0), 4), phi[:2])
    found = against_queue(BEST, KEY, phi, queue)
    np.testing.assert_allclose(found.rate, [0.5, np.nan, 0, 0, 1])
    assert int(found.queries) == 4


def test_a_queue_starts_empty_forgets_the_oldest_and_knows_their_age():
    queue = empty_queue(np.float32(0), 3)
    nobody = against_queue(BEST, KEY, RETURNS, queue)
    assert int(nobody.queries) == 0 and (payoff(nobody) == 0).all() and float(mean_age(queue, 9)) == 0
    queue = push(queue, np.asarray([5.0, 6.0], np.float32), now=1)
    assert held(queue).tolist() == [True, True, False]
    found = against_queue(BEST, KEY, RETURNS, queue)
    assert found.rate.tolist() == [0, 0, 0, 1] and int(found.queries) == 8
    queue = push(queue, np.asarray([0.0, 2.0], np.float32), now=4)
    assert sorted(queue.phi.tolist()) == [0, 2, 6] and float(mean_age(queue, 5)) == pytest.approx(
        (4 + 1 + 1) / 3
    )
    assert sorted(push(queue, np.arange(10, dtype=np.float32), now=5).phi.tolist()) == [7, 8, 9]


def test_groups_compare_inside_and_share_a_context():
    sign = from_advantage("signed", lambda a, b, context: context * jnp.sign(a - b))
    phi = np.asarray([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]], np.float32)
    found = grouped(comparison.in_batch, sign, KEY, phi, np.asarray([1.0, -1.0], np.float32))
    np.testing.assert_allclose(found.rate, [[0, 0.5, 1], [1, 0.5, 0]])
    assert int(found.queries) == 6
    assert (grouped(comparison.in_batch, BEST, KEY, phi).rate[1] == found.rate[0]).all()


def test_duplicates_tie_under_frozen_noise_too():
    from jaxrl_evolve.preferences.oracle import frozen

    matrix = winrate_matrix(frozen(NOISY), KEY, np.asarray([2.0, 1.0, 2.0], np.float32))
    assert matrix[0, 2] == 0.5 and matrix[0, 1] == matrix[2, 1]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: in_batch(BEST, KEY, np.ones(1)), "phi has 1 trajectories; at least 2"),
        (lambda: winrate_matrix(BEST, KEY, np.ones(1)), "at least 2"),
        (lambda: grouped(comparison.in_batch, BEST, KEY, np.ones((4, 1))), "4 groups of 1"),
        (lambda: subsample(BEST, KEY, np.ones(4), comparators=4), "comparators is 4; of 4 trajectories"),
        (lambda: subsample(BEST, KEY, np.ones(5), comparators=3), "must be even"),
        (lambda: random_pairs(BEST, KEY, np.ones(3)), "must be even"),
        (lambda: empty_queue(np.float32(0), 0), "size is 0"),
    ],
)
def test_what_cannot_be_compared(call, told):
    with pytest.raises(ValueError, match=told):
        call()


def test_noise_of_a_win_rate_falls_with_comparators_as_told():
    """``(1/4 - (1 - 2 e)^2 / 12) / B`` for a rate of flips ``e`` and returns without ties."""
    noisy = oracles.flip(BEST, 0.3)
    truth = lambda phi: comparison.in_batch(noisy, KEY, phi, soft=True).rate

    def error(key):
        phi = jax.random.normal(key, (257,))
        return comparison.subsample(noisy, key, phi, comparators=16).rate - truth(phi)

    found = float(np.square(over_keys(error, 64)).mean())
    assert found == pytest.approx((1 / 4 - 0.4**2 / 12) / 16, rel=0.08)
