"""Epsilon-greedy exploration (Watkins 1989)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxrl_evolve.trajectory import PolicyOutput


def epsilon_greedy(
    keys: Array, greedy: Int[Array, " N"], epsilon: Float[Array, ""], actions: int, memory: Any
) -> tuple[Int[Array, " N"], Any, PolicyOutput]:
    """Greedy actions, of which some are drawn at random instead; what `Learner.act` returns of them.

    Args:
        keys: two random keys.
        greedy: the best actions.
        epsilon: probability of a random one.
        actions: how many there are.
        memory: handed on.
    """
    key_random, key_action = keys
    drawn = jax.random.randint(key_action, greedy.shape, 0, actions, jnp.int32)
    action = jnp.where(jax.random.uniform(key_random, greedy.shape) < epsilon, drawn, greedy)
    probability = epsilon / actions + jnp.where(action == greedy, 1.0 - epsilon, 0.0)
    return action, memory, PolicyOutput(jnp.log(probability))
