"""The optimiser is optax's chain of clipping and Adam, and can be differentiated anywhere."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from jaxrl_evolve.learners import optimiser
from jaxrl_evolve.learners.optimiser import clipped_step, init_optimiser, norm


@pytest.mark.parametrize("scale", [1e-3, 1.0, 100.0], ids=["never clipped", "at times", "always"])
def test_adam_is_that_of_optax(scale: float):
    rate, longest, eps = 3e-3, 0.5, 1e-5
    theirs = optax.chain(optax.clip_by_global_norm(longest), optax.adam(rate, eps=eps))
    parameters = jnp.asarray(np.random.default_rng(0).normal(size=50), jnp.float32)
    state, their_state = init_optimiser("adam", parameters), theirs.init(parameters)
    mine = other = parameters
    step = jax.jit(lambda s, g: clipped_step("adam", s, g, rate, longest, eps))
    rng = np.random.default_rng(1)
    for i in range(200):
        gradient = jnp.asarray(rng.normal(size=50) * scale * (i % 7) / 7, jnp.float32)
        move, size, state = step(state, gradient)
        np.testing.assert_allclose(size, optax.tree.norm(gradient), rtol=1e-5)
        updates, their_state = theirs.update(gradient, their_state)
        np.testing.assert_allclose(move, updates, rtol=2e-4, atol=1e-8)
        mine, other = mine + move, optax.apply_updates(other, updates)
    np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-6)
    assert np.abs(mine - parameters).max() > 0.01


@pytest.mark.parametrize("in_a_row", [0, 100], ids=["large", "small"])
@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_a_tree_is_stepped_as_its_numbers_in_a_row(kind, in_a_row, monkeypatch):
    monkeypatch.setattr(optimiser, "IN_A_ROW", in_a_row)
    rng = np.random.default_rng(2)
    tree = {"a": rng.normal(size=(3, 4)).astype(np.float32), "b": [rng.normal(size=5).astype(np.float32)]}
    flat, unravel = ravel_pytree(tree)
    step = jax.jit(partial(clipped_step, kind), static_argnums=(3,))
    state, state_of_tree = init_optimiser(kind, flat), init_optimiser(kind, tree)
    if kind == "adam":
        assert (
            (state_of_tree.mean["a"].shape == (3, 4)) if not in_a_row else state_of_tree.mean.shape == (17,)
        )
    for _ in range(3):
        row, size, state = step(state, flat, 0.1, 0.5, 1e-5)
        move, size_of_tree, state_of_tree = step(state_of_tree, tree, 0.1, 0.5, 1e-5)
        np.testing.assert_allclose(size_of_tree, size, rtol=1e-6)
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5), move, unravel(row))


def test_sgd_is_the_clipped_gradient():
    gradient = jnp.asarray([3.0, 4.0])
    step, size, state = clipped_step("sgd", init_optimiser("sgd", gradient), gradient, 40.0, 0.5, 1e-5)
    np.testing.assert_allclose(step, -40.0 * 0.5 * gradient / 5.0, rtol=1e-6)
    assert (float(size), state) == (5.0, ())
    np.testing.assert_allclose(clipped_step("sgd", (), gradient, 2.0, 9.0, 1e-5)[0], -2.0 * gradient)


@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_derivatives_are_finite_at_a_gradient_of_zero(kind):
    gradient = jnp.zeros(4)
    state = init_optimiser(kind, gradient)
    derivative = jax.jacobian(lambda g: clipped_step(kind, state, g, 0.1, 0.5, 1e-5)[0])(gradient)
    assert np.isfinite(derivative).all()
    assert np.isfinite(jax.grad(norm)(gradient)).all()
    assert np.all(np.diag(derivative) < 0)


def test_the_norm_of_what_is_no_number_is_none():
    assert np.isnan(norm(jnp.array([jnp.nan, 1.0])))
    assert np.isinf(norm(jnp.array([jnp.inf, 1.0])))
    assert float(norm(jnp.zeros(2))) == 0.0 and not jax.grad(norm)(jnp.zeros(2)).any()
