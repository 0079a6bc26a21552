"""TRACED (Cho et al. 2025, arXiv 2506.19997): levels whose training makes others easier are worth more (co-learnability).

When levels are trained on again, the mean fall of their scores since their last visits is added to the scores of the levels that were
trained on in the update before. The paper's scores also have the error of a learned model of transitions; agents here have none, so
that part is left out.
"""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Annotated, Any

import jax.numpy as jnp
from jaxtyping import Array

from jaxrl_envs.contract import Env
from jaxrl_evolve.curricula.level_buffer import NEW
from jaxrl_evolve.curricula.levels.options import LevelOptions, options_of, require_levels
from jaxrl_evolve.curricula.levels.plr import SCOUTED
from jaxrl_evolve.curricula.levels.replay import LevelState, Rule, level_curriculum
from jaxrl_evolve.runs.tasks import Curriculum
from jaxrl_evolve.settings.checks import AtLeast, check


@dataclasses.dataclass(frozen=True)
class _Weight:
    """The one setting of its own."""

    co_learnability: Annotated[float, AtLeast(0.0)]

    def __post_init__(self) -> None:
        check(self)


def traced(env: Env, num_envs: int, co_learnability: float = 1.0, **options: Any) -> Curriculum:
    """ACCEL, or parallel PLR where levels cannot be edited, with co-learnability in the scores.

    Args:
        env: a family of levels.
        num_envs: slots.
        co_learnability: its weight.
        **options: as of `accel`; ``mutants`` and ``new`` levels that are scouted.

    Raises:
        ValueError: an option is not known or not allowed, or the environment lacks what is needed.
    """
    require_levels("traced", env)
    mutants = 0 if env.edit_params is None else num_envs
    new = max(1, num_envs // 4) if mutants else num_envs
    defaults: dict[str, Any] = {"replay_probability": 1.0, "score": "pvl", "mutants": mutants, "new": new}
    own = ("new", "mutants", "edits", "parents", "scout_steps", "co_learnability")
    made = options_of("traced", options, (*SCOUTED, *own), **defaults)
    weight = _Weight(co_learnability).co_learnability

    def trained(options: LevelOptions, before: LevelState, state: LevelState, number: Array) -> LevelState:
        del options
        fall = co_learnability_of(before.buffer, state.buffer, number)
        earlier = jnp.isin(state.buffer.numbers, state.aside) & state.buffer.filled
        scores = state.buffer.scores + jnp.where(earlier, weight * fall, 0.0)
        return LevelState(replace(state.buffer, scores=scores), number)

    nobody = lambda options: jnp.full((num_envs,), NEW, jnp.int32)
    return level_curriculum("traced", env, made, Rule(nobody, trained=trained))


def co_learnability_of(before: Any, after: Any, number: Array) -> Array:
    """How far the scores of the levels of these numbers fell, in the mean over those that were in the buffer before; 0 of none.

    Args:
        before: the buffer before the visit.
        after: and after it.
        number: of the levels that were trained on.
    """
    again = jnp.isin(before.numbers, number) & before.filled & (before.numbers == after.numbers)
    fall = jnp.where(again, before.extras.score - after.extras.score, 0.0)
    return fall.sum() / jnp.maximum(again.sum(), 1)
