"""Inverse dynamics: features from which one can tell which action led from one observation to the next (Pathak et al. 2017)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxrl_envs import Discrete, Space
from jaxrl_evolve import Network, Representation, RepresentationBatch


def inverse_dynamics(network: Network, observation_space: Space, action_space: Space) -> Representation:
    """The factory that ``ppo(representation=inverse_dynamics)`` calls."""
    if network.latents is None or not isinstance(action_space, Discrete):
        raise ValueError(
            f"action_space is {action_space}; inverse dynamics need Discrete, and a network with latents"
        )
    encode, actions = network.latents.encode, action_space.n

    def init(key: jax.Array, params: Any) -> jax.Array:
        obs = jax.ShapeDtypeStruct((1, *observation_space.shape), observation_space.dtype)
        width = jax.eval_shape(encode, params, obs).shape[1]
        return jax.nn.initializers.glorot_uniform()(key, (2 * width, actions), jnp.float32)

    def loss(params: Any, own: Any, batch: RepresentationBatch, key: jax.Array) -> Any:
        del key  # nothing is drawn
        before, after = encode(params, batch.window.obs[0]), encode(params, batch.window.next_obs[0])
        logits = jnp.concatenate([before, after], -1) @ own
        missed = optax.softmax_cross_entropy_with_integer_labels(logits, batch.window.action[0]).mean()
        return missed, {"inverse_loss": missed}

    return Representation(init, loss, "inverse-dynamics")
