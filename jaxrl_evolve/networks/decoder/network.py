"""The decoder behind the interface of networks: a policy over the next token, and a critic beside it.

An observation is ``(token, asked)``, int32. Where ``asked`` is 0 the environment goes on with its prompt whatever the policy does:
there the distribution allows `PAD` alone, so that log-probability, entropy and gradient are zero without any mask in a learner. Means over
all steps, such as PPO's, count these steps too.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxrl_envs.spaces import Box, Discrete, Space
from jaxrl_envs.token.vocabulary import PAD
from jaxrl_evolve.networks.decoder.cache import Cache, sight_of_rollout, sight_of_step
from jaxrl_evolve.networks.decoder.module import Decoder
from jaxrl_evolve.networks.distributions import Categorical
from jaxrl_evolve.networks.network import Network, NetworkConfig


class _Parts(NamedTuple):
    """What the functions of one network read, all static."""

    module: Decoder

    @property
    def config(self) -> Any:
        return self.module.config


def make_decoder(
    config: NetworkConfig, observation_space: Space, action_space: Space, predictions: int = 0
) -> Network:
    """The functions of a decoder of the shape that ``config.decoder`` has; of the other settings it reads none.

    Args:
        config: settings of the network.
        observation_space: int32 ``(token, asked)``.
        action_space: the tokens.
        predictions: logits to predict besides; it makes none.

    Raises:
        ValueError: the spaces are no token task's, or a memory, an encoder or predictions are asked for.
    """
    if not isinstance(action_space, Discrete):
        raise ValueError(f"action_space is {action_space}; a decoder chooses tokens, so it must be Discrete")
    tokens = Box((0.0, 0.0), (action_space.n - 1.0, 1.0), (2,), "int32")
    if observation_space != tokens:
        raise ValueError(
            f"observation_space is {observation_space}; a decoder reads (token, asked) with tokens like its actions, so it "
            f"must be {tokens}"
        )
    for name in ("memory", "encoder", "hidden", "shared", "activation", "distribution", "memory_size"):
        if (given := getattr(config, name)) != (usual := getattr(NetworkConfig(), name)):
            raise ValueError(f"{name} is {given!r}, which a decoder does not read; it must be {usual!r}")
    if predictions:
        raise ValueError(f"predictions is {predictions}, but a decoder makes none; the actor-critic does")
    parts = _Parts(Decoder(config.decoder, action_space.n))
    bound = lambda function: partial(function, parts)
    return Network(
        init=bound(_init),
        actor=_actor,
        policy=bound(_policy),
        policy_and_value=bound(_policy_and_value),
        unroll=bound(_unroll),
        value=bound(_value),
        initial_memory=partial(Cache.empty, config.decoder),
        fresh_memory=partial(Cache.none, config.decoder),
        recurrent=True,
    )


def allowed(logits: Array, asked: Array) -> Array:
    """Logits ``[*B, V]`` where the policy is asked (``[*B]``); elsewhere `PAD` alone is possible."""
    only_pad = jnp.where(jnp.arange(logits.shape[-1]) == PAD, 0.0, -jnp.inf)
    return jnp.where(asked[..., None] != 0, logits, only_pad)


def _init(parts: _Parts, key: Array) -> Any:
    token = jnp.zeros((1, 1), jnp.int32)
    return parts.module.init(key, token, sight_of_step(token[0], 1)._replace(kept=None))


def _actor(params: Any) -> Any:
    return params  # all of them: where there is a memory, learners ask the critic while they act


def _read(obs: Array) -> tuple[Array, Array]:
    """Token and whether the policy is asked."""
    if not jnp.issubdtype(obs.dtype, jnp.integer):
        raise ValueError(
            f"observations are {obs.dtype}, as where they are normalised; a decoder reads tokens, so normalise_observations "
            "must be False"
        )
    return obs[..., 0], obs[..., 1]


def _step(
    parts: _Parts, params: Any, obs: Array, memory: Cache, critic: bool
) -> tuple[Categorical, Array | None, Cache]:
    """One token in each episode, whose memories are clear of others."""
    token, asked = _read(obs)
    sight = sight_of_step(memory.position, memory.context)

    def compute(net: Decoder) -> Any:
        x, new = net.features(token[:, None], memory.by_layer, sight)
        x = x[:, 0]
        return net.logits(x), net.value(x) if critic else None, new

    logits, value, new = cast(Any, parts.module.apply(params, method=compute))
    return Categorical(allowed(logits, asked)), value, memory.with_token(new)


def _policy(parts: _Parts, actor: Any, obs: Array, first: Array, memory: Cache) -> tuple[Categorical, Cache]:
    distribution, _, memory = _step(parts, actor, obs, memory.cleared(first), critic=False)
    return distribution, memory


def _policy_and_value(
    parts: _Parts, params: Any, obs: Array, first: Array, memory: Cache
) -> tuple[Categorical, Array, Cache]:
    distribution, value, memory = _step(parts, params, obs, memory.cleared(first), critic=True)
    assert value is not None
    return distribution, value, memory


def _unroll(
    parts: _Parts, params: Any, obs: Array, first: Array, memory: Cache
) -> tuple[Categorical, Array, None]:
    token, asked = _read(obs)
    sight = sight_of_rollout(first.T, memory.position, parts.config.context)
    kept = memory.by_layer
    if not memory.context:  # no room for anything: half of attention's work would be for nothing
        kept, sight = None, sight._replace(kept=None)

    def compute(net: Decoder) -> Any:
        x, _ = net.features(token.T, kept, sight)
        x = jnp.swapaxes(x, 0, 1)
        return net.logits(x), net.value(x)

    logits, value = cast(Any, parts.module.apply(params, method=compute))
    return Categorical(allowed(logits, asked)), value, None


def _value(parts: _Parts, params: Any, obs: Array, memory: Cache) -> Array:
    flat = lambda x: x.reshape((-1, *x.shape[2:]))
    value = _step(parts, params, flat(obs), jax.tree.map(flat, memory), critic=True)[1]
    assert value is not None
    return value.reshape(obs.shape[:2])
