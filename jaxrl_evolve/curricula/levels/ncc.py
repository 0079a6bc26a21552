"""NCC (Monette et al. 2025, arXiv 2505.20659): the distribution over the buffer is itself learned, by gradient ascent.

``y <- P[y + step (score - entropy (log y + 1))]``, where ``P`` projects onto the distributions that give every level at least a little.
The paper scores the whole buffer anew in every update, at many times the cost of training; here the ``again`` levels of which least
is known are, and its adaptive step size is a constant one.
"""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Annotated, Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxrl_envs.contract import Env
from jaxrl_evolve.curricula.levels.options import LevelOptions, options_of, require_levels
from jaxrl_evolve.curricula.levels.replay import LevelState, Rule, level_curriculum
from jaxrl_evolve.runs.tasks import Curriculum
from jaxrl_evolve.settings.checks import AtLeast, check

_LEAST = 1e-5


@dataclasses.dataclass(frozen=True)
class _Ascent:
    """Settings of the ascent."""

    step: Annotated[float, AtLeast(0.0)]
    entropy: Annotated[float, AtLeast(0.0)]

    def __post_init__(self) -> None:
        check(self)


_OPTIONS = (
    "capacity",
    "score",
    "best",
    "threshold",
    "prior",
    "decay",
    "new",
    "again",
    "scout_steps",
    "unique",
)


def ncc(env: Env, num_envs: int, step: float = 0.1, entropy: float = 0.05, **options: Any) -> Curriculum:
    """NCC: slots play levels drawn from the learned distribution; new levels take the place of those with the lowest scores.

    Args:
        env: a family of levels.
        num_envs: slots.
        step: of the ascent.
        entropy: weight of the distribution's entropy.
        **options: of the buffer's size and of the score; ``new``, ``again`` (half of the slots each), ``scout_steps``.

    Raises:
        ValueError: an option is not known or not allowed, or the environment lacks what is needed.
    """
    require_levels("ncc", env)
    half = max(1, num_envs // 2)
    defaults: dict[str, Any] = {
        "capacity": 1_000,
        "score": "posterior-learnability",
        "replay_probability": 1.0,
        "staleness": 0.0,
        "new": half,
        "again": half,
    }
    made = options_of("ncc", options, (*_OPTIONS, "step", "entropy"), **defaults)
    ascent = _Ascent(step, entropy)

    def moved(options: LevelOptions, before: LevelState, state: LevelState, number: Array) -> LevelState:
        del options, before, number
        buffer = state.buffer
        y = jnp.maximum(state.aside, _LEAST)
        slope = jnp.where(buffer.filled, buffer.scores, 0.0) - ascent.entropy * (jnp.log(y) + 1.0)
        return replace(state, aside=project(y + ascent.step * slope, buffer.filled))

    def logits(options: LevelOptions, state: LevelState) -> Array:
        del options
        # Slots that scouts have filled since have the least that any has.
        y = jnp.where(state.buffer.filled, jnp.maximum(state.aside, _LEAST), 0.0)
        return jnp.log(y)

    evenly = lambda options: jnp.full((options.capacity,), 1.0 / options.capacity, jnp.float32)
    return level_curriculum("ncc", env, made, Rule(evenly, logits, moved))


def project(y: Float[Array, " n"], allowed: Bool[Array, " n"], least: float = _LEAST) -> Float[Array, " n"]:
    """The nearest distribution with at least ``least`` on all that is allowed and 0 on all else (zeros if nothing is)."""
    count = allowed.sum()
    mass = jnp.maximum(1.0 - least * count, 0.0)
    v = jnp.where(allowed, y - least, -jnp.inf)
    falling = -jnp.sort(-v)
    sums = jnp.cumsum(jnp.where(jnp.isfinite(falling), falling, 0.0)) - mass
    ranks = jnp.arange(1, y.size + 1)
    holds = jnp.isfinite(falling) & (falling * ranks > sums)
    last = jnp.maximum(holds.sum() - 1, 0)
    found = jnp.maximum(v - sums[last] / ranks[last], 0.0) + least
    return jnp.where(allowed, found, 0.0)
