"""Convolutions by patches are XLA's, and so are their gradients and the pooling."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_evolve.networks.convolution import Convolution, max_pool


@pytest.mark.parametrize(
    ("size", "stride", "padding"), [(3, 1, "SAME"), (4, 2, "VALID"), (3, 2, "SAME"), (8, 4, "SAME")]
)
def test_it_is_that_of_flax(size: int, stride: int, padding: str):
    x = jax.random.normal(jax.random.key(0), (3, 11, 9, 2))
    ours = Convolution(5, size, stride, padding)
    theirs = nn.Conv(5, (size, size), (stride, stride), padding)
    params = ours.init(jax.random.key(1), x)
    assert jax.tree.structure(params) == jax.tree.structure(theirs.init(jax.random.key(1), x))
    loss = lambda module: lambda params, x: jnp.sin(module.apply(params, x)).sum()
    for found, expected in zip(
        *(jax.tree.leaves(jax.value_and_grad(loss(module), (0, 1))(params, x)) for module in (ours, theirs)),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(ours.apply(params, x), theirs.apply(params, x), rtol=1e-4, atol=1e-5)


def test_pooling_is_that_of_flax():
    x = jax.random.normal(jax.random.key(0), (3, 11, 10, 2))
    np.testing.assert_array_equal(max_pool(x, 3, 2), nn.max_pool(x, (3, 3), (2, 2), "SAME"))
