"""Networks of one's own: what is wrong with one is said in one sentence, and learners take it as it is."""

from __future__ import annotations

import dataclasses
import re
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest

from jaxrl_envs.spaces import Box, Discrete, Space
from jaxrl_evolve.learners.a2c import a2c_agent
from jaxrl_evolve.learners.lpg import lpg_agent
from jaxrl_evolve.learners.ppo import ppo
from jaxrl_evolve.learners.ppo_config import PPOConfig
from jaxrl_evolve.networks.actor_critic import make_actor_critic
from jaxrl_evolve.networks.check import check_network
from jaxrl_evolve.networks.distributions import Categorical
from jaxrl_evolve.networks.network import Network, NetworkConfig
from jaxrl_evolve.networks.table import make_network, network_names
from jaxrl_evolve.objectives import lpg
from jaxrl_evolve.runs.check import check_learner

OBS, ACTIONS = Box(-1.0, 1.0, (5,)), Discrete(4)


def linear(config: NetworkConfig, observations: Space, actions: Space, predictions: int = 0) -> Network:
    """The smallest network that there is."""
    del config, predictions
    assert isinstance(actions, Discrete)
    size = actions.n + 1

    def init(key: jax.Array) -> Any:
        return 0.1 * jax.random.normal(key, (*observations.shape, size), jnp.float32)

    def both(params: Any, obs: jax.Array) -> tuple[Categorical, jax.Array]:
        out = obs @ params
        return Categorical(out[..., 1:]), out[..., 0]

    return Network(
        init=init,
        actor=lambda params: params,
        policy=lambda actor, obs, first, memory: (both(actor, obs)[0], memory),
        policy_and_value=lambda params, obs, first, memory: (*both(params, obs), memory),
        unroll=lambda params, obs, first, memory: (*both(params, obs), None),
        value=lambda params, obs, memory: both(params, obs)[1],
    )


GOOD = linear(NetworkConfig(), OBS, ACTIONS)


@pytest.mark.parametrize("memory", ["none", "gru"])
@pytest.mark.parametrize("actions", [ACTIONS, Box(-1.0, 1.0, (2,))])
def test_the_library_s_own_networks_pass(memory: Any, actions: Space):
    config = NetworkConfig(hidden=(4, 4), memory=memory, memory_size=3)
    check_network(make_actor_critic(config, OBS, actions, 7), OBS, actions, 7)


def test_tables_and_small_networks_pass():
    table = make_network(NetworkConfig(encoder="tabular"), Discrete(9), ACTIONS, 3)
    check_network(table, Discrete(9), ACTIONS, 3)
    check_network(GOOD, OBS, ACTIONS)


def wrong(name: str, change: Any) -> Network:
    """The good network with one function's result changed."""
    right = getattr(GOOD, name)
    return GOOD._replace(**{name: lambda *arguments: change(right(*arguments))})


BAD = {
    "integers for parameters": (
        wrong("init", lambda x: {"w": x.astype(jnp.int32)}),
        "network.init gives ['w'] as int32; parameters must be floats of explicit dtype",
    ),
    "a weak type": (
        wrong("init", lambda x: {"w": x, "b": jnp.asarray(1.0)}),
        "network.init gives ['b'] as weakly typed float32",
    ),
    "one axis too many": (
        wrong("value", lambda x: x[..., None]),
        "network.value gives a value of float32[2, 3, 1]; it must be float32[2, 3]",
    ),
    "swapped axes": (
        wrong("unroll", lambda x: (x[0], x[1].T, None)),
        "network.unroll gives a value of float32[3, 2]; it must be float32[2, 3]",
    ),
    "too few actions": (
        wrong("policy", lambda x: (Categorical(x[0].logits[..., 1:]), x[1])),
        "network.policy gives a distribution with logits of float32[3, 3]; it must be float32[3, 4]",
    ),
    "whole numbers for logits": (
        wrong("policy", lambda x: (Categorical(x[0].logits.astype(jnp.int32)), x[1])),
        "network.policy gives a distribution with logits of int32[3, 4]; it must be float32[3, 4]",
    ),
    "a tuple of another length": (
        wrong("policy", lambda x: (*x, None)),
        "network.policy of float32[3, 5], bool[3] fails: TypeError: it gives tuple of 3, not a tuple of 2",
    ),
    "a prediction that nobody asked for": (
        wrong("unroll", lambda x: (x[0], x[1], jnp.zeros((2, 3, 7)))),
        "network.unroll gives float32[2, 3, 7] as prediction, and none is asked for; it must be None",
    ),
    "actions of another step": (
        wrong("unroll", lambda x: (Categorical(x[0].logits[0]), *x[1:])),
        "network.unroll gives a distribution with a sample of int32[3]; it must be int32[2, 3]",
    ),
    "half precision": (
        wrong("policy_and_value", lambda x: (x[0], x[1].astype(jnp.bfloat16), x[2])),
        "network.policy_and_value gives a value of bfloat16[3]; it must be float32[3]",
    ),
    "no memory returned": (
        wrong("policy", lambda x: x[0]),
        "network.policy of float32[3, 5], bool[3] fails: TypeError: it gives Categorical, not a tuple of 2",
    ),
    "logits for a distribution": (
        wrong("policy", lambda x: (x[0].logits, x[1])),
        "network.policy of float32[3, 5], bool[3] fails: TypeError: it gives float32[3, 4], not a distribution",
    ),
    "a memory from nowhere": (
        wrong("policy", lambda x: (x[0], jnp.zeros(3))),
        "network.policy gives a memory of float32[3]; it must be like initial_memory's, ()",
    ),
    "a memory that it does not tell of": (
        GOOD._replace(initial_memory=lambda num_envs: jnp.zeros((num_envs, 2))),
        "network.recurrent is False, but of the memory there is one",
    ),
    "a memory without environments": (
        GOOD._replace(initial_memory=lambda num_envs: jnp.zeros(2), recurrent=True),
        "network.initial_memory gives float32[2] for 3 environments; the first axis must be theirs",
    ),
    "a fresh memory that cannot be read": (
        GOOD._replace(
            fresh_memory=lambda num_envs: jnp.zeros(num_envs),
            unroll=lambda params, obs, first, memory: GOOD.unroll(
                params, obs if memory == () else obs @ memory, first, ()
            ),
        ),
        "network.unroll of float32[2, 3, 5], bool[2, 3], float32[3] fails: ",
    ),
    "a number for a value": (
        wrong("unroll", lambda x: (x[0], None, None)),
        "network.unroll gives NoneType for a value; it must be an array",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_said_in_one_sentence(name: str):
    network, message = BAD[name]
    with pytest.raises(ValueError, match="^" + re.escape(message)) as caught:
        check_network(network, OBS, ACTIONS)
    assert "\n" not in str(caught.value)


def test_predictions_that_it_does_not_make_are_missed():
    check_network(GOOD, OBS, ACTIONS, 0)
    with pytest.raises(
        ValueError, match="the objective needs predictions of 8 classes, and the network makes"
    ):
        check_network(GOOD, OBS, ACTIONS, 8)
    predicting = make_actor_critic(NetworkConfig(hidden=(4,)), OBS, ACTIONS, 7)
    with pytest.raises(ValueError, match=r"network.unroll gives a prediction of float32\[2, 3, 7\]"):
        check_network(predicting, OBS, ACTIONS, 8)


def test_learners_take_a_network_of_one_s_own():
    env = probes.probe_env()
    sizes = (env, 4, 8)
    params: Any = linear(NetworkConfig(), env.observation_space, env.action_space).init(jax.random.key(3))
    once = PPOConfig(epochs=1, minibatches=1)
    for learner in (ppo(*sizes, network=linear), a2c_agent(*sizes, once, network=linear)):
        state = learner.init(jax.random.key(3), learner.default_hp)
        np.testing.assert_array_equal(state.params, params)
    with pytest.raises(ValueError, match="needs predictions of 8 classes"):
        lpg_agent(*sizes, once, objective=lpg(), network=linear)
    recurrent = partial(make_actor_critic, NetworkConfig(memory="gru"))
    with pytest.raises(ValueError, match="shuffle is 'blocks'; a recurrent network needs whole sequences"):
        ppo(*sizes, PPOConfig(shuffle="blocks"), network=lambda config, *spaces: recurrent(*spaces))


def remembering(
    config: NetworkConfig, obs_space: Space, action_space: Space, predictions: int = 0
) -> Network:
    """A GRU of the library's whose actor reads a part of the parameters that has another structure."""
    inner = make_actor_critic(dataclasses.replace(config, memory="gru"), obs_space, action_space, predictions)
    unpacked = lambda function: lambda params, *arguments: function(params["all"], *arguments)
    return inner._replace(
        init=lambda key: {"all": inner.init(key), "more": jnp.zeros(2)},
        actor=lambda params: params["all"],
        **{name: unpacked(getattr(inner, name)) for name in ("policy_and_value", "unroll", "value")},
    )


def test_the_actor_of_a_network_with_a_memory_may_be_a_part():
    env = probes.probe_env()
    config = PPOConfig(
        epochs=1, minibatches=1, network=NetworkConfig(hidden=(4,), memory="gru", memory_size=3)
    )
    check_learner(ppo(env, 4, 8, config, network=remembering), env, 4, 8)


def test_a_factory_that_fails_is_named():
    def ends(*arguments: Any) -> Any:
        raise SystemExit(4)

    for factory, said in ((ends, "SystemExit: 4"), (lambda *arguments: {}["zz"], "KeyError: 'zz'")):
        with pytest.raises(ValueError, match=f"^the network's factory failed with {said}"):
            make_network(NetworkConfig(), OBS, ACTIONS, 0, factory)


def test_a_factory_that_forgets_to_return_is_refused():
    with pytest.raises(ValueError, match=r"^the network's factory gave a NoneType; it must be a Network"):
        make_network(NetworkConfig(), OBS, ACTIONS, 0, lambda *arguments: None)  # type: ignore[arg-type]


def test_a_memory_that_a_factory_does_not_read_is_refused():
    asked = NetworkConfig(memory="gru")
    with pytest.raises(
        ValueError, match="^network.memory is 'gru', which the network's factory does not read"
    ):
        make_network(asked, OBS, ACTIONS, 0, linear)
    assert make_network(asked, OBS, ACTIONS, 0, make_actor_critic).recurrent


def test_a_name_that_is_none_gets_near_matches():
    assert "actor-critic" in network_names()
    with pytest.raises(ValueError, match=r"network.kind is 'actor-critik'.*: did you mean actor-critic"):
        make_network(NetworkConfig(kind="actor-critik"), OBS, ACTIONS)
