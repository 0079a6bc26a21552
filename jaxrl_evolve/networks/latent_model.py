"""A model that looks ahead in a network's features, where these are vectors."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrl_envs.spaces import Discrete, Space
from jaxrl_evolve.networks.orthogonal import orthogonal


class LatentModel(nn.Module):
    """Features one step later, and what their projection is expected to be (Schwarzer et al. 2021, arXiv 2007.05929).

    Attributes:
        features: of an observation.
        projected: of a projection.
        action_space: of one action.
    """

    features: int
    projected: int
    action_space: Space

    def setup(self) -> None:
        dense = lambda size: nn.Dense(size, kernel_init=orthogonal(1.0))
        self.hidden, self.after = dense(self.features), dense(self.features)
        self.predictor = dense(self.projected)

    def ahead(self, x: Float[Array, "B D"], action: Array) -> Float[Array, "B D"]:
        """Features after an action, ``[B, ...]``: those before it, and what a hidden layer adds."""
        space = self.action_space
        done = jax.nn.one_hot(action, space.n, dtype=x.dtype) if isinstance(space, Discrete) else action
        return x + self.after(nn.relu(self.hidden(jnp.concatenate([x, done], -1))))

    def predict(self, projection: Float[Array, "B P"]) -> Float[Array, "B P"]:
        """What the projection of what comes is expected to be, of that of predicted features."""
        return self.predictor(projection)

    def __call__(self, x: Array, action: Array, projection: Array) -> Any:
        """Touches every parameter once, for `init`."""
        return self.ahead(x, action), self.predict(projection)
