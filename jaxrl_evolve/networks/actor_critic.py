"""Actor-critic networks: MLP or CNN encoders, optional GRU memory, shared or separate trunks.

The trunks of actor and critic are stored *stacked* on a leading tower axis and computed as one batched
product with features first (``[tower, features, batch]``). Next to two ordinary MLPs this halves the
number of kernels of a small network, and keeps the bias gradients on the fast axis of a CPU.

Initialisation follows the PPO literature (Engstrom et al. 2020; Huang et al. 2022): orthogonal with gain
sqrt(2) in hidden layers, 0.01 in the policy head and 1 in the value head, biases zero.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxrl_envs.spaces import Box, Discrete, Space
from jaxrl_evolve.networks.distributions import Categorical, Distribution, Normal, TanhNormal
from jaxrl_evolve.networks.layers import check_encoder
from jaxrl_evolve.networks.network import Latents, Network, NetworkConfig
from jaxrl_evolve.networks.towers import ActorCritic


class _Parts(NamedTuple):
    """What the functions of one network read, all static.

    Attributes:
        config: its shape.
        observation_space: of one observation.
        action_space: of one action.
        predictions: logits of the prediction.
        module: the whole network; batch first with a memory.
        single: a network with one tower, batch first: the actor's or the critic's alone.
    """

    config: NetworkConfig
    observation_space: Space
    action_space: Space
    predictions: int
    module: ActorCritic
    single: ActorCritic

    @property
    def recurrent(self) -> bool:
        return self.config.memory == "gru"

    @property
    def towers(self) -> int:
        return 1 if self.config.shared else 2


def make_actor_critic(
    config: NetworkConfig, observation_space: Space, action_space: Space, predictions: int = 0
) -> Network:
    """The functions of an actor-critic network.

    Args:
        config: static shape of the network.
        observation_space: of one observation.
        action_space: of one action; `Discrete` or a one-dimensional `Box`.
        predictions: logits to predict of each observation besides its value.

    Raises:
        ValueError: if the encoder can't read the observations, or the action space is not supported.
    """
    check_encoder(config, observation_space)
    head_size, continuous = _head(config, action_space)
    sizes = {"head_size": head_size, "continuous": continuous, "predictions": predictions}
    one = dataclasses.replace(config, shared=True)
    parts = _Parts(
        config,
        observation_space,
        action_space,
        predictions,
        ActorCritic(config, observation_space, **sizes, batch_first=config.memory == "gru"),
        ActorCritic(one, observation_space, **sizes, batch_first=True),
    )
    bound = lambda function: partial(function, parts)
    return Network(
        init=bound(_init),
        actor=bound(_actor),
        policy=bound(_policy),
        policy_and_value=bound(_policy_and_value),
        unroll=bound(_unroll),
        value=bound(_value),
        predict=bound(_predict),
        initial_memory=bound(_initial_memory),
        recurrent=parts.recurrent,
        latents=None if parts.recurrent else Latents(bound(_encode), bound(_project)),
    )


def _head(config: NetworkConfig, action_space: Space) -> tuple[int, bool]:
    """Size of the policy's head, and whether actions are continuous."""
    match action_space:
        case Discrete(n):
            return n, False
        case Box(shape=(size,)) if np.issubdtype(action_space.dtype, np.floating):
            if config.distribution == "tanh_normal" and not action_space.bounded:
                raise ValueError(
                    "distribution is 'tanh_normal' but the action space is unbounded; use 'normal'"
                )
            return size, True
    raise ValueError(
        f"action_space is {action_space}; allowed are Discrete and a Box of floats with one dimension "
        "(jaxrl_envs.flatten_actions makes a Discrete of whole numbers)"
    )


def _initial_memory(parts: _Parts, num_envs: int) -> Any:
    if not parts.recurrent:
        return ()
    return jnp.zeros((num_envs, parts.towers, parts.config.memory_size), jnp.float32)


def _init(parts: _Parts, key: Array) -> Any:
    space = parts.observation_space
    obs = jnp.zeros((1, *space.shape), space.dtype)
    return parts.module.init(key, obs, _initial_memory(parts, 1))


def _actor(parts: _Parts, params: Any) -> Any:
    # The critic's memory must advance with the actor's, so a recurrent policy needs both towers.
    return params if parts.recurrent else _tower(parts, params, 0)


def _tower(parts: _Parts, params: Any, index: int) -> Any:
    """The parameters of one tower alone, as a network with a single tower has them."""
    if parts.towers == 1:
        return params
    own = dict(params["params"])
    for name, layer in own.items():
        if name.startswith(("layers_", "gru")):
            own[name] = jax.tree.map(lambda x: x[index : index + 1], layer)
    if f"encoders_{index}" in own:
        own["encoders_0"] = own[f"encoders_{index}"]
    return {"params": own}


def _policy(parts: _Parts, actor: Any, obs: Array, first: Array, memory: Any) -> tuple[Distribution, Any]:
    if parts.recurrent:
        head, _, memory = _step(parts, actor, obs, first, memory)
        return _distribution(parts, head, first.shape), memory
    head = parts.single.apply(actor, obs, method=lambda net, obs: net.actor(net.before_memory(obs)))
    return _of_parameters(parts, *cast(tuple[Array, Any], head)), memory


def _policy_and_value(
    parts: _Parts, params: Any, obs: Array, first: Array, memory: Any
) -> tuple[Distribution, Array, Any]:
    head, critic, memory = _step(parts, params, obs, first, memory)
    return _distribution(parts, head, first.shape), critic[0], memory


def _step(parts: _Parts, params: Any, obs: Array, first: Array, memory: Any) -> Any:
    """The policy's head, the critic's and the new memory of one step."""

    def compute(net: ActorCritic) -> Any:
        x, after = net.before_memory(obs), ()
        if parts.recurrent:
            x, after = net.recur(x, _cleared(memory, first))
        x = net.after_memory(x)
        return net.actor(x), net.critic(x), after

    return parts.module.apply(params, method=compute)


def _unroll(
    parts: _Parts, params: Any, obs: Array, first: Array, memory: Any
) -> tuple[Distribution, Array, Array | None]:
    def compute(net: ActorCritic) -> Any:
        x = net.before_memory(_flat(obs, 2))
        if parts.recurrent:
            x = net.recur_over(x, memory, first)
        x = net.after_memory(x)
        return net.actor(x), net.critic(x)

    head, critic = cast(Any, parts.module.apply(params, method=compute))
    batch = first.shape
    prediction = _logits(critic, batch) if parts.predictions else None
    return _distribution(parts, head, batch), critic[0].reshape(batch), prediction


def _value(parts: _Parts, params: Any, obs: Array, memory: Any) -> Array:
    return _criticise(parts, params, obs, memory)[0].reshape(obs.shape[:2])


def _predict(parts: _Parts, params: Any, obs: Array, memory: Any) -> Array:
    return _logits(_criticise(parts, params, obs, memory), obs.shape[:2])


def _criticise(parts: _Parts, params: Any, obs: Array, memory: Any) -> Array:
    """``[1 + predictions, T * N]`` of unrelated observations."""

    def compute(net: ActorCritic) -> Any:
        x = net.before_memory(_flat(obs, 2))
        if parts.recurrent:
            x, _ = net.recur(x, _flat(memory, 2)[:, -1:])
        return net.critic(net.after_memory(x))

    return cast(Array, parts.single.apply(_tower(parts, params, parts.towers - 1), method=compute))


def _encode(parts: _Parts, params: Any, obs: Array) -> Array:
    return cast(Array, parts.module.apply(params, obs, method=ActorCritic.first_layer))


def _project(parts: _Parts, params: Any, features: Array) -> Array:
    return cast(Array, parts.module.apply(params, features, method=ActorCritic.second_layer))


def _logits(critic: Array, batch: tuple[int, ...]) -> Array:
    """The predictions' of the critic's ``[1 + predictions, B]``, as ``[*batch, predictions]``."""
    return jnp.moveaxis(critic[1:].reshape((critic.shape[0] - 1, *batch)), 0, -1)


def _distribution(parts: _Parts, head: tuple[Array, Any], batch: tuple[int, ...]) -> Distribution:
    if parts.module.batch_first:
        mean = head[0].reshape((*batch, -1))
    else:
        # Reshaped before transposed: elements of one action then still lie side by side in memory.
        mean = jnp.moveaxis(head[0].reshape((head[0].shape[0], *batch)), 0, -1)
    return _of_parameters(parts, mean, head[1])


def _of_parameters(parts: _Parts, mean: Array, log_std: Any) -> Distribution:
    """The distribution of head parameters ``[*batch, A]``."""
    space = parts.action_space
    if isinstance(space, Discrete):
        return Categorical(mean)
    log_std = jnp.broadcast_to(log_std, mean.shape)
    if parts.config.distribution == "tanh_normal":
        return TanhNormal(mean, log_std, space.low, space.high)
    return Normal(mean, log_std)


def _flat(x: Array, batch_axes: int) -> Array:
    return x.reshape((-1, *x.shape[batch_axes:]))


def _cleared(memory: Array, first: Array) -> Array:
    return jnp.where(first[:, None, None], 0.0, memory)
