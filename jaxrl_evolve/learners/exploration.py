"""Epsilon-greedy exploration (Watkins 1989)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxrl_evolve.trajectory import PolicyOutput


def falling_epsilon(
    start: Array | float, end: Array | float, exploration: Array | float, done: Array | float
) -> Float[Array, ""]:
    """Probability of a random action, falling in a straight line.

    Args:
        start: at first.
        end: from the end of exploration on.
        exploration: the fraction of the horizon over which it falls; 0 falls at once.
        done: the fraction of the horizon since it began to fall; negative before.
    """
    done = jnp.asarray(done, jnp.float32)
    share = jnp.where(exploration > 0, jnp.clip(done / jnp.maximum(exploration, 1e-8), 0.0, 1.0), 1.0)
    return jnp.asarray(start + jnp.where(done < 0, 0.0, share) * (end - start), jnp.float32)


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
