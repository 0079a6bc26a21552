"""The noise of the head's layers."""

import re

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_evolve.networks.action_values import ActionValues
from jaxrl_evolve.networks.action_values_config import ActionValuesConfig


def test_every_layer_has_noise_of_its_own_of_the_published_size():
    config = ActionValuesConfig(encoder="flat", hidden=(7,), dueling=True, noisy=True, layout="faithful")
    network = ActionValues(config, actions=3, atoms=5, predicts=False)

    @jax.jit
    @jax.vmap
    def drawn(key):
        return list(network.apply({}, 11, rngs={"noise": key}, method=ActionValues._noise))

    layers = [np.asarray(x) for x in drawn(jax.random.split(jax.random.key(0), 20_000))]
    assert [x.shape[1] for x in layers] == [11 + 7, 7 + 15, 11 + 7, 7 + 5]
    together = np.concatenate(layers, 1)
    # Of a normal number the root of its size, with its sign: the square's mean is the size's, sqrt(2 / pi).
    products = together.T @ together / len(together)
    np.testing.assert_allclose(products, np.sqrt(2 / np.pi) * np.eye(70), atol=0.04)
    np.testing.assert_allclose(together.mean(0), 0.0, atol=0.04)


def test_noise_is_made_once_not_for_each_row_of_a_batch():
    """Regression: every product that read it made its normal numbers anew."""
    config = ActionValuesConfig(encoder="flat", hidden=(7,), dueling=True, noisy=True, layout="faithful")
    network = ActionValues(config, actions=3, atoms=5, predicts=False)
    features = jnp.ones((4, 11))
    params = network.init(
        jax.random.key(0), features, jnp.zeros(4, jnp.int32), method=ActionValues.everything
    )
    values = lambda key: network.apply(
        params, features, True, rngs={"noise": key}, method=ActionValues.values
    )
    program = jax.jit(values).lower(jax.random.key(1)).compile().as_text()
    assert (
        len(re.findall(r" multiply\(", program)) < 60
    )  # a normal number takes 16, and eight places read them
