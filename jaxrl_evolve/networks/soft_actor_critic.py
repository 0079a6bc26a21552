"""A policy of squashed normal actions, and critics of actions side by side (Haarnoja et al. 2018, arXiv 1812.05905)."""

from __future__ import annotations

import math

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrl_evolve.networks.distributions import TanhNormal
from jaxrl_evolve.networks.layers import TowerDense
from jaxrl_evolve.networks.towers import ACTIVATIONS

CRITICS = 2
_LOWEST, _HIGHEST = -5.0, 2.0  # logarithm of a standard deviation before the squashing


class SquashedPolicy(nn.Module):
    """Observations ``[B, D]`` to a distribution over actions in [-1, 1].

    Attributes:
        elements: of an action.
        hidden: widths.
        activation: nonlinearity.
    """

    elements: int
    hidden: tuple[int, ...]
    activation: str

    @nn.compact
    def __call__(self, obs: Float[Array, "B D"]) -> TanhNormal:
        x = _tower(obs, 1, self.hidden, self.activation, False)
        out = TowerDense(1, 2 * self.elements, 0.01)(x)[0].T
        mean, spread = jnp.split(out, 2, -1)
        # Between its bounds everywhere with a gradient, which a clipped one has not outside of them.
        log_std = _LOWEST + 0.5 * (_HIGHEST - _LOWEST) * (jnp.tanh(spread) + 1.0)
        return TanhNormal(mean, log_std)


class Critics(nn.Module):
    """Observations ``[B, D]`` and actions ``[B, A]`` in [-1, 1] to the values of two critics, ``[2, B]``.

    Attributes:
        hidden: widths.
        activation: nonlinearity.
        layer_norm: whether hidden layers are normalised.
    """

    hidden: tuple[int, ...]
    activation: str
    layer_norm: bool

    @nn.compact
    def __call__(self, obs: Float[Array, "B D"], action: Float[Array, "B A"]) -> Float[Array, "2 B"]:
        x = jnp.concatenate([obs, action], -1)
        x = _tower(x, CRITICS, self.hidden, self.activation, self.layer_norm)
        return TowerDense(CRITICS, 1, 1.0)(x)[:, 0]


def _tower(
    x: Array, towers: int, hidden: tuple[int, ...], activation: str, normal: bool
) -> Float[Array, "towers H B"]:
    """Hidden layers, of the module that calls."""
    for width in hidden:
        x = TowerDense(towers, width, math.sqrt(2))(x)
        x = nn.LayerNorm(reduction_axes=1, feature_axes=1)(x) if normal else x
        x = ACTIVATIONS[activation](x)
    return x
