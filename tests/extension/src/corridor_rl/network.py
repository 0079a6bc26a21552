"""A residual network: blocks that add to what they read (He et al. 2016), normalised before each."""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl_envs import Discrete, Space
from jaxrl_evolve import Categorical, Network, NetworkConfig


class ResidualMLP(nn.Module):
    """Observations ``[*batch, *shape]`` to logits ``[*batch, actions]`` and values ``[*batch]``."""

    shape: tuple[int, ...]
    hidden: tuple[int, ...]
    actions: int

    @nn.compact
    def __call__(self, obs: jax.Array) -> tuple[jax.Array, jax.Array]:
        batch = obs.shape[: obs.ndim - len(self.shape)]
        x = nn.Dense(self.hidden[0])(obs.astype(jnp.float32).reshape((*batch, math.prod(self.shape))))
        for width in self.hidden[1:]:
            x = x + nn.Dense(x.shape[-1])(nn.relu(nn.Dense(width)(nn.LayerNorm()(x))))
        x = nn.relu(nn.LayerNorm()(x))
        logits = nn.Dense(self.actions, kernel_init=nn.initializers.orthogonal(0.01))(x)
        return logits, nn.Dense(1)(x)[..., 0]


def residual_mlp(
    config: NetworkConfig, observation_space: Space, action_space: Space, predictions: int = 0
) -> Network:
    """The factory that the registry calls; ``config.hidden`` is the width of the trunk, then of its blocks."""
    if not isinstance(action_space, Discrete):
        raise ValueError(f"action_space is {action_space}; residual-mlp chooses among Discrete actions only")
    if predictions:
        raise ValueError(f"predictions is {predictions}, but residual-mlp makes none; the actor-critic does")
    if config.memory != "none":
        raise ValueError(f"network.memory is {config.memory!r}; residual-mlp has none, so it must be 'none'")
    module = ResidualMLP(observation_space.shape, config.hidden, action_space.n)

    def both(params: Any, obs: jax.Array) -> tuple[Categorical, jax.Array]:
        said: Any = module.apply(params, obs)
        logits, value = said
        return Categorical(logits), value

    def init(key: jax.Array) -> Any:
        return module.init(key, jnp.zeros((1, *observation_space.shape), observation_space.dtype))

    def actor(params: Any) -> Any:
        return params  # all of them: the value that acting does not read is not computed

    def policy(actor: Any, obs: jax.Array, first: jax.Array, memory: Any) -> tuple[Categorical, Any]:
        return both(actor, obs)[0], memory

    def policy_and_value(params: Any, obs: jax.Array, first: jax.Array, memory: Any) -> Any:
        return *both(params, obs), memory

    def unroll(params: Any, obs: jax.Array, first: jax.Array, memory: Any) -> Any:
        return *both(params, obs), None  # no prediction

    def value(params: Any, obs: jax.Array, memory: Any) -> jax.Array:
        return both(params, obs)[1]

    return Network(init, actor, policy, policy_and_value, unroll, value)
