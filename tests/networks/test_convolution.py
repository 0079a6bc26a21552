"""Convolutions by patches are XLA's, and so are their gradients and the pooling."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import program

from jaxrl_evolve.networks.convolution import Convolution, max_pool

normal = program(jax.random.normal, "shape")


@pytest.mark.parametrize(
    ("size", "stride", "padding"), [(3, 1, "SAME"), (4, 2, "VALID"), (3, 2, "SAME"), (8, 4, "SAME")]
)
def test_it_is_that_of_flax(size: int, stride: int, padding: str):
    x = normal(jax.random.key(0), (3, 11, 9, 2))
    ours = Convolution(5, size, stride, padding)
    theirs = nn.Conv(5, (size, size), (stride, stride), padding)
    params = program(ours.init)(jax.random.key(1), x)
    assert jax.tree.structure(params) == jax.tree.structure(jax.eval_shape(theirs.init, jax.random.key(1), x))

    @program
    def both(params, x):
        """For each module the loss and its gradients, and the output."""
        loss = lambda module: lambda params, x: jnp.sin(module.apply(params, x)).sum()
        of = lambda module: (jax.value_and_grad(loss(module), (0, 1))(params, x), module.apply(params, x))
        return of(ours), of(theirs)

    (losses, output), (their_losses, their_output) = both(params, x)
    for found, expected in zip(jax.tree.leaves(losses), jax.tree.leaves(their_losses), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(output, their_output, rtol=1e-4, atol=1e-5)


def test_pooling_is_that_of_flax():
    x = normal(jax.random.key(0), (3, 11, 10, 2))
    found, expected = program(lambda x: (max_pool(x, 3, 2), nn.max_pool(x, (3, 3), (2, 2), "SAME")))(x)
    np.testing.assert_array_equal(found, expected)
