"""The network of an agent that learns by a Disco rule.

A torso reads the observation; policy and ``y`` are linear read-outs of it. What is said of single actions (``z``,
``q`` and the next policy) comes from an LSTM that makes one step from the torso for each action, as a model of
the environment would (Hessel et al. 2021, Oh et al. 2025).
"""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrl_envs.spaces import Space
from jaxrl_evolve.networks.layers import Encoder
from jaxrl_evolve.networks.network import NetworkConfig
from jaxrl_evolve.networks.towers import ACTIVATIONS
from jaxrl_evolve.objectives.disco.inputs import AgentOutputs
from jaxrl_evolve.objectives.disco.network import lstm_step

_READ_OUT = nn.initializers.truncated_normal(0.01)


class DiscoNetwork(nn.Module):
    """From observations ``[B, ...]`` to `AgentOutputs` ``[B, ...]``."""

    config: NetworkConfig
    observation_space: Space
    actions: int
    predictions: int
    bins: int
    model: int
    head: int

    def setup(self) -> None:
        self.encoder = Encoder(self.config.encoder, self.observation_space)
        self.layers = [nn.Dense(width) for width in self.config.hidden]
        self.policy_head = nn.Dense(self.actions, kernel_init=_READ_OUT)
        self.y_head = nn.Dense(self.predictions, kernel_init=_READ_OUT)
        self.root = nn.Dense(self.model)
        self.model_memory = nn.Dense(4 * self.model)
        self.model_action = self.param(
            "model_action", nn.initializers.lecun_normal(), (self.actions, 4 * self.model), jnp.float32
        )
        sizes = {"z": self.predictions, "next_policy": self.actions, "q": self.bins}
        self.action_heads = {name: (nn.Dense(self.head), nn.Dense(size)) for name, size in sizes.items()}

    def torso(self, obs: Array) -> Float[Array, "B H"]:
        """The last layer is linear: everything that reads it is, too, or has a nonlinearity of its own."""
        x = self.layers[0](self.encoder(obs))
        for layer in self.layers[1:]:
            x = layer(ACTIVATIONS[self.config.activation](x))
        return x

    def policy(self, obs: Array) -> Float[Array, "B A"]:
        """Logits of the actions alone."""
        return self.policy_head(self.torso(obs))

    def __call__(self, obs: Array) -> AgentOutputs:
        torso = self.torso(obs)
        cell = self.root(torso)
        # One-hot actions: their product with the kernel is a row of it, the same for all observations.
        gates = self.model_memory(jnp.tanh(cell))[:, None] + self.model_action
        hidden = lstm_step(gates, cell[:, None]).hidden
        said = {name: out(nn.relu(layer(hidden))) for name, (layer, out) in self.action_heads.items()}
        return AgentOutputs(self.policy_head(torso), self.y_head(torso), **said)
