"""Actor-critic networks: initialisation, shapes, memory and what separate towers share (nothing)."""

from __future__ import annotations

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import program
from same import assert_equal

from jaxrl_envs import Box, Discrete
from jaxrl_evolve.networks.distributions import Categorical, Normal, TanhNormal
from jaxrl_evolve.networks.layers import Encoder
from jaxrl_evolve.networks.network import NetworkConfig
from jaxrl_evolve.networks.orthogonal import orthogonal
from jaxrl_evolve.networks.table import make_network

VECTOR = Box(-1.0, 1.0, (5,))
BOARD = Box(0.0, 1.0, (10, 10, 4))
FRAMES = Box(0.0, 255.0, (36, 40, 3), "uint8")
THREE = Discrete(3)


def _params(config: NetworkConfig, space: Any = VECTOR, actions: Any = THREE, seed: int = 0) -> Any:
    network = make_network(config, space, actions)
    return network, program(network.init)(jax.random.key(seed))


def _assert_orthogonal(kernel: Any, gain: float) -> None:
    """``[in, out]`` with orthogonal rows or columns of norm ``gain``."""
    kernel = np.asarray(kernel)
    kernel = kernel if kernel.shape[0] >= kernel.shape[1] else kernel.T
    np.testing.assert_allclose(kernel.T @ kernel, gain**2 * np.eye(kernel.shape[1]), atol=2e-5)


@pytest.mark.parametrize("shared", [False, True])
def test_initial_weights_are_orthogonal_with_the_literatures_gains(shared: bool):
    _, params = _params(NetworkConfig(hidden=(8, 16), shared=shared, memory="gru", memory_size=12))
    p = params["params"]
    towers = 1 if shared else 2
    for layer in ("layers_0", "layers_1"):
        assert p[layer]["kernel"].shape[0] == towers
        for kernel in p[layer]["kernel"]:
            _assert_orthogonal(kernel, np.sqrt(2))
    _assert_orthogonal(p["policy_head"]["kernel"], 0.01)
    _assert_orthogonal(p["value_head"]["kernel"], 1.0)
    for kernel in (*p["gru"]["input_kernel"], *p["gru"]["memory_kernel"]):
        _assert_orthogonal(kernel, 1.0)
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        assert leaf.dtype == jnp.float32
        if "bias" in jax.tree_util.keystr(path):
            assert (np.asarray(leaf) == 0).all()


def test_towers_and_keys_get_different_weights():
    _, params = _params(NetworkConfig())
    kernel = params["params"]["layers_0"]["kernel"]
    assert np.abs(np.asarray(kernel[0] - kernel[1])).max() > 0.1
    _, other = _params(NetworkConfig(), seed=1)
    assert np.abs(np.asarray(kernel - other["params"]["layers_0"]["kernel"])).max() > 0.1


def _heads(network: Any, params: Any, obs: Any) -> tuple[Any, Any]:
    num = obs.shape[0]
    memory = jax.tree.map(lambda x: x + 0.5, network.initial_memory(num))
    distribution, value, _ = network.policy_and_value(params, obs, jnp.zeros(num, bool), memory)
    return distribution.logits, value


def _told(network: Any, params: Any, obs: Any) -> tuple[Any, Any]:
    """What `_heads` gives, by one program."""
    return program(partial(_heads, network))(params, obs)


def _normal(*shape: int) -> np.ndarray:
    return program(lambda key: jax.random.normal(key, shape))(jax.random.key(1))


@pytest.mark.parametrize("memory", ["none", "gru"])
@pytest.mark.parametrize("encoder", ["flat", "minatar"])
def test_separate_towers_share_nothing_and_shared_ones_everything(memory: Any, encoder: Any):
    obs = _normal(4, *BOARD.shape)
    for shared in (False, True):
        config = NetworkConfig(
            encoder=encoder, hidden=(6, 6), shared=shared, memory=memory, memory_size=5, activation="tanh"
        )
        network, params = _params(config, BOARD)

        @jax.jit
        def gradients(params: Any, obs: Any, network: Any = network) -> Any:
            policy = jax.grad(lambda p: jnp.square(_heads(network, p, obs)[0]).sum())(params)
            value = jax.grad(lambda p: jnp.square(_heads(network, p, obs)[1]).sum())(params)
            return policy, value

        policy, value = (jax.device_get(g["params"]) for g in gradients(params, obs))
        for name, of_policy in policy.items():
            of_value = value[name]
            if name.endswith("_head"):
                continue
            for a, b in zip(jax.tree.leaves(of_policy), jax.tree.leaves(of_value), strict=True):
                if shared:
                    assert np.abs(b).max() > 0, name
                elif name.startswith("encoders"):
                    assert np.abs(a if name == "encoders_0" else b).max() > 0, name
                    assert np.abs(b if name == "encoders_0" else a).max() == 0, name
                else:
                    assert np.abs(a[1]).max() == 0, name
                    assert np.abs(b[0]).max() == 0, name
                    assert np.abs(b[1]).max() > 0, name


def test_a_flat_network_is_two_ordinary_perceptrons():
    network, params = _params(NetworkConfig(hidden=(7, 6), activation="relu"))
    obs = _normal(9, 5)
    p = jax.tree.map(lambda x: np.asarray(x) + 0.1, params["params"])
    logits, value = _told(network, {"params": p}, obs)
    for tower, head, out in ((0, "policy_head", logits), (1, "value_head", value[:, None])):
        x = np.asarray(obs)
        for layer in ("layers_0", "layers_1"):
            x = np.maximum(x @ p[layer]["kernel"][tower] + p[layer]["bias"][tower], 0.0)
        np.testing.assert_allclose(out, x @ p[head]["kernel"] + p[head]["bias"], rtol=1e-4, atol=1e-5)


def _sigmoid(x: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-x))


def test_the_memory_is_a_gated_recurrent_unit():
    network, params = _params(NetworkConfig(hidden=(6,), memory="gru", memory_size=4))
    rng = np.random.default_rng(0)
    p = jax.tree.map(
        lambda x: np.asarray(x) + 0.3 * rng.normal(size=x.shape).astype(np.float32), params["params"]
    )
    obs = rng.normal(size=(3, 5)).astype(np.float32)
    memory = rng.normal(size=(3, 2, 4)).astype(np.float32)
    first = np.asarray([False, True, False])
    _, value, after = program(network.policy_and_value)({"params": p}, obs, first, memory)
    for tower in (0, 1):
        x = np.tanh(np.asarray(obs) @ p["layers_0"]["kernel"][tower] + p["layers_0"]["bias"][tower])
        h = np.where(np.asarray(first)[:, None], 0.0, np.asarray(memory)[:, tower])
        w, u = (np.split(p["gru"][k][tower], 3, axis=1) for k in ("input_kernel", "memory_kernel"))
        b, c = np.split(p["gru"]["bias"][tower], 3), p["gru"]["candidate_bias"][tower]
        r = _sigmoid(x @ w[0] + h @ u[0] + b[0])
        z = _sigmoid(x @ w[1] + h @ u[1] + b[1])
        n = np.tanh(x @ w[2] + b[2] + r * (h @ u[2] + c))
        np.testing.assert_allclose(after[:, tower], (1 - z) * n + z * h, rtol=1e-4, atol=1e-5)
    head = p["value_head"]
    expected = (np.asarray(after)[:, 1] @ head["kernel"] + head["bias"])[:, 0]
    np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)


def test_the_memory_is_flax_gru_with_the_weights_rearranged():
    import flax.linen as nn

    network, params = _params(NetworkConfig(hidden=(6,), memory="gru", memory_size=4, shared=True))
    rng = np.random.default_rng(0)
    p = jax.tree.map(
        lambda x: np.asarray(x) + 0.3 * rng.normal(size=x.shape).astype(np.float32), params["params"]
    )
    obs = rng.normal(size=(3, 5)).astype(np.float32)
    memory = rng.normal(size=(3, 1, 4)).astype(np.float32)
    act = program(lambda params, *given: network.policy(network.actor(params), *given))
    after = act({"params": p}, obs, np.zeros(3, bool), memory)[1]
    gru = {k: v[0] for k, v in p["gru"].items()}
    theirs: dict[str, Any] = {}
    for i, gate in enumerate("rzn"):
        part = slice(4 * i, 4 * (i + 1))
        theirs[f"i{gate}"] = {"kernel": gru["input_kernel"][:, part], "bias": gru["bias"][part]}
        theirs[f"h{gate}"] = {"kernel": gru["memory_kernel"][:, part]}
    theirs["hn"]["bias"] = gru["candidate_bias"]
    x = np.tanh(np.asarray(obs) @ p["layers_0"]["kernel"][0] + p["layers_0"]["bias"][0])
    expected, _ = program(nn.GRUCell(4).apply)({"params": theirs}, memory[:, 0], x)
    np.testing.assert_allclose(after[:, 0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("encoder", "space", "memory"),
    [
        ("flat", VECTOR, "none"),
        ("flat", BOARD, "gru"),
        ("flat", Box(0.0, 1.0, ()), "none"),
        ("flat", Discrete(6), "gru"),
        ("minatar", BOARD, "none"),
        ("minatar", BOARD, "gru"),
        ("atari", FRAMES, "none"),
    ],
)
def test_shapes_and_agreement_of_the_four_ways_to_ask(encoder: Any, space: Any, memory: Any):
    config = NetworkConfig(encoder=encoder, hidden=(8,), memory=memory, memory_size=4)
    network, params = _params(config, space)
    assert network.recurrent == (memory == "gru")
    first, start = jnp.zeros((3, 2), bool), network.initial_memory(2)
    if memory == "gru":
        assert start.shape == (2, 2, 4)

    @jax.jit
    def ask(params: Any) -> Any:
        sample = jax.vmap(jax.vmap(space.sample))(jax.random.split(jax.random.key(0), (3, 2)))
        memories = jax.tree.map(lambda x: jnp.stack([x] * 3), start)
        return (
            network.policy(network.actor(params), sample[0], first[0], start),
            network.policy_and_value(params, sample[0], first[0], start),
            network.unroll(params, sample, first, start),
            network.value(params, sample, memories),
        )

    (policy, _), (same_policy, value, after), (policies, values, prediction), alone = ask(params)
    assert prediction is None
    assert (policy.logits.shape, value.shape, value.dtype) == ((2, 3), (2,), jnp.float32)
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, start)
    assert (policies.logits.shape, values.shape, alone.shape) == ((3, 2, 3), (3, 2), (3, 2))
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    close(policy.logits, same_policy.logits)
    close(policies.logits[0], policy.logits)
    close(values[0], value)
    close(alone[0], value)
    assert np.isfinite(values).all()


def test_pixels_are_scaled_to_one_and_numbers_are_not():
    as_bytes = Box(0.0, 255.0, (4,), "uint8")
    config = NetworkConfig(hidden=(8,))
    network, params = _params(config, as_bytes)
    plain, _ = _params(config, Box(0.0, 1.0, (4,)))
    obs = np.asarray([[0, 51, 255, 102]], np.uint8)
    scaled = np.asarray([[0.0, 0.2, 1.0, 0.4]], np.float32)
    np.testing.assert_allclose(_told(network, params, obs)[1], _told(plain, params, scaled)[1], rtol=1e-5)


def test_discrete_observations_are_one_hot():
    network, params = _params(NetworkConfig(hidden=(8,)), Discrete(4))
    plain, _ = _params(NetworkConfig(hidden=(8,)), Box(0.0, 1.0, (4,)))
    obs = np.asarray([0, 3, 2], np.int32)
    one_hot = np.eye(4)[[0, 3, 2]].astype(np.float32)
    np.testing.assert_allclose(_told(network, params, obs)[1], _told(plain, params, one_hot)[1], rtol=1e-5)


@pytest.mark.parametrize(
    ("actions", "distribution", "kind"),
    [
        (Discrete(3), "normal", Categorical),
        (Box(-2.0, 2.0, (2,)), "normal", Normal),
        (Box(-float("inf"), float("inf"), (2,)), "normal", Normal),
        (Box(-2.0, (1.0, 3.0), (2,)), "tanh_normal", TanhNormal),
    ],
)
def test_policies_fit_the_action_space(actions: Any, distribution: Any, kind: Any):
    network, params = _params(NetworkConfig(distribution=distribution), actions=actions)

    @program
    def act(params: Any, obs: Any, key: Any) -> Any:
        policy, memory = network.policy(network.actor(params), obs, jnp.zeros(6, bool), ())
        return policy, memory, policy.sample(key)

    policy, memory, action = act(params, np.ones((6, 5), np.float32), jax.random.key(0))
    assert isinstance(policy, kind)
    assert memory == ()
    assert action.shape == (6, *actions.shape)
    if kind is not Normal:
        assert all(actions.contains(a) for a in np.asarray(action))
    assert ("log_std" in params["params"]) == (kind is not Categorical)


@pytest.mark.parametrize(
    ("config", "space", "actions", "message"),
    [
        (
            {"encoder": "minatar"},
            VECTOR,
            Discrete(2),
            "encoder is 'minatar' but observations have shape \\(5,\\)",
        ),
        ({"encoder": "atari"}, BOARD, Discrete(2), "at least 36x36"),
        ({"encoder": "minatar"}, Discrete(3), Discrete(2), "encoder is 'minatar'"),
        ({}, VECTOR, Box(-1.0, 1.0, (2, 2)), "allowed are Discrete and a Box of floats with one dimension"),
        ({}, VECTOR, Box(0, 3, (2,), "int32"), "flatten_actions makes a Discrete"),
        ({"distribution": "tanh_normal"}, VECTOR, Box(-1.0, float("inf"), (2,)), "unbounded; use 'normal'"),
        ({"hidden": ()}, VECTOR, Discrete(2), "hidden is \\(\\)"),
        ({"hidden": (64, 0)}, VECTOR, Discrete(2), "hidden is"),
        ({"memory_size": 0}, VECTOR, Discrete(2), "memory_size is 0"),
    ],
)
def test_networks_that_do_not_fit_are_refused(config: Any, space: Any, actions: Any, message: str):
    with pytest.raises(ValueError, match=message):
        make_network(NetworkConfig(**config), space, actions)


@pytest.mark.parametrize("high", [1, 255])
def test_frames_are_scaled_by_the_bounds_of_their_space(high: int):
    """Their dtype says how they are stored, not how large they are."""
    encoder = Encoder("flat", Box(0, high, (4,), "uint8"))
    obs = np.asarray([[0, high, high, 0]], np.uint8)
    np.testing.assert_array_equal(program(encoder.apply)({}, obs), [[0.0, 1.0, 1.0, 0.0]])


@pytest.mark.parametrize("shared", [False, True])
def test_latents_are_what_policy_and_value_are_read_off(shared: bool):
    network, params = _params(NetworkConfig(encoder="minatar", hidden=(6, 5), shared=shared), BOARD)
    obs = program(lambda key: jax.random.uniform(key, (4, *BOARD.shape)))(jax.random.key(1))

    @program
    def read(params: Any, obs: Any) -> Any:
        units = jnp.tanh(network.latents.project(params, network.latents.encode(params, obs)))
        heads = [params["params"][name] for name in ("policy_head", "value_head")]
        towers = jnp.split(units, 1 if shared else 2, 1)
        logits, value = (
            x @ h["kernel"] + h["bias"] for x, h in zip((towers[0], towers[-1]), heads, strict=True)
        )
        said = network.unroll(params, obs[None], jnp.zeros((1, 4), bool), ())
        return (logits, value[:, 0]), (said[0].logits[0], said[1][0])

    found, expected = read(params, obs)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a - a.mean(), b - b.mean(), rtol=1e-4, atol=1e-5)
    one, params = _params(NetworkConfig(hidden=(6,)))
    features = jax.jit(one.latents.encode)(params, np.ones((2, 5), np.float32))
    assert features.shape == (2, 12) and one.latents.project(params, features) is features
    assert make_network(NetworkConfig(memory="gru"), VECTOR, THREE).latents is None


def test_encoders_of_frames_are_flaxs_convolutions():
    drawn = program(lambda key: jax.random.randint(key, (2, *FRAMES.shape), 0, 256).astype(jnp.uint8))
    frames = drawn(jax.random.key(0))
    ours = Encoder("atari", FRAMES)

    class Theirs(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            for features, size, stride in ((32, 8, 4), (64, 4, 2), (64, 3, 1)):
                init = orthogonal(np.sqrt(2.0))
                conv = nn.Conv(features, (size, size), (stride, stride), padding="VALID", kernel_init=init)
                x = nn.relu(conv(x))
            return x.reshape((x.shape[0], -1))

    theirs, scaled = Theirs(), frames / np.float32(255)
    params = jax.jit(theirs.init)(jax.random.key(1), scaled)  # as runs of earlier versions have stored them
    assert_equal(jax.jit(ours.init)(jax.random.key(1), frames), params)
    found, expected = jax.jit(ours.apply)(params, frames), jax.jit(theirs.apply)(params, scaled)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
