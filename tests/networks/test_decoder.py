"""The decoder: what it computes, that acting and learning say the same, and that no episode sees another."""

from __future__ import annotations

import json
from functools import cache, partial
from typing import Any

import decoder_oracle
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import program

from jaxrl_envs import Box, Discrete
from jaxrl_evolve.command.commands import find_command
from jaxrl_evolve.networks.check import check_network
from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.networks.decoder.network import allowed
from jaxrl_evolve.networks.decoder_config import DecoderConfig
from jaxrl_evolve.networks.distributions import Categorical
from jaxrl_evolve.networks.table import make_network, network_names
from jaxrl_evolve.storage.folder import plain
from jaxrl_evolve.training.config import TrainConfig

V, T, N = 11, 12, 3
OBS, ACTIONS = Box((0.0, 0.0), (V - 1.0, 1.0), (2,), "int32"), Discrete(V)
SHAPE = {"layers": 2, "width": 16, "heads": 4, "kv_heads": 2, "mlp": 12}


def network(**settings: Any) -> Any:
    config = NetworkConfig(kind="decoder", decoder=DecoderConfig(**SHAPE | settings))
    return make_network(config, OBS, ACTIONS)


@cache
def made(**settings: Any) -> tuple[Any, Any]:
    """A network, and parameters with nothing at zero or one."""
    net = network(**settings)
    params = program(net.init)(jax.random.key(0))
    rng = np.random.default_rng(0)
    moved = lambda x: x + 0.3 * rng.normal(size=x.shape).astype(np.float32)
    return net, jax.tree.map(moved, params)


def random_rollout(seed: int, asked: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Tokens with episodes ending at random places: observations ``[T, N, 2]``, and where episodes begin."""
    rng = np.random.default_rng(seed)
    obs = rng.integers(0, V, (T, N, 2)).astype(np.int32)
    obs[..., 1] = 1 if not asked else rng.integers(0, 2, (T, N))
    return obs, rng.random((T, N)) < 0.2


@cache
def programs(**settings: Any) -> tuple[Any, Any]:
    """Acting step by step over a rollout, and unrolling it: logits, values, and what acting leaves."""
    net, _ = made(**settings)

    def acted(params: Any, obs: Any, first: Any, memory: Any) -> Any:
        def step(memory: Any, xs: Any) -> Any:
            distribution, value, memory = net.policy_and_value(params, *xs, memory)
            return memory, (distribution.logits, value)

        memory, said = jax.lax.scan(step, memory, (obs, first))
        return *said, memory

    def unrolled(params: Any, obs: Any, first: Any, memory: Any) -> Any:
        distribution, value, prediction = net.unroll(params, obs, first, memory)
        assert prediction is None
        return distribution.logits, value

    return program(acted), program(unrolled)


def memory_of(net: Any, num: int = N) -> Any:
    return jax.device_get(net.initial_memory(num))


def test_a_decoder_is_a_network_by_name():
    net = network(context=5)
    check_network(net, OBS, ACTIONS)
    assert net.recurrent and "decoder" in network_names()


@pytest.mark.parametrize("settings", [{"tied": True}, {"tied": False, "qkv_bias": True, "head_dim": 6}])
def test_logits_are_those_of_an_independent_forward_pass(settings: dict[str, Any]):
    settings = settings | {"context": T, "rope_base": 50.0, "epsilon": 1e-3}
    (net, params), (_, unrolled) = made(**settings), programs(**settings)
    obs, _ = random_rollout(1)
    first = np.zeros((T, N), bool)
    first[0] = True
    found, value = unrolled(params, obs, first, memory_of(net))
    weights = decoder_oracle.hugging_face_names(params, 2, settings["tied"])
    critic = params["params"]["critic"]
    for n in range(N):
        expected, features = decoder_oracle.logits(
            weights, obs[:, n, 0], layers=2, heads=4, kv_heads=2, head_dim=settings.get("head_dim", 4),
            base=50.0, epsilon=1e-3,
        )  # fmt: skip
        np.testing.assert_allclose(found[:, n], expected, atol=2e-5)
        np.testing.assert_allclose(
            value[:, n], (features @ critic["kernel"] + critic["bias"])[:, 0], atol=2e-5
        )


@pytest.mark.parametrize("context", [T + T, 5])
def test_acting_step_by_step_says_what_unrolling_says(context: int):
    """Over two rollouts: the second begins in the middle of episodes. With the short context, longer ones slide through it."""
    (net, params), (acted, unrolled) = made(context=context), programs(context=context)
    memory, begun = memory_of(net), 0
    for seed in (0, 1, 2):
        obs, first = random_rollout(seed)
        first[0] = seed == 0
        first[1:, 0] = False  # one episode runs through all
        *said, after = acted(params, obs, first, memory)
        begun += (~first[0]).sum()
        for a, b in zip(said, unrolled(params, obs, first, memory), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)
        memory = after
    assert begun == 2 * N and memory.position[0] == 3 * T


@pytest.mark.parametrize("context", [T + T, 5])
def test_where_nothing_was_before_the_cache_need_not_be_looked_at(context: int):
    """Values and gradients, with an episode that began before the rollout and was not seen then."""
    net, params = made(context=context)
    obs, first = map(jnp.asarray, random_rollout(3))
    first = first.at[0].set(jnp.asarray([True, False, True]))

    def loss(params: Any, memory: Any) -> Any:
        distribution, value, _ = net.unroll(params, obs, first, memory)
        return distribution.log_prob(obs[..., 0]).mean() + value.mean()

    go = program(jax.value_and_grad(loss))
    fresh = net.before_any(N)
    assert fresh.context == 0
    jax.tree.map(
        partial(np.testing.assert_allclose, atol=1e-5), go(params, fresh), go(params, memory_of(net))
    )


def test_a_short_context_forgets():
    (net, params), (_, unrolled) = made(context=5), programs(context=5)
    obs, first = random_rollout(0)
    first[:] = False
    said, _ = unrolled(params, obs, first, memory_of(net))
    other = obs.copy()
    other[0, :, 0] = (other[0, :, 0] + 1) % V
    again, _ = unrolled(params, other, first, memory_of(net))
    moved = np.abs(again - said).max((1, 2))
    # Each of two layers looks 4 tokens back.
    assert (moved[:9] > 1e-4).all() and (moved[9:] == 0).all()


def test_no_token_sees_a_later_one_nor_another_episode():
    context = T + T
    (net, params), (acted, unrolled) = made(context=context), programs(context=context)
    obs, first = random_rollout(3)
    first[0], first[4], first[9] = False, True, True
    *_, memory = acted(params, obs, np.zeros((T, N), bool), memory_of(net))
    said, value = unrolled(params, obs, first, memory)
    for t in range(T):
        other = obs.copy()
        other[t, 1, 0] = (other[t, 1, 0] + 1) % V
        again, other_value = unrolled(params, other, first, memory)
        moved = (np.abs(again - said).max(-1) > 1e-5) | (np.abs(other_value - value) > 1e-6)
        end = next((s for s in range(t + 1, T) if first[s, 1]), T)
        expected = np.zeros((T, N), bool)
        expected[t:end, 1] = True
        np.testing.assert_array_equal(moved, expected)
    # What was before is seen where an episode goes on, and by nothing else.
    again, _ = unrolled(params, obs, first, memory.replace(values=memory.values + 1))
    before = np.cumsum(first, 0) == 0
    np.testing.assert_array_equal(np.abs(again - said).max(-1) > 1e-5, before)


def test_first_clears_the_memory():
    (net, params), (acted, _) = made(context=5), programs(context=5)
    obs, first = random_rollout(4)
    first[0] = True
    *_, memory = acted(params, obs, first, memory_of(net))
    for a, b in zip(
        acted(params, obs, first, memory)[:2], acted(params, obs, first, memory_of(net))[:2], strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_the_value_of_unrelated_observations_is_that_of_one_step_each():
    (net, params), (acted, unrolled) = made(context=5), programs(context=5)
    obs, first = random_rollout(5)
    first[:] = False
    memories, memory = [], memory_of(net)
    for t in range(2):
        memories.append(memory)
        still = np.zeros((T, N), bool)
        *_, memory = acted(params, np.broadcast_to(obs[t], obs.shape), still, memory)
    own = jax.tree.map(lambda *xs: np.stack(xs), *memories)
    found = program(net.value)(params, obs[:2], own)
    expected = [
        unrolled(params, np.broadcast_to(obs[t], obs.shape), first, memories[t])[1][0] for t in range(2)
    ]
    np.testing.assert_allclose(found, np.stack(expected), atol=1e-5)


def test_where_the_policy_is_not_asked_only_pad_is_possible_and_nothing_is_learned():
    net, params = made(layers=1, temperature=0.5)
    obs, first = random_rollout(6, asked=True)

    def loss(params: Any, weight: Any) -> Any:
        seen = jnp.asarray(obs), jnp.asarray(first), net.initial_memory(N)
        distribution, *_ = net.unroll(params, *seen)
        action = distribution.sample(jax.random.key(1))
        log_prob, entropy = distribution.log_prob(action), distribution.entropy()
        return (weight * (log_prob + entropy)).sum(), (log_prob, entropy, distribution.logits, action)

    silent = obs[..., 1] == 0
    gradient = program(jax.grad(loss, has_aux=True))
    slope, (log_prob, entropy, logits, action) = gradient(params, silent.astype(np.float32))
    assert (action[silent] == 0).all() and len(set(action[~silent])) > 3
    assert (log_prob[silent] == 0).all() and (entropy[silent] == 0).all()
    assert np.isfinite(logits[~silent]).all() and (log_prob[~silent] < 0).all()
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(slope))
    largest = [np.abs(x).max() for x in jax.tree.leaves(gradient(params, np.ones((T, N), np.float32))[0])]
    assert np.isfinite(largest).all() and max(largest) > 0


def test_of_many_tokens_too_only_pad_is_possible():
    """Distributions of more than 128 actions are computed in another way."""
    logits = np.random.default_rng(0).normal(size=(2, 150)).astype(np.float32)

    def loss(logits: Any) -> Any:
        distribution = Categorical(allowed(logits, jnp.asarray([0, 1])))
        log_prob, entropy = distribution.log_prob(jnp.asarray([0, 7])), distribution.entropy()
        return (log_prob + entropy).sum(), (log_prob, entropy)

    slope, told = program(jax.grad(loss, has_aux=True))(logits)
    assert all(x[0] == 0 and x[1] != 0 for x in told)
    assert (slope[0] == 0).all() and np.isfinite(slope[1]).all() and np.abs(slope[1]).max() > 0


def test_the_temperature_divides_the_logits():
    (net, params), (_, unrolled) = made(context=5), programs(context=5)
    obs, first = random_rollout(7)
    hot = network(context=5, temperature=2.0)
    found = program(lambda *args: hot.unroll(*args)[0].logits)(params, obs, first, memory_of(net))
    np.testing.assert_allclose(2 * found, unrolled(params, obs, first, memory_of(net))[0], rtol=1e-5)


def test_the_policy_is_that_beside_the_value():
    (net, params), (acted, _) = made(context=5), programs(context=5)
    obs, first = random_rollout(8)
    memory = memory_of(net)
    found, after = program(lambda params, *args: net.policy(net.actor(params), *args))(
        params, obs[0], first[0], memory
    )
    still = np.zeros((T, N), bool)
    np.testing.assert_allclose(found.logits, acted(params, obs, still, memory)[0][0], atol=1e-6)
    assert (after.position == 1).all()


BAD = {
    "heads": ({"heads": 3, "kv_heads": 3}, "heads is 3; it must divide width, which is 16, unless head_dim"),
    "kv_heads": ({"kv_heads": 3}, "kv_heads is 3; it must divide heads, which is 4"),
    "odd": ({"head_dim": 5}, "head_dim is 5; positions turn pairs of numbers, so it must be even"),
    "odd by itself": ({"heads": 16, "kv_heads": 16}, "width / heads is 1; positions"),
    "layers": ({"layers": 0}, "layers is 0; it must be a whole number of at least 1"),
    "context": ({"context": 2.5}, "context is 2.5; it must be a whole number of at least 1"),
    "temperature": ({"temperature": 0.0}, "temperature is 0.0; it must be a number of at least 1e-06"),
    "rope_base": ({"rope_base": -1.0}, "rope_base is -1.0; it must be a number above 1"),
    "tied": ({"tied": 1}, "tied is 1; it must be True or False"),
}


@pytest.mark.parametrize("case", BAD)
def test_settings_that_make_no_decoder_are_refused(case: str):
    settings, said = BAD[case]
    with pytest.raises(ValueError, match=f"^{said}"):
        DecoderConfig(**SHAPE | settings)


def test_what_a_decoder_cannot_serve_is_refused():
    config = NetworkConfig(kind="decoder")
    with pytest.raises(
        ValueError, match=r"observation_space is Box\(low=-1.0.*it must be Box\(low=\(0.0, 0.0\)"
    ):
        make_network(config, Box(-1.0, 1.0, (5,)), ACTIONS)
    with pytest.raises(ValueError, match="a decoder chooses tokens, so it must be Discrete"):
        make_network(config, OBS, Box(-1.0, 1.0, (2,)))
    with pytest.raises(ValueError, match="memory is 'gru', which a decoder does not read; it must be 'none'"):
        make_network(NetworkConfig(kind="decoder", memory="gru"), OBS, ACTIONS)
    for name, value in {
        "hidden": (256, 256),
        "shared": True,
        "activation": "relu",
        "distribution": "tanh_normal",
        "memory_size": 8,
    }.items():
        with pytest.raises(ValueError, match=f"{name} is .*, which a decoder does not read; it must be"):
            make_network(NetworkConfig(kind="decoder", **{name: value}), OBS, ACTIONS)
    with pytest.raises(ValueError, match="predictions is 3, but a decoder makes none"):
        make_network(config, OBS, ACTIONS, 3)
    with pytest.raises(ValueError, match="network.decoder is set, but network.kind is 'actor-critic'"):
        make_network(NetworkConfig(decoder=DecoderConfig(layers=1)), OBS, ACTIONS)
    net = network()
    act = partial(net.policy, net.actor(made()[1]))
    with pytest.raises(ValueError, match="observations are float32.*normalise_observations must be False"):
        act(jnp.zeros((N, 2)), jnp.ones(N, bool), net.initial_memory(N))


def test_its_shape_is_a_part_of_a_run_s_settings_and_written_where_it_says_something():
    words = "ppo --env CartPole-v1 --out x --learner.network.kind decoder --learner.network.decoder.layers 3"
    assert find_command("train").parse(words.split())
    shape = {"kind": "decoder", "decoder": {"layers": 3}}
    config = TrainConfig.preset("ppo", "CartPole-v1", learner={"network": shape})
    written = json.loads(json.dumps(plain(config)))
    assert (
        written["learner"]["network"]["decoder"]["layers"] == 3 and TrainConfig.from_json(written) == config
    )
    assert "decoder" not in plain(TrainConfig.preset("ppo", "CartPole-v1"))["learner"]["network"]
    written["learner"]["network"]["decoder"]["kv_heads"] = 3
    with pytest.raises(ValueError, match=r"learner.network.decoder.kv_heads is 3; it must divide heads"):
        TrainConfig.from_json(written)
