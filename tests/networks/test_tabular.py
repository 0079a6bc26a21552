"""A table is a linear network over one-hot states, without the one-hot states."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import program

from jaxrl_envs.spaces import Box, Discrete
from jaxrl_evolve.learners.ppo import PPOConfig
from jaxrl_evolve.networks.network import NetworkConfig
from jaxrl_evolve.networks.table import make_network

STATES, ACTIONS, CLASSES = 7, 3, 4
TABULAR = NetworkConfig(encoder="tabular")


def test_rows_and_gradients_are_those_of_the_linear_network():
    network = make_network(TABULAR, Discrete(STATES), Discrete(ACTIONS), CLASSES)
    params = program(network.init)(jax.random.key(0))
    assert jax.tree.map(jnp.shape, params) == {
        "policy": (STATES, ACTIONS),
        "value": (STATES,),
        "prediction": (STATES, CLASSES),
    }
    assert not any(leaf.any() for leaf in jax.tree.leaves(params))
    shapes, first = {name: leaf.shape for name, leaf in params.items()}, np.zeros((5, 2), bool)

    @program
    def drawn():
        keys = dict(zip(shapes, jax.random.split(jax.random.key(1), 3), strict=True))
        params = {name: jax.random.normal(keys[name], shape) for name, shape in shapes.items()}
        return params, jax.random.randint(jax.random.key(2), (5, 2), 0, STATES, jnp.int32)

    params, obs = drawn()

    def looked_up(params, obs, first):
        distribution, value, prediction = network.unroll(params, obs, first, ())
        return jnp.sin(distribution.logits).sum() + jnp.sin(value).sum() + jnp.sin(prediction).sum()

    def multiplied(params, obs, first):
        one_hot = jax.nn.one_hot(obs, STATES)
        return sum(jnp.sin(one_hot @ params[name]).sum() for name in params)

    both = program(
        lambda *given: [jax.value_and_grad(function)(*given) for function in (looked_up, multiplied)]
    )
    (found, got), (expected, want) = both(params, obs, first)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), got, want)

    act = lambda params, obs, first: network.policy(network.actor(params), obs, first, ())
    policy, memory = program(act)(params, obs[0], first[0])
    np.testing.assert_array_equal(policy.logits, params["policy"][obs[0]])
    assert memory == () == network.initial_memory(2)
    value, prediction = program(told(network))(params, obs)
    np.testing.assert_array_equal(value, params["value"][obs])
    np.testing.assert_array_equal(prediction, params["prediction"][obs])


def told(network):
    """Value and prediction."""
    return lambda params, obs: (network.value(params, obs, ()), network.predict(params, obs, ()))


def test_what_a_table_cannot_serve_is_refused():
    box = Box(0.0, 1.0, (3,))
    with pytest.raises(ValueError, match="encoder is 'tabular' but observation_space is Box"):
        make_network(TABULAR, box, Discrete(2))
    with pytest.raises(ValueError, match="encoder is 'tabular' but action_space is Box"):
        make_network(TABULAR, Discrete(4), box)
    with pytest.raises(ValueError, match="memory is 'gru'; a table has none"):
        NetworkConfig(encoder="tabular", memory="gru")
    with pytest.raises(ValueError, match="normalise_observations is True, but network.encoder is 'tabular'"):
        PPOConfig(normalise_observations=True, network=TABULAR)


def test_predictions_of_a_network_are_its_value_heads():
    network = make_network(NetworkConfig(hidden=(5,)), Box(-1.0, 1.0, (3,)), Discrete(2), CLASSES)

    @program
    def both(key):
        params, obs = network.init(key), jax.random.normal(jax.random.key(1), (4, 2, 3))
        return network.unroll(params, obs, jnp.zeros((4, 2), bool), ())[1:], told(network)(params, obs)

    (value, prediction), (value_alone, prediction_alone) = both(jax.random.key(0))
    assert prediction is not None
    assert prediction.shape == (4, 2, CLASSES)
    np.testing.assert_allclose(value_alone, value, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(prediction_alone, prediction, rtol=1e-5, atol=1e-6)
