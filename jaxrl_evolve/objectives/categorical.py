"""Distributions of returns on fixed atoms (Bellemare et al. 2017, C51)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def atoms_between(low: float, high: float, count: int) -> Float[Array, " atoms"]:
    """Evenly spaced returns."""
    return jnp.linspace(low, high, count, dtype=jnp.float32)


def projected(
    atoms: Float[Array, " atoms"],
    probability: Float[Array, "B atoms"],
    reward: Float[Array, " B"],
    discount: Float[Array, " B"],
) -> Float[Array, "B atoms"]:
    """The distribution of ``reward + discount * return`` on the atoms: what falls between two is shared by nearness.

    Every atom gets from each moved one by how near that is, which is the published loop over atoms as one product.
    """
    low, high, spacing = atoms[0], atoms[-1], atoms[1] - atoms[0]
    moved = jnp.clip(reward[:, None] + discount[:, None] * atoms, low, high)
    near = jnp.clip(1.0 - jnp.abs(moved[:, None, :] - atoms[:, None]) / spacing, 0.0, 1.0)
    return (near * probability[:, None, :]).sum(-1)


def cross_entropy(target: Float[Array, "B atoms"], logits: Float[Array, "B atoms"]) -> Float[Array, " B"]:
    """``-sum target log softmax(logits)``."""
    return -(target * jax.nn.log_softmax(logits)).sum(-1)


def entropy(target: Float[Array, "B atoms"]) -> Float[Array, " B"]:
    """``-sum target log target``, where nothing adds nothing."""
    return -jnp.where(target > 0, target * jnp.log(jnp.where(target > 0, target, 1.0)), 0.0).sum(-1)
