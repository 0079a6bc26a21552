"""NCC (Monette et al. 2025, arXiv 2505.20659): the distribution over the buffer is itself learned, by ascent on ``y . score + entropy H(y)``.

Among the distributions that give every level at least a little, an update takes the one that is best by ``y . score + entropy H(y) -
KL(y, before) / step``. The paper takes Euclidean gradient steps. Where levels have ``1/C`` each, the entropy curves by ``entropy C``, so
that for a thousand levels such a step of 0.1 leaps from one side of the optimum to the other unless it is shrunk, as the paper's adaptive
one is in time. This step, mirror ascent with the whole objective in it, has a closed form and comes nearer at every size of the buffer.

The paper scores the whole buffer anew in every update, at many times the cost of training; here the ``again`` levels of which least
is known are.
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


def ncc(env: Env, num_envs: int, step: float = 10.0, entropy: float = 0.05, **options: Any) -> Curriculum:
    """NCC: slots play levels drawn from the learned distribution; new levels take the place of those with the lowest scores.

    Args:
        env: a family of levels.
        num_envs: slots.
        step: of the ascent; after an update ``1 / (1 + step entropy)`` is left of the distance to the optimum, in logarithms.
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
        return replace(
            state, aside=ascended(state.aside, buffer.scores, buffer.filled, ascent.step, ascent.entropy)
        )

    def logits(options: LevelOptions, state: LevelState) -> Array:
        del options
        # Slots that scouts have filled since have the least that any has.
        y = jnp.where(state.buffer.filled, jnp.maximum(state.aside, _LEAST), 0.0)
        return jnp.log(y)

    evenly = lambda options: jnp.full((options.capacity,), 1.0 / options.capacity, jnp.float32)
    return level_curriculum("ncc", env, made, Rule(evenly, logits, moved))


def ascended(
    y: Float[Array, " n"], scores: Float[Array, " n"], allowed: Bool[Array, " n"], step: float, entropy: float
) -> Float[Array, " n"]:
    """The distribution after a step: ``y^(1 / (1 + step entropy)) exp(step score / (1 + step entropy))``, projected.

    Args:
        y: the one before; less than the least counts as the least.
        scores: of what is allowed; others are not read.
        allowed: what it is a distribution over.
        step: at least 0, with which nothing moves.
        entropy: weight of the entropy, at least 0.
    """
    worth = jnp.where(allowed, scores, 0.0)
    logits = (jnp.log(jnp.maximum(y, _LEAST)) + step * worth) / (1.0 + step * entropy)
    return project(logits, allowed)


def project(
    logits: Float[Array, " n"], allowed: Bool[Array, " n"], least: float = _LEAST
) -> Float[Array, " n"]:
    """Of the distributions with at least ``least`` on all that is allowed, and 0 on all else, the one of the smallest divergence from the
    softmax of the logits (zeros if nothing is allowed).

    It is that softmax but for those below the least, which have the least. Where there are so many that the least would be all,
    it is half of what each would have of an even distribution.
    """
    count = allowed.sum()
    each = jnp.minimum(least, 0.5 / jnp.maximum(count, 1))
    above = jnp.where(allowed, logits, -jnp.inf)
    highest = jnp.where(allowed.any(), above.max(), 0.0)
    weights = jnp.exp(above - highest)  # 0 of what is not allowed
    falling = -jnp.sort(-weights)
    # If the first k stay above the least, they share what the others leave, in proportion to their weights.
    ranks = jnp.arange(1, logits.size + 1)
    scale = (1.0 - each * (count - ranks)) / jnp.maximum(jnp.cumsum(falling), 1.0)  # the highest is 1
    holds = (falling * scale > each) & (ranks <= count)
    last = jnp.maximum(holds.sum() - 1, 0)
    found = jnp.maximum(weights * scale[last], each)
    return jnp.where(allowed, found, 0.0)
