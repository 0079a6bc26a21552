"""Where an agent's lifetime comes from: distributions over training horizons, as data."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxrl_evolve.meta.horizon_config import HorizonConfig


def sample_horizons(
    config: HorizonConfig, key: Array, count: int, progress: Float[Array, ""]
) -> Int[Array, " count"]:
    """Draw lifetimes.

    Args:
        config: the distribution.
        key: randomness.
        count: how many.
        progress: fraction of meta-training that is over, for 'curriculum'.

    Returns:
        Updates, int32.
    """
    low, high = jnp.float32(config.low), jnp.float32(config.high)
    match config.kind:
        case "fixed":
            return jnp.full((count,), config.high, jnp.int32)
        case "inverse_budget":
            choices = jnp.asarray(config.choices, jnp.int32)
            logits = -jnp.log(choices.astype(jnp.float32))
            return choices[jax.random.categorical(key, logits, shape=(count,))]
        case "arms":  # what would be lived without a curriculum
            return jax.random.choice(key, jnp.asarray(config.choices, jnp.int32), (count,))
        case "uniform":
            return jax.random.randint(key, (count,), config.low, config.high + 1, jnp.int32)
        case "curriculum":
            high = low * (high / low) ** progress
    drawn = jnp.exp(jax.random.uniform(key, (count,), jnp.float32, jnp.log(low), jnp.log(high)))
    return jnp.round(drawn).astype(jnp.int32)


def mean_horizon(config: HorizonConfig) -> float:
    """Expected lifetime in updates (at the end of meta-training, for 'curriculum'; of 'arms', if all were drawn alike)."""
    match config.kind:
        case "fixed":
            return float(config.high)
        case "inverse_budget":
            return len(config.choices) / sum(1.0 / n for n in config.choices)
        case "arms":
            return sum(config.choices) / len(config.choices)
        case "uniform":
            return (config.low + config.high) / 2.0
    if config.low == config.high:
        return float(config.low)
    return (config.high - config.low) / math.log(config.high / config.low)
