"""PAIRED (Dennis et al. 2020, arXiv 2012.02096): an adversary builds levels that one student solves and the other does not, yet."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from jaxrl_envs.contract import Env
from jaxrl_evolve.curricula.levels.duel import (
    DuelState,
    built,
    duel_for,
    duel_metrics,
    duel_options,
    judged,
    keys_of,
    opened,
    require_builder,
    returns_on,
    rival,
    schooled,
)
from jaxrl_evolve.learners.learner import Learner
from jaxrl_evolve.runs.lived import Lived
from jaxrl_evolve.runs.tasks import NEW, Assignment, Curriculum, Openings, unfitted


def paired(env: Env, num_envs: int, **options: Any) -> Curriculum:
    """PAIRED: in every update the adversary builds a level for each slot, protagonist and antagonist play it, and all three learn.

    Args:
        env: a family of levels with a builder.
        num_envs: slots.
        **options: of `DuelOptions`.

    Raises:
        ValueError: an option is not known or not allowed, or the environment has no builder.
    """
    builder = require_builder("paired", env)
    asked = duel_options("paired", options)

    def made_for(learner: Learner, rollout_length: int) -> Curriculum:
        duel = duel_for("paired", env, num_envs, asked, learner, rollout_length)

        def propose(key: Array, state: DuelState, openings: Openings) -> tuple[DuelState, Assignment]:
            state, levels = built(duel, key, state)
            return state, Assignment(jnp.full(openings.playing.shape, NEW, jnp.int32), levels)

        def record(state: DuelState, lived: Lived) -> DuelState:
            terms, keys = lived.terms, keys_of(state.key)
            assert terms is not None
            seen = rival(duel, (keys.resets, keys.acting), state, lived.proposed, terms)
            returns = returns_on(lived, "mean"), returns_on(seen, asked.regret)
            return judged(duel, schooled(duel, state, seen, terms), *returns, terms)

        steps = num_envs * (builder.steps + rollout_length)
        init = lambda key: opened(duel, key)
        return Curriculum(init, propose, record, duel_metrics, restart=True, steps=steps)

    return unfitted("paired", made_for)
