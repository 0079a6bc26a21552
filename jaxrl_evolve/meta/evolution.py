"""Evolution strategies over the parameters of an objective (Salimans et al. 2017, arXiv 1703.03864).

Members come in antithetic pairs ``mean + sigma * noise`` and ``mean - sigma * noise``. Both live the same
life: one level, one horizon, one initialisation, one stream of random numbers. What tells them apart is the
objective alone, so a pair needs no other reference, and levels whose returns cannot be compared can stand
side by side. Noise is grown again from its key where it is needed: a population is never stored.

Fitness is maximised, everywhere.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Float, Int

from jaxrl_evolve import random
from jaxrl_evolve.meta.evolution_config import EvolutionConfig


@struct.dataclass
class EvolutionState:
    """State between two generations.

    Attributes:
        eta: the objective's parameters, mean of the population.
        optimiser: Adam's state.
        generation: generations made, int32 scalar.
        key: typed key, the only source of randomness.
        levels: buffer of curated levels, or ``()``.
    """

    eta: Any
    optimiser: Any
    generation: Int[Array, ""]
    key: Array
    levels: Any = ()


def _optimiser(config: EvolutionConfig) -> optax.GradientTransformation:
    return optax.scale_by_adam(b1=config.beta1)


def init_evolution(config: EvolutionConfig, key: Array, mean: Any) -> EvolutionState:
    """Start from ``mean``."""
    mean = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), mean)
    return EvolutionState(mean, _optimiser(config).init(mean), jnp.zeros((), jnp.int32), key)


def noise(key: Array, like: Any, mask: Any = None) -> Any:
    """Standard normal noise in the shape of ``like``; the same for the same key, everywhere.

    Args:
        key: randomness.
        like: the parameters.
        mask: of `meta.movable`; there is no noise where it is zero. None leaves all as it is.
    """
    drawn = random.normal_like(key, like)
    return drawn if mask is None else jax.tree.map(jnp.multiply, drawn, mask)


def sigma_of(config: EvolutionConfig, generation: Array) -> Float[Array, ""]:
    """The noise's standard deviation in a generation."""
    return config.sigma * jnp.float32(config.sigma_decay) ** generation


def member(mean: Any, key: Array, sigma: Array | float, sign: Array | float, mask: Any = None) -> Any:
    """Parameters of one member of the pair that ``key`` stands for; ``sign`` is 1 or -1, ``mask`` as in `noise`."""
    return jax.tree.map(lambda m, e: m + sign * sigma * e, mean, noise(key, mean, mask))


def pair_weights(
    fitness: Float[Array, "pairs 2"], shaping: str
) -> tuple[Float[Array, " pairs"], Int[Array, ""]]:
    """What each pair's noise counts for, and how many members were not finite.

    A member whose fitness is not finite counts as the worst of all; two such, like any tie, count nothing.

    Args:
        fitness: of ``mean + sigma * noise`` and of ``mean - sigma * noise``.
        shaping: see `EvolutionConfig`.
    """
    fine = jnp.isfinite(fitness)
    bottom = jnp.where(fine, fitness, jnp.inf).min()
    worst = jnp.where(jnp.isfinite(bottom), bottom, 0.0)
    filled = jnp.where(fine, fitness, worst)
    plus, minus = filled[:, 0], filled[:, 1]
    match shaping:
        case "sign":
            # Compared with minus infinity rather than with the worst, lest the worst tie with a failure.
            below = jnp.where(fine, fitness, -jnp.inf)
            won, lost = below[:, 0] > below[:, 1], below[:, 0] < below[:, 1]
            weights = won.astype(jnp.float32) - lost.astype(jnp.float32)
        case "difference":
            weights = plus - minus
        case "scaled_difference":
            weights = (plus - minus) / jnp.maximum(jnp.abs(plus) + jnp.abs(minus), 1e-8)
        case "centred_rank":
            below = jnp.where(fine, fitness, -jnp.inf).reshape(-1)
            # The mean rank of equals: how many are below, plus half of those that are the same.
            less = (below[:, None] > below[None, :]).sum(1) + 0.5 * (below[:, None] == below[None, :]).sum(1)
            # Subtracted while they are halves of whole numbers, so that ties are exactly zero however it is compiled.
            ranks = less.reshape(fitness.shape)
            weights = (ranks[:, 0] - ranks[:, 1]) / jnp.maximum(below.size - 1, 1)
        case "z_score":
            weights = (plus - minus) / jnp.maximum(filled.std(), 1e-8)
        case _:
            raise ValueError(f"shaping is {shaping!r}")
    return weights.astype(jnp.float32), (~fine).sum().astype(jnp.int32)


def ascent(
    weights: Float[Array, " pairs"], keys: Array, like: Any, sigma: Array | float, mask: Any = None
) -> Any:
    """The estimated gradient of fitness, ``mean(weights * noise) / (2 sigma)``, one pair at a time; ``mask`` as in `noise`."""

    def add(total: Any, pair: tuple[Array, Array]) -> tuple[Any, None]:
        key, weight = pair
        return jax.tree.map(lambda t, e: t + weight * e, total, noise(key, like, mask)), None

    start = jax.tree.map(lambda x: jnp.zeros(x.shape, jnp.float32), like)
    total = jax.lax.scan(add, start, (keys, weights))[0]
    return jax.tree.map(lambda t: t / (2.0 * sigma * weights.shape[0]), total)


def evolve(
    config: EvolutionConfig, state: EvolutionState, gradient: Any, key: Array, mask: Any = None
) -> tuple[EvolutionState, dict[str, Array]]:
    """One step up ``gradient``; ``key`` is the next generation's, ``mask`` as in `noise`."""
    step, optimiser = _optimiser(config).update(gradient, state.optimiser)
    decay = jnp.float32(config.learning_rate_decay) ** state.generation
    rate = jnp.maximum(config.learning_rate * decay, config.learning_rate_floor)
    move = jax.tree.map(lambda m, s: rate * (s - config.weight_decay * m), state.eta, step)
    if mask is not None:  # for the decay; the gradient has nothing there
        move = jax.tree.map(jnp.multiply, move, mask)
    mean = jax.tree.map(jnp.add, state.eta, move)
    moved = jax.tree.map(jnp.subtract, mean, state.eta)
    metrics = {
        "gradient_norm": optax.tree.norm(gradient),
        "step_norm": optax.tree.norm(moved),
        "parameter_norm": optax.tree.norm(mean),
        "learning_rate": rate,
        "sigma": sigma_of(config, state.generation),
    }
    metrics = {name: jnp.asarray(x, jnp.float32) for name, x in metrics.items()}
    return replace(state, eta=mean, optimiser=optimiser, generation=state.generation + 1, key=key), metrics
