"""A network of action values: an encoder, hidden layers, and one value per action."""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from jaxrl_envs.spaces import Space
from jaxrl_evolve.networks.layers import Encoder
from jaxrl_evolve.networks.network import NetworkConfig
from jaxrl_evolve.networks.orthogonal import orthogonal
from jaxrl_evolve.networks.towers import ACTIVATIONS


class ActionValues(nn.Module):
    """Observations ``[B, ...]`` to values ``[B, actions]``, float32.

    Attributes:
        config: encoder, widths and nonlinearity; memory and sharing have no meaning here.
        space: of one observation.
        actions: how many there are.
    """

    config: NetworkConfig
    space: Space
    actions: int

    @nn.compact
    def __call__(self, obs: Any) -> Float[Array, "B actions"]:
        x = Encoder(self.config.encoder, self.space)(obs)
        for width in self.config.hidden:
            x = ACTIVATIONS[self.config.activation](nn.Dense(width, kernel_init=orthogonal(math.sqrt(2)))(x))
        return nn.Dense(self.actions, kernel_init=orthogonal(1.0))(x)
