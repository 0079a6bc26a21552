"""Domain randomisation (Tobin et al. 2017, arXiv 1703.06907): a task drawn anew for every slot and rollout."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from jaxrl_envs.contract import Env
from jaxrl_evolve.curricula.levels.options import require_levels
from jaxrl_evolve.runs.tasks import NEW, Assignment, Curriculum, Openings


def domain_randomisation(env: Env, num_envs: int, restart: bool = False) -> Curriculum:
    """Tasks as the environment draws them: the curriculum that has no say.

    Args:
        env: one that draws tasks.
        num_envs: not read.
        restart: whether every slot begins a new task with every rollout, as under curricula of levels, which so differ in nothing but
            their choice; else each task is played to its end.

    Raises:
        ValueError: the environment has one task only, or an option is not allowed.
    """
    del num_envs
    if not isinstance(restart, bool):
        raise ValueError(f"curriculum_options.restart is {restart!r}; it must be True or False")
    require_levels("random", env)

    def propose(key: Array, state: Any, openings: Openings) -> tuple[Any, Assignment]:
        del key
        return state, Assignment(jnp.full(openings.playing.shape, NEW, jnp.int32), openings.drawn)

    nothing = lambda state: {}
    return Curriculum(lambda key: (), propose, lambda state, outcome: state, nothing, restart)
