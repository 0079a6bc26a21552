"""PACE (arXiv 2605.01358, 2026): a level is worth the squared norm of the parameter change that it causes.

To first order, that is what the policy's objective gains by a gradient step on the level. Nothing is played for it: the gradient
of every slot's rollout is taken once more by itself (`Learner.influence`).
"""

from __future__ import annotations

from typing import Any

from jaxrl_envs.contract import Env
from jaxrl_evolve.curricula.levels.options import REPLAY, options_of
from jaxrl_evolve.curricula.levels.replay import level_curriculum
from jaxrl_evolve.runs.tasks import Curriculum


def pace(env: Env, num_envs: int, **options: Any) -> Curriculum:
    """PLR with this score; the gradient is that of the advantage-weighted log-likelihood, advantages as the batch has them.

    Args:
        env: a family of levels.
        num_envs: not read.
        **options: of the buffer.

    Raises:
        ValueError: an option is not known or not allowed, or there is one level only.
    """
    del num_envs
    return level_curriculum("pace", env, options_of("pace", options, REPLAY, score="pace"))
