"""Action values: the noise of the head's layers, and settings that change what they say they do."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_envs import Box
from jaxrl_evolve.networks.action_values import ActionValues, check_action_values
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


def params_of(config: ActionValuesConfig, *shape: int) -> Any:
    """Shapes of the parameters for observations of a shape, by path."""
    network = ActionValues(config, actions=3, atoms=1, predicts=False)
    init = lambda obs: network.init(
        jax.random.key(0), obs, jnp.zeros(1, jnp.int32), method=ActionValues.everything
    )
    found = jax.eval_shape(init, jnp.zeros((1, *shape)))["params"]
    return {
        "/".join(key.key for key in path): x.shape for path, x in jax.tree_util.tree_leaves_with_path(found)
    }


def test_every_layer_of_the_residual_encoder_is_normalised():
    """Five convolutions in each of three stages, each before the next nonlinearity but the two that are added up in between, and the hidden layers."""
    config = ActionValuesConfig(encoder="impala", hidden=(7, 5))
    plain = params_of(config, 8, 8, 2)
    normal = params_of(ActionValuesConfig(encoder="impala", hidden=(7, 5), layer_norm=True), 8, 8, 2)
    added = {name: shape for name, shape in normal.items() if name not in plain and name.endswith("scale")}
    widths = [shape for name, shape in sorted(added.items()) if "_Stage" in name]
    assert widths == [(16,)] * 4 + [(32,)] * 8
    rest = sorted(shape for name, shape in added.items() if "_Stage" not in name)
    assert rest == [(5,), (7,), (32,)]  # the head, the encoder's dense layer, the end of the convolutions
    assert {name: normal[name] for name in plain} == plain


def test_two_streams_are_normalised_each_by_itself():
    """By gains of zero for one of them, values depend on the other alone, and by those for the other on the first."""
    config = ActionValuesConfig(encoder="flat", hidden=(6,), dueling=True, layout="faithful", layer_norm=True)
    network = ActionValues(config, actions=3, atoms=1, predicts=False)
    obs = jax.random.normal(jax.random.key(1), (4, 5))
    params = network.init(jax.random.key(0), obs, jnp.zeros(4, jnp.int32), method=ActionValues.everything)
    read = lambda n, obs: n.values(n.encode(obs), False)[0][..., 0]

    def without(name: str) -> np.ndarray:
        own = params["params"]
        gains = {**own[name], "scale": jnp.zeros(6)}
        return np.asarray(network.apply({"params": {**own, name: gains}}, obs, method=read))

    whole = np.asarray(network.apply(params, obs, method=read))
    # Advantages have a mean of zero; what is left of the values without them is the same for all actions.
    np.testing.assert_allclose(without("normalise"), whole.mean(1, keepdims=True).repeat(3, 1), atol=1e-6)
    np.testing.assert_allclose(without("normalise_value"), whole - whole.mean(1, keepdims=True), atol=1e-6)
    assert np.abs(whole.mean(1)).min() > 1e-3


@pytest.mark.parametrize(("encoder", "shape"), [("flat", (4,)), ("impala", (8, 8, 1))])
def test_dropout_where_no_units_are_left_out_is_refused(encoder: Any, shape: tuple[int, ...]):
    config = ActionValuesConfig(encoder=encoder, dropout=0.5)
    message = f"network.dropout is 0.5, but the encoder '{encoder}' leaves out no units; it must be 0, or the encoder 'minatar' or 'atari'"
    with pytest.raises(ValueError, match=message):
        check_action_values(config, Box(0.0, 1.0, shape))
