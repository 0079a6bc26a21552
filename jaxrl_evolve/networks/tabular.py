"""A table in place of an actor-critic network: one row of logits, value and prediction per state.

Reading a row is a gather and its gradient a scatter. The usual way, a linear layer over one-hot
observations, computes the same with a product by a matrix that is nearly all zeros and with observations as
long as there are states.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from jaxrl_envs.spaces import Box, Discrete, Space
from jaxrl_evolve.networks.distributions import Categorical
from jaxrl_evolve.networks.network import Network


def make_table(observation_space: Space, action_space: Space, predictions: int = 0) -> Network:
    """The functions of `Network` over tables that start at zero: a uniform policy, values of zero.

    Args:
        observation_space: `Discrete`, one row per element.
        action_space: `Discrete`.
        predictions: logits of the prediction.

    Raises:
        ValueError: either space is not discrete.
    """
    for name, space in (("observation_space", observation_space), ("action_space", action_space)):
        if isinstance(space, Box):
            raise ValueError(f"encoder is 'tabular' but {name} is {space}; a table needs it to be Discrete")
    assert isinstance(observation_space, Discrete) and isinstance(action_space, Discrete)
    states, actions = observation_space.n, action_space.n

    def init(key: Array) -> Any:
        del key
        params = {
            "policy": jnp.zeros((states, actions), jnp.float32),
            "value": jnp.zeros((states,), jnp.float32),
        }
        if predictions:
            params["prediction"] = jnp.zeros((states, predictions), jnp.float32)
        return params

    def actor(params: Any) -> Any:
        return params["policy"]

    def policy(actor: Any, obs: Array, first: Array, memory: Any) -> tuple[Categorical, Any]:
        del first
        return Categorical(actor[obs]), memory

    def policy_and_value(params: Any, obs: Array, first: Array, memory: Any) -> Any:
        del first
        return Categorical(params["policy"][obs]), params["value"][obs], memory

    def unroll(params: Any, obs: Array, first: Array, memory: Any) -> Any:
        del first, memory
        prediction = params["prediction"][obs] if predictions else None
        return Categorical(params["policy"][obs]), params["value"][obs], prediction

    def value(params: Any, obs: Array, memory: Any) -> Array:
        del memory
        return params["value"][obs]

    def predict(params: Any, obs: Array, memory: Any) -> Array:
        del memory
        return params["prediction"][obs]

    return Network(init, actor, policy, policy_and_value, unroll, value, predict)
