"""Actor and critic as stacked towers: the module whose parameters they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array

from jaxrl_envs.spaces import Space
from jaxrl_evolve.networks.layers import Encoder, Head, TowerDense, TowerGRU
from jaxrl_evolve.networks.network import NetworkConfig

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": jnp.tanh,
    "relu": nn.relu,
    "swish": nn.swish,
    "gelu": nn.gelu,
    "elu": nn.elu,
}


class ActorCritic(nn.Module):
    """Actor and critic over flat batches; see `Network` for the shapes users meet.

    With ``batch_first`` the last two axes of everything below are swapped: products with the few
    observations of one step are then several times cheaper. With memory, batch first only.
    """

    config: NetworkConfig
    observation_space: Space
    head_size: int
    continuous: bool
    batch_first: bool = False
    predictions: int = 0

    def setup(self) -> None:
        c = self.config
        self.towers = 1 if c.shared else 2
        convolutional = c.encoder != "flat"
        # A flat encoder has no parameters, so every tower may read the same features.
        self.encoders = [
            Encoder(c.encoder, self.observation_space) for _ in range(self.towers if convolutional else 1)
        ]
        self.layers = [TowerDense(self.towers, width, math.sqrt(2), self.batch_first) for width in c.hidden]
        if c.memory == "gru":
            self.gru = TowerGRU(self.towers, c.memory_size)
        self.policy_head = Head(self.head_size, 0.01, self.batch_first)
        # The critic predicts: one product reads values and predictions off its trunk.
        self.value_head = Head(1 + self.predictions, 1.0, self.batch_first)
        if self.continuous:
            self.log_std = self.param("log_std", nn.initializers.zeros, (self.head_size,), jnp.float32)

    def encoded(self, obs: Array) -> Array:
        """``[B, ...]`` to what the first layer reads: ``[towers, D, B]``, or ``[B, D]`` for every tower."""
        features = [encode(obs) for encode in self.encoders]
        x = features[0]
        if len(features) > 1:
            x = jnp.stack(features if self.batch_first else [f.T for f in features])
        return x

    def before_memory(self, obs: Array) -> Array:
        """``[B, ...]`` to ``[towers, D, B]``: the encoder and the layers before the memory."""
        x = self.encoded(obs)
        return self.dense(x, self.layers[:1] if self.config.memory == "gru" else self.layers)

    def first_layer(self, obs: Array) -> Array:
        """``[B, ...]`` to ``[B, towers * H]``: the first layer's units of all towers."""
        return self._joined(self.dense(self.encoded(obs), self.layers[:1]))

    def second_layer(self, x: Array) -> Array:
        """Those units to ``[B, towers * H]`` of the second layer, before the nonlinearity; themselves if there is none."""
        if len(self.layers) < 2:
            return x
        apart = x.reshape((x.shape[0], self.towers, -1))
        return self._joined(self.layers[1](jnp.moveaxis(apart, 0, 1 if self.batch_first else 2)))

    def _joined(self, x: Array) -> Array:
        """All towers' units side by side, batch first."""
        return jnp.moveaxis(x, 1 if self.batch_first else 2, 0).reshape(
            (x.shape[1 if self.batch_first else 2], -1)
        )

    def after_memory(self, x: Array) -> Array:
        """``[towers, M, B]`` to ``[towers, H, B]``: the layers after the memory, if there is one."""
        return self.dense(x, self.layers[1:]) if self.config.memory == "gru" else x

    def dense(self, x: Array, layers: Any) -> Array:
        for layer in layers:
            x = ACTIVATIONS[self.config.activation](layer(x))
        return x

    def recur(self, x: Array, memory: Array) -> tuple[Array, Array]:
        """One step of the memory: ``x [towers, B, D]`` to ``[towers, B, M]`` and the new memory."""
        memory = self.gru(x, memory)
        return jnp.swapaxes(memory, 0, 1), memory

    def recur_over(self, x: Array, memory: Array, first: Array) -> Array:
        """``T`` steps of the memory: ``x [towers, T * N, D]`` to ``[towers, T * N, M]``, with ``first [T, N]`` where episodes begin."""
        return self.gru(x, memory, first)

    def actor(self, x: Array) -> tuple[Array, Any]:
        """``[towers, H, B]`` to head parameters ``[A, B]`` and log standard deviations (or None)."""
        return self.policy_head(x[0]), self.log_std if self.continuous else None

    def critic(self, x: Array) -> Array:
        """``[towers, H, B]`` to ``[1 + predictions, B]``: values, then logits of the predictions."""
        out = self.value_head(x[-1])
        return out.T if self.batch_first else out

    def __call__(self, obs: Array, memory: Any) -> Any:
        """Touches every parameter once, for `init`."""
        x = self.before_memory(obs)
        if self.config.memory == "gru":
            x, memory = self.recur(x, memory)
        x = self.after_memory(x)
        return self.actor(x), self.critic(x)
