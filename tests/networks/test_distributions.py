"""Distributions against scipy, numeric integration and counted samples."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from jaxrl_evolve.networks.distributions import Categorical, Normal, TanhNormal

LOGITS = jnp.float32([[0.3, -1.2, 2.0, 0.0], [5.0, 5.0, -3.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
MEAN = jnp.float32([[0.4, -1.1], [2.0, 0.0]])
LOG_STD = jnp.float32([[-0.5, 0.3], [0.1, -1.0]])
DISTRIBUTIONS = [
    Categorical(LOGITS),
    Normal(MEAN, LOG_STD),
    TanhNormal(MEAN, LOG_STD, (-1.0, 2.0), (3.0, 2.5)),
]


def _name(distribution) -> str:
    return type(distribution).__name__


def _probs(logits: np.ndarray) -> np.ndarray:
    logits = np.asarray(logits, np.float64)
    exp = np.exp(logits - logits.max(-1, keepdims=True))
    return exp / exp.sum(-1, keepdims=True)


# Categorical


def test_categorical_against_scipy():
    probs, other = _probs(LOGITS), Categorical(LOGITS[::-1] * 0.5)
    d = Categorical(LOGITS)
    for action in range(4):
        np.testing.assert_allclose(
            d.log_prob(jnp.full(3, action)),
            [stats.multinomial.logpmf(np.eye(4)[action], 1, p) for p in probs],
            rtol=1e-5,
        )
    np.testing.assert_allclose(d.entropy(), stats.entropy(probs, axis=-1), rtol=1e-5)
    expected = stats.entropy(probs, _probs(LOGITS[::-1] * np.float32(0.5)), axis=-1)
    np.testing.assert_allclose(d.kl(other), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(d.mode(), [2, 0, 0])


@pytest.mark.parametrize("actions", [4, 300])
def test_categorical_frequencies_within_five_sigma(actions):
    """Also above the size where the sampler changes over to Gumbel-max."""
    draws = 200_000
    logits = np.random.default_rng(0).normal(size=actions).astype(np.float32)
    probs = _probs(logits)
    sample = jax.jit(lambda key: Categorical(jnp.broadcast_to(logits, (draws, actions))).sample(key))
    counts = np.bincount(sample(jax.random.key(0)), minlength=actions)
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
    sample = jax.jit(jax.vmap(Categorical(logits).sample))
    actions = np.asarray(sample(jax.random.split(jax.random.key(0), 4000)))
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
        assert Categorical(logits).sample(jax.random.key(0)) == expected


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e4, 1e30])
def test_categorical_extreme_logits(scale):
    logits = jnp.float32([1.0, -1.0, 0.5]) * scale
    d = Categorical(logits)
    log_probs = np.array([d.log_prob(jnp.int32(a)) for a in range(3)])
    assert np.isfinite(log_probs).all()
    np.testing.assert_allclose(np.exp(log_probs.astype(np.float64)).sum(), 1, rtol=1e-5)
    assert np.isfinite(d.entropy())
    for function in (lambda x: Categorical(x).entropy(), lambda x: Categorical(x).log_prob(jnp.int32(1))):
        assert np.isfinite(jax.grad(function)(logits)).all()


def test_categorical_forbidden_actions_keep_entropy_kl_and_gradients_finite():
    logits = jnp.float32([0.5, -jnp.inf, 1.0])
    allowed = _probs(np.float32([0.5, 1.0]))
    np.testing.assert_allclose(Categorical(logits).entropy(), stats.entropy(allowed), rtol=1e-5)
    assert Categorical(logits).log_prob(jnp.int32(1)) == -np.inf
    np.testing.assert_allclose(Categorical(logits).kl(Categorical(logits)), 0, atol=1e-7)
    assert Categorical(jnp.zeros(3, jnp.float32)).kl(Categorical(logits)) == np.inf
    for function in (
        lambda x: Categorical(x).entropy(),
        lambda x: Categorical(x).log_prob(jnp.int32(2)),
        lambda x: Categorical(x).kl(Categorical(jnp.zeros(3, jnp.float32))),
    ):
        assert np.isfinite(np.asarray(jax.grad(function)(logits))).all()


def test_categorical_refuses_actions_out_of_range_with_probability_zero():
    np.testing.assert_array_equal(Categorical(LOGITS).log_prob(jnp.array([-1, 4, 99])), -np.inf)


# Normal


def test_normal_against_scipy():
    d, other = Normal(MEAN, LOG_STD), Normal(MEAN + 0.3, LOG_STD * 0.5)
    action = jnp.float32([[0.0, 1.0], [3.0, -0.2]])
    std = np.exp(np.asarray(LOG_STD, np.float64))
    np.testing.assert_allclose(d.log_prob(action), stats.norm.logpdf(action, MEAN, std).sum(-1), rtol=1e-5)
    np.testing.assert_allclose(d.entropy(), stats.norm.entropy(MEAN, std).sum(-1), rtol=1e-5)
    np.testing.assert_array_equal(d.mode(), MEAN)
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
    np.testing.assert_allclose(d.kl(other), expected, rtol=1e-4)
    np.testing.assert_array_equal(d.kl(d), 0)


def test_normal_broadcasts_a_state_independent_scale():
    shared = jnp.float32([-0.5, 0.3])
    d, full = Normal(MEAN, shared), Normal(MEAN, jnp.broadcast_to(shared, MEAN.shape))
    np.testing.assert_array_equal(d.entropy(), full.entropy())
    np.testing.assert_array_equal(d.log_prob(MEAN * 2), full.log_prob(MEAN * 2))
    np.testing.assert_array_equal(d.sample(jax.random.key(0)), full.sample(jax.random.key(0)))


def test_samples_follow_their_distribution():
    draws = 50_000
    keys = jax.random.split(jax.random.key(2), draws)
    x = np.asarray(jax.jit(jax.vmap(Normal(MEAN, LOG_STD).sample))(keys))
    squashed = np.asarray(jax.jit(jax.vmap(TanhNormal(MEAN, LOG_STD, -2.0, 4.0).sample))(keys))
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
    d = TanhNormal(jnp.float32([mean]), jnp.float32([log_std]), float(low), float(high))
    std = np.exp(log_std)
    actions = low + (high - low) * np.array([0.1, 0.4, 0.5, 0.9])
    found = jax.vmap(d.log_prob)(actions[:, None])
    np.testing.assert_allclose(found, np.log(_density(actions, mean, std, low, high)), rtol=1e-3, atol=1e-4)

    def surprise(x):
        unit = np.tanh(x)
        if abs(unit) == 1:
            return 0.0
        return -stats.norm.pdf(x, mean, std) * np.log(
            _density(low + (high - low) * (unit + 1) / 2, mean, std, low, high)
        )

    entropy = integrate.quad(surprise, mean - 9 * std, mean + 9 * std, limit=200)[0]
    np.testing.assert_allclose(d.entropy(), entropy, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(d.mode(), low + (high - low) * (np.tanh(mean) + 1) / 2, rtol=1e-5)


def test_tanh_normal_sums_over_elements_with_their_own_bounds():
    low, high = (-1.0, 2.0), (3.0, 2.5)
    joint = TanhNormal(MEAN, LOG_STD, low, high)
    parts = [TanhNormal(MEAN[:, [i]], LOG_STD[:, [i]], low[i], high[i]) for i in range(2)]
    action = joint.sample(jax.random.key(3))
    total = sum(np.asarray(part.log_prob(action[:, [i]])) for i, part in enumerate(parts))
    np.testing.assert_allclose(joint.log_prob(action), total, rtol=1e-5)
    np.testing.assert_allclose(joint.entropy(), sum(np.asarray(p.entropy()) for p in parts), rtol=1e-5)


def test_tanh_normal_is_finite_at_and_beyond_its_bounds():
    d = TanhNormal(jnp.float32([0.0]), jnp.float32([-2.0]), -2.0, 2.0)
    for action in (-2.0, 2.0, 1.9999999, 7.0):
        assert np.isfinite(d.log_prob(jnp.float32([action])))
        gradient = jax.grad(lambda m, a=action: d.replace(mean=m).log_prob(jnp.float32([a])))(d.mean)
        assert np.isfinite(gradient).all()
    far = TanhNormal(jnp.float32([40.0]), jnp.float32([1.0]), -2.0, 2.0)
    action, log_prob = far.sample_and_log_prob(jax.random.key(0))
    assert np.abs(action) <= 2.0
    assert np.isfinite(log_prob)
    assert np.isfinite(far.entropy())
    gradient = jax.grad(lambda m: far.replace(mean=m).entropy())(far.mean)
    np.testing.assert_allclose(gradient, -2, rtol=1e-3)  # log(1 - tanh^2) falls by 2 per unit far out


def test_tanh_normal_kl_is_that_of_the_normals():
    other = TanhNormal(MEAN * 0.5, LOG_STD + 0.1, -1.0, 3.0)
    found = TanhNormal(MEAN, LOG_STD, -1.0, 3.0).kl(other)
    np.testing.assert_allclose(found, Normal(MEAN, LOG_STD).kl(Normal(MEAN * 0.5, LOG_STD + 0.1)))
    with pytest.raises(ValueError, match="equal bounds"):
        TanhNormal(MEAN, LOG_STD).kl(other)


# All three


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=_name)
def test_sample_and_log_prob_agree(distribution):
    action, log_prob = distribution.sample_and_log_prob(jax.random.key(4))
    np.testing.assert_array_equal(action, distribution.sample(jax.random.key(4)))
    np.testing.assert_allclose(log_prob, distribution.log_prob(action), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=_name)
def test_pytree_batching_and_dtypes(distribution):
    """Vmapping rows gives what the batch gives; dtypes are strong; the bounds stay static."""
    batch = (len(jax.tree.leaves(distribution)[0]),)
    action = distribution.sample(jax.random.key(5))
    rows = jax.vmap(lambda d, a: (d.log_prob(a), d.entropy(), d.mode()))(distribution, action)
    together = distribution.log_prob(action), distribution.entropy(), distribution.mode()
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

    def score(key):
        action = jax.lax.stop_gradient(distribution.sample(key))
        return jax.grad(lambda d: d.log_prob(action).sum())(distribution)

    scores = jax.jit(jax.vmap(score))(jax.random.split(jax.random.key(6), draws))
    for leaf in jax.tree.leaves(scores):
        leaf = np.asarray(leaf, np.float64)
        assert np.isfinite(leaf).all()
        assert np.all(np.abs(leaf.mean(0)) < 5 * leaf.std(0) / np.sqrt(draws) + 1e-6)
