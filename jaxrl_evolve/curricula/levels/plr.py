"""Prioritised level replay (Jiang et al. 2021, arXiv 2010.03934) and its kin, which differ in what is learned from and what a
level is worth.

PLR learns from new levels and replayed ones. Robust PLR (arXiv 2110.02439) learns from replayed ones only: new levels are
scouted. Here both happen in every update, in the proportion of ``replay_probability``, as in parallel PLR (minimax, arXiv
2311.12716), which scouts as many as it trains on.
"""

from __future__ import annotations

from typing import Any

from jaxrl_envs.contract import Env
from jaxrl_evolve.curricula.levels.options import REPLAY, SCORING, options_of, require_levels
from jaxrl_evolve.curricula.levels.replay import level_curriculum
from jaxrl_evolve.runs.tasks import Curriculum

SCOUTED = tuple(name for name in (*REPLAY, *SCORING) if name != "replay_probability")
"""Options of methods whose training slots all replay."""
SETTLED = tuple(name for name in SCOUTED if name not in ("score", "best", "prior"))
"""Those of such methods that are what their score is."""


def plr(env: Env, num_envs: int, **options: Any) -> Curriculum:
    """PLR: each slot plays a level from the buffer with ``replay_probability``, else a new one; all are learned from.

    Args:
        env: a family of levels.
        num_envs: not read.
        **options: of `LevelOptions`, those of the buffer and of the score.

    Raises:
        ValueError: an option is not known or not allowed, or the environment lacks what is needed.
    """
    del num_envs
    return level_curriculum("plr", env, options_of("plr", options, (*REPLAY, *SCORING)))


def robust_plr(env: Env, num_envs: int, **options: Any) -> Curriculum:
    """Robust PLR: slots replay; ``num_envs (1 - q) / q`` new levels are scouted, with ``q`` the ``replay_probability``.

    Until the buffer is filled enough there is nothing to replay, and slots learn from new levels.

    Args:
        env: a family of levels.
        num_envs: slots.
        **options: as of `plr`, and ``scout_steps``.

    Raises:
        ValueError: as `plr`; or ``replay_probability`` is 0, with which nothing would be learned from.
    """
    given = dict(options)
    share = given.pop("replay_probability", 0.5)
    offered = (*REPLAY, *SCORING, "scout_steps")
    options_of("robust-plr", {**given, "replay_probability": share}, offered, new=1)
    if share == 0.0:
        raise ValueError(
            "replay_probability is 0.0; robust-plr learns from replayed levels only, so it must be above 0"
        )
    new = round(num_envs * (1.0 - share) / share)
    made = options_of("robust-plr", given, offered, replay_probability=1.0, new=new)
    return level_curriculum("robust-plr", env, made)


def parallel_plr(env: Env, num_envs: int, **options: Any) -> Curriculum:
    """Parallel PLR: all slots replay, and ``new`` levels, by default as many, are scouted.

    Raises:
        ValueError: as `plr`.
    """
    return scouting("parallel-plr", env, num_envs, options, "max-mc")


def mna(env: Env, num_envs: int, **options: Any) -> Curriculum:
    """Parallel PLR by maximised negative advantage (arXiv 2601.14957): what was lost on levels that can be solved.

    Raises:
        ValueError: as `plr`.
    """
    return scouting("mna", env, num_envs, options, "mna", SETTLED)


def true_regret(env: Env, num_envs: int, **options: Any) -> Curriculum:
    """Parallel PLR by the regret itself, which only an environment with `optimal_return` can say: an oracle for comparison.

    Raises:
        ValueError: as `plr`.
    """
    return scouting("true-regret", env, num_envs, options, "true-regret", SETTLED)


def scouting(
    name: str,
    env: Env,
    num_envs: int,
    options: dict[str, Any],
    score: str,
    offered: tuple[str, ...] = SCOUTED,
) -> Curriculum:
    """Parallel PLR under a name and with a score of its own.

    Raises:
        ValueError: as `plr`.
    """
    require_levels(name, env)
    defaults = {"replay_probability": 1.0, "new": num_envs, "score": score}
    made = options_of(name, options, (*offered, "new", "scout_steps"), **defaults)
    return level_curriculum(name, env, made)
