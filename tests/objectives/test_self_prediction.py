"""The self-predictive loss against its definition."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_evolve.objectives.self_prediction import self_prediction


def test_it_is_the_mean_of_two_less_twice_the_cosine():
    rng = np.random.default_rng(0)
    predicted, target = rng.normal(size=(2, 5, 7, 6)).astype(np.float32)
    belongs = rng.random((5, 7)) < 0.6
    cosine = (
        (predicted * target).sum(-1) / np.linalg.norm(predicted, axis=-1) / np.linalg.norm(target, axis=-1)
    )
    expected = np.where(belongs, 2 - 2 * cosine, 0.0).sum(0) / 5
    found = self_prediction(jnp.asarray(predicted), jnp.asarray(target), jnp.asarray(belongs))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_nothing_has_a_gradient_and_what_does_not_belong_may_be_no_number():
    zero = jnp.zeros((2, 1, 3))
    target = zero.at[1].set(jnp.nan)
    belongs = jnp.array([[True], [False]])
    gradient = jax.grad(lambda x: self_prediction(x, target, belongs).sum())(zero)
    assert jnp.isfinite(gradient).all()
    assert float(self_prediction(zero, target, belongs)[0]) == 0.0
