import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_evolve.networks.orthogonal import orthogonal


@pytest.mark.parametrize(
    "shape",
    [(1, 1), (4, 64), (64, 64), (64, 1), (3, 3, 4, 16), (256, 128)],
    ids=lambda s: "x".join(map(str, s)),
)
def test_rows_or_columns_are_orthonormal(shape):
    keys = jax.random.split(jax.random.key(0), 32)
    batch = jax.vmap(lambda key: orthogonal(2.0)(key, shape))(keys)
    assert batch.shape == (32, *shape)
    assert batch.dtype == jnp.float32
    assert not batch.weak_type
    for matrix in np.asarray(batch, np.float64).reshape(32, -1, shape[-1]):
        short = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
        np.testing.assert_allclose(short @ short.T, 4.0 * np.eye(len(short)), atol=2e-5)


def test_distribution_is_that_of_a_uniform_rotation():
    """Entries of a uniform orthogonal 3x3 matrix have mean 0, second moment 1/3, fourth moment 1/5."""
    keys = jax.random.split(jax.random.key(1), 20_000)
    entries = np.asarray(jax.jit(jax.vmap(lambda key: orthogonal()(key, (3, 3))))(keys), np.float64)
    np.testing.assert_allclose(entries.mean(0), 0.0, atol=0.02)
    np.testing.assert_allclose((entries**2).mean(0), 1 / 3, atol=0.01)
    np.testing.assert_allclose((entries**4).mean(0), 1 / 5, atol=0.01)
    assert abs(np.mean(np.linalg.det(entries) > 0) - 0.5) < 0.02


def test_a_vector_is_refused():
    with pytest.raises(ValueError, match=r"shape is \(3,\)"):
        orthogonal()(jax.random.key(0), (3,))
