"""Distributions against scipy, numeric integration and counted samples."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import program
from scipy import integrate, stats

from jaxrl_evolve.networks.distributions import Categorical, Normal, TanhNormal

LOGITS = np.float32([[0.3, -1.2, 2.0, 0.0], [5.0, 5.0, -3.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
MEAN = np.float32([[0.4, -1.1], [2.0, 0.0]])
LOG_STD = np.float32([[-0.5, 0.3], [0.1, -1.0]])
DISTRIBUTIONS = [
    Categorical(LOGITS),
    Normal(MEAN, LOG_STD),
    TanhNormal(MEAN, LOG_STD, (-1.0, 2.0), (3.0, 2.5)),
]

# One program for every kind and shape.
log_prob = program(lambda distribution, action: distribution.log_prob(action))
entropy, mode = program(lambda distribution: distribution.entropy()), program(lambda d: d.mode())
kl = program(lambda distribution, other: distribution.kl(other))
sample = program(lambda distribution, key: distribution.sample(key))
sample_and_log_prob = program(lambda distribution, key: distribution.sample_and_log_prob(key))


def _name(distribution) -> str:
    return type(distribution).__name__


def _probs(logits: np.ndarray) -> np.ndarray:
    logits = np.asarray(logits, np.float64)
    exp = np.exp(logits - logits.max(-1, keepdims=True))
    return exp / exp.sum(-1, keepdims=True)


# Categorical


def test_categorical_against_scipy():
    probs, other = _probs(LOGITS), Categorical(LOGITS[::-1] * np.float32(0.5))
    d = Categorical(LOGITS)
    for action in range(4):
        np.testing.assert_allclose(
            log_prob(d, np.full(3, action)),
            [stats.multinomial.logpmf(np.eye(4)[action], 1, p) for p in probs],
            rtol=1e-5,
        )
    np.testing.assert_allclose(entropy(d), stats.entropy(probs, axis=-1), rtol=1e-5)
    expected = stats.entropy(probs, _probs(LOGITS[::-1] * np.float32(0.5)), axis=-1)
    np.testing.assert_allclose(kl(d, other), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(mode(d), [2, 0, 0])


@pytest.mark.parametrize("actions", [4, 300])
def test_categorical_frequencies_within_five_sigma(actions):
    """Also above the size where the sampler changes over to Gumbel-max."""
    draws = 200_000
    logits = np.random.default_rng(0).normal(size=actions).astype(np.float32)
    probs = _probs(logits)
    drawn = program(lambda key: Categorical(jnp.broadcast_to(logits, (draws, actions))).sample(key))
    counts = np.bincount(drawn(jax.random.key(0)), minlength=actions)
    sigma = np.sqrt(draws * probs * (1 - probs))
    assert len(counts) == actions
    assert np.all(np.abs(counts - draws * probs) < 5 * sigma + 1)


def test_categorical_never_draws_the_impossible():
    """Forbidden first, middle and last actions, and weights whose sums round."""
    rng = np.random.default_rng(1)
    logits = rng.normal(scale=4, size=(64, 33)).astype(np.float32)
    forbidden = rng.random((64, 33)) < 0.5
    forbidden[:, [0, -1]] = True
    forbidden[:, 5] = False
    logits[forbidden] = -np.inf
    many = jax.vmap(Categorical(jax.device_put(logits)).sample)
    actions = program(lambda key: many(jax.random.split(key, 4000)))(jax.random.key(0))
    assert actions.dtype == np.int32
    assert actions.min() >= 0
    assert actions.max() <= 32
    assert not forbidden[np.arange(64), actions].any()


def test_categorical_at_the_ends_of_the_uniform_interval(monkeypatch):
    """The smallest and the largest uniform number pick the first and the last possible action."""
    logits = np.float32([-np.inf, 0.1, 3.3, -2.7, 0.01, -np.inf, -np.inf])
    for uniform, expected in ((0.0, 1), (np.nextafter(np.float32(1), np.float32(0)), 4)):
        monkeypatch.setattr(
            jax.random, "uniform", lambda key, shape, dtype, u=uniform: jnp.full(shape, u, dtype)
        )
        drawn = program(lambda key: Categorical(jax.device_put(logits)).sample(key))
        assert drawn(jax.random.key(0)) == expected


SLOPES = [
    program(jax.grad(function))
    for function in (
        lambda x: Categorical(x).entropy(),
        lambda x: Categorical(x).log_prob(jnp.int32(1)),
        lambda x: Categorical(x).log_prob(jnp.int32(2)),
        lambda x: Categorical(x).kl(Categorical(jnp.zeros(3, jnp.float32))),
    )
]


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e4, 1e30])
def test_categorical_extreme_logits(scale):
    logits = jax.device_put(np.float32([1.0, -1.0, 0.5]) * np.float32(scale))
    d = Categorical(logits)
    log_probs = np.array([log_prob(d, np.int32(a)) for a in range(3)])
    assert np.isfinite(log_probs).all()
    np.testing.assert_allclose(np.exp(log_probs.astype(np.float64)).sum(), 1, rtol=1e-5)
    assert np.isfinite(entropy(d))
    for slope in SLOPES[:2]:
        assert np.isfinite(slope(logits)).all()


def test_categorical_forbidden_actions_keep_entropy_kl_and_gradients_finite():
    logits = np.float32([0.5, -np.inf, 1.0])
    d, even = map(Categorical, jax.device_put((logits, np.zeros(3, np.float32))))
    allowed = _probs(np.float32([0.5, 1.0]))
    np.testing.assert_allclose(entropy(d), stats.entropy(allowed), rtol=1e-5)
    assert log_prob(d, np.int32(1)) == -np.inf
    np.testing.assert_allclose(kl(d, d), 0, atol=1e-7)
    assert kl(even, d) == np.inf
    for slope in (SLOPES[0], SLOPES[2], SLOPES[3]):
        assert np.isfinite(slope(logits)).all()


@pytest.mark.parametrize("actions", [10, 11, 30])
def test_categorical_sums_by_column_and_by_row_are_the_same_numbers(actions):
    """Log-probability, entropy and their gradients against closed forms in float64; every other action is forbidden in the last row."""
    logits = np.random.default_rng(0).normal(size=(4, actions)).astype(np.float32)
    logits[-1, ::2] = -np.inf
    picked, weight = np.int32([0, actions - 1, 3, 1]), np.float32([1.0, -2.0, 0.5, 3.0])

    def total(logits, action):
        d = Categorical(logits)
        return (d.log_prob(action) * weight).sum(), (d.entropy() * weight).sum()

    found, slopes = _both(total, logits, picked)
    probs = _probs(logits)
    surprise = -np.log(np.where(probs > 0, probs, 1.0))
    spread = (probs * surprise).sum(-1)
    np.testing.assert_allclose(found[0], -(surprise[np.arange(4), picked] * weight).sum(), rtol=1e-5)
    np.testing.assert_allclose(found[1], (spread * weight).sum(), rtol=1e-5)
    expected = (np.eye(actions)[picked] - probs) * weight[:, None]
    np.testing.assert_allclose(slopes[0], expected, atol=1e-6)
    np.testing.assert_allclose(slopes[1], probs * (surprise - spread[:, None]) * weight[:, None], atol=2e-6)


def _both(total, logits, action):
    """Two sums and their gradients."""
    go = program(lambda logits, action: (total(logits, action), jax.jacrev(total)(logits, action)))
    return go(jnp.asarray(logits), jnp.asarray(action))


def test_categorical_refuses_actions_out_of_range_with_probability_zero():
    np.testing.assert_array_equal(log_prob(Categorical(LOGITS), np.array([-1, 4, 99])), -np.inf)


# Normal


def test_normal_against_scipy():
    d, other = Normal(MEAN, LOG_STD), Normal(MEAN + np.float32(0.3), LOG_STD * np.float32(0.5))
    action = np.float32([[0.0, 1.0], [3.0, -0.2]])
    std = np.exp(np.asarray(LOG_STD, np.float64))
    np.testing.assert_allclose(log_prob(d, action), stats.norm.logpdf(action, MEAN, std).sum(-1), rtol=1e-5)
    np.testing.assert_allclose(entropy(d), stats.norm.entropy(MEAN, std).sum(-1), rtol=1e-5)
    np.testing.assert_array_equal(mode(d), MEAN)
    expected = [
        sum(
            integrate.quad(
                lambda x, p=p, q=q: p.pdf(x) * (p.logpdf(x) - q.logpdf(x)), -20, 20, points=[0], limit=200
            )[0]
            for p, q in zip(
                *((stats.norm(m, np.exp(s)) for m, s in zip(*r, strict=True)) for r in rows), strict=True
            )
        )
        for rows in zip(
            zip(MEAN, LOG_STD, strict=True),
            zip(np.asarray(other.mean), np.asarray(other.log_std), strict=True),
            strict=True,
        )
    ]
    np.testing.assert_allclose(kl(d, other), expected, rtol=1e-4)
    np.testing.assert_array_equal(kl(d, d), 0)


def test_normal_broadcasts_a_state_independent_scale():
    shared = np.float32([-0.5, 0.3])
    d, full = Normal(MEAN, shared), Normal(MEAN, np.broadcast_to(shared, MEAN.shape))
    np.testing.assert_array_equal(entropy(d), entropy(full))
    np.testing.assert_array_equal(log_prob(d, MEAN * 2), log_prob(full, MEAN * 2))
    np.testing.assert_array_equal(sample(d, jax.random.key(0)), sample(full, jax.random.key(0)))


def test_samples_follow_their_distribution():
    draws = 50_000

    @program
    def drawn(*distributions):
        keys = jax.random.split(jax.random.key(2), draws)
        return [jax.vmap(distribution.sample)(keys) for distribution in distributions]

    x, squashed = drawn(Normal(MEAN, LOG_STD), TanhNormal(MEAN, LOG_STD, -2.0, 4.0))
    for i in np.ndindex(2, 2):
        normal = stats.norm(MEAN[i], np.exp(LOG_STD[i]))
        assert stats.kstest(x[:, *i], normal.cdf).pvalue > 1e-4
        assert stats.kstest(np.arctanh(np.clip((squashed[:, *i] - 1) / 3, -1, 1)), normal.cdf).pvalue > 1e-4


# TanhNormal


def _density(action: np.ndarray, mean: float, std: float, low: float, high: float) -> np.ndarray:
    """Change of variables by hand, in float64."""
    unit = (2 * action - low - high) / (high - low)
    slope = (1 - unit**2) * (high - low) / 2
    return stats.norm.pdf(np.arctanh(unit), mean, std) / slope


@pytest.mark.parametrize(
    ("mean", "log_std", "low", "high"), [(0.3, -0.7, -1, 1), (-0.8, 0.2, -2, 5), (1.5, 0.0, 0, 1)]
)
def test_tanh_normal_against_integration(mean, log_std, low, high):
    d = TanhNormal(np.float32([mean]), np.float32([log_std]), float(low), float(high))
    std = np.exp(log_std)
    actions = low + (high - low) * np.array([0.1, 0.4, 0.5, 0.9])
    found = program(jax.vmap(lambda d, action: d.log_prob(action), (None, 0)))(d, actions[:, None])
    np.testing.assert_allclose(found, np.log(_density(actions, mean, std, low, high)), rtol=1e-3, atol=1e-4)

    def surprise(x):
        unit = np.tanh(x)
        if abs(unit) == 1:
            return 0.0
        return -stats.norm.pdf(x, mean, std) * np.log(
            _density(low + (high - low) * (unit + 1) / 2, mean, std, low, high)
        )

    expected = integrate.quad(surprise, mean - 9 * std, mean + 9 * std, limit=200)[0]
    np.testing.assert_allclose(entropy(d), expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(mode(d), low + (high - low) * (np.tanh(mean) + 1) / 2, rtol=1e-5)


def test_tanh_normal_sums_over_elements_with_their_own_bounds():
    low, high = (-1.0, 2.0), (3.0, 2.5)
    joint = TanhNormal(MEAN, LOG_STD, low, high)
    parts = [TanhNormal(MEAN[:, [i]], LOG_STD[:, [i]], low[i], high[i]) for i in range(2)]
    action = sample(joint, jax.random.key(3))
    total = sum(log_prob(part, action[:, [i]]) for i, part in enumerate(parts))
    np.testing.assert_allclose(log_prob(joint, action), total, rtol=1e-5)
    np.testing.assert_allclose(entropy(joint), sum(map(entropy, parts)), rtol=1e-5)


def test_tanh_normal_is_finite_at_and_beyond_its_bounds():
    d = jax.device_put(TanhNormal(np.float32([0.0]), np.float32([-2.0]), -2.0, 2.0))
    slope = program(jax.grad(lambda mean, action: d.replace(mean=mean).log_prob(action)))
    for action in (-2.0, 2.0, 1.9999999, 7.0):
        assert np.isfinite(log_prob(d, np.float32([action])))
        assert np.isfinite(slope(d.mean, np.float32([action]))).all()
    far = jax.device_put(TanhNormal(np.float32([40.0]), np.float32([1.0]), -2.0, 2.0))
    action, density = sample_and_log_prob(far, jax.random.key(0))
    assert np.abs(action) <= 2.0
    assert np.isfinite(density)
    assert np.isfinite(entropy(far))
    gradient = program(jax.grad(lambda mean: far.replace(mean=mean).entropy()))(far.mean)
    np.testing.assert_allclose(gradient, -2, rtol=1e-3)  # log(1 - tanh^2) falls by 2 per unit far out


def test_tanh_normal_kl_is_that_of_the_normals():
    other = TanhNormal(MEAN * np.float32(0.5), LOG_STD + np.float32(0.1), -1.0, 3.0)
    found = kl(TanhNormal(MEAN, LOG_STD, -1.0, 3.0), other)
    expected = kl(Normal(MEAN, LOG_STD), Normal(MEAN * np.float32(0.5), LOG_STD + np.float32(0.1)))
    np.testing.assert_allclose(found, expected)
    with pytest.raises(ValueError, match="equal bounds"):
        TanhNormal(MEAN, LOG_STD).kl(other)


# All three


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=_name)
def test_sample_and_log_prob_agree(distribution):
    action, density = sample_and_log_prob(distribution, jax.random.key(4))
    np.testing.assert_array_equal(action, sample(distribution, jax.random.key(4)))
    np.testing.assert_allclose(density, log_prob(distribution, action), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=_name)
def test_pytree_batching_and_dtypes(distribution):
    """Vmapping rows gives what the batch gives; dtypes are strong; the bounds stay static."""
    batch = (len(jax.tree.leaves(distribution)[0]),)
    told = lambda d, a: (d.log_prob(a), d.entropy(), d.mode())

    @jax.jit
    def both(distribution, key):
        action = distribution.sample(key)
        return action, jax.vmap(told)(distribution, action), told(distribution, action)

    action, rows, together = both(distribution, jax.random.key(5))
    for row, whole in zip(rows, together, strict=True):
        np.testing.assert_allclose(row, whole, rtol=1e-6)
        assert not whole.weak_type
    assert together[0].shape == together[1].shape == batch
    assert together[0].dtype == together[1].dtype == jnp.float32
    assert (
        action.dtype
        == together[2].dtype
        == (jnp.int32 if isinstance(distribution, Categorical) else jnp.float32)
    )
    assert action.weak_type is False


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=_name)
def test_score_has_mean_zero_and_gradients_are_finite(distribution):
    """E[d log p / d parameters] = 0 for a normalised density: samples and log_prob belong together."""
    draws = 20_000

    def score(d, key):
        action = jax.lax.stop_gradient(d.sample(key))
        return jax.grad(lambda d: d.log_prob(action).sum())(d)

    many = program(lambda d, key: jax.vmap(score, (None, 0))(d, jax.random.split(key, draws)))
    scores = many(distribution, jax.random.key(6))
    for leaf in jax.tree.leaves(scores):
        leaf = np.asarray(leaf, np.float64)
        assert np.isfinite(leaf).all()
        assert np.all(np.abs(leaf.mean(0)) < 5 * leaf.std(0) / np.sqrt(draws) + 1e-6)
