"""Where an agent's lifetime comes from: distributions over training horizons, as data."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


@dataclasses.dataclass(frozen=True)
class HorizonConfig:
    """Lifetimes of meta-training, in updates."""

    kind: Literal["fixed", "uniform", "log_uniform", "inverse_budget", "curriculum"] = "log_uniform"
    """How a lifetime is drawn: always ``high``; uniformly, or uniformly in its logarithm, between ``low`` and
    ``high``; one of ``choices`` with probability inverse to its length, so that every choice costs as much
    experience in total (DiscoRL); or log-uniformly up to a bound that grows from ``low`` to ``high`` in
    the course of meta-training."""
    low: int = 10
    """Shortest lifetime."""
    high: int = 250
    """Longest lifetime."""
    choices: tuple[int, ...] = (25, 50, 100, 200)
    """Lifetimes of 'inverse_budget'."""

    def __post_init__(self) -> None:
        if not 1 <= self.low <= self.high:
            raise ValueError(
                f"horizons.low is {self.low} and horizons.high {self.high}; 1 <= low <= high must hold"
            )
        if self.kind == "inverse_budget" and (not self.choices or min(self.choices) < 1):
            raise ValueError(
                f"horizons.choices is {self.choices}; 'inverse_budget' needs lifetimes of at least 1"
            )

    @property
    def range(self) -> tuple[int, int]:
        """Shortest and longest lifetime that can be drawn."""
        match self.kind:
            case "fixed":
                return self.high, self.high
            case "inverse_budget":
                return min(self.choices), max(self.choices)
        return self.low, self.high


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
        case "uniform":
            return jax.random.randint(key, (count,), config.low, config.high + 1, jnp.int32)
        case "curriculum":
            high = low * (high / low) ** progress
    drawn = jnp.exp(jax.random.uniform(key, (count,), jnp.float32, jnp.log(low), jnp.log(high)))
    return jnp.round(drawn).astype(jnp.int32)


def mean_horizon(config: HorizonConfig) -> float:
    """Expected lifetime in updates (at the end of meta-training, for 'curriculum')."""
    match config.kind:
        case "fixed":
            return float(config.high)
        case "inverse_budget":
            return len(config.choices) / sum(1.0 / n for n in config.choices)
        case "uniform":
            return (config.low + config.high) / 2.0
    if config.low == config.high:
        return float(config.low)
    return (config.high - config.low) / math.log(config.high / config.low)
