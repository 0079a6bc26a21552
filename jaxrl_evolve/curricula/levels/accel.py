"""ACCEL (Parker-Holder et al. 2022, arXiv 2203.01302): levels at the edge of what is mastered, edited a little, stay there.

In every update, as in its parallel form (minimax, arXiv 2311.12716): slots replay and are learned from, while mutants of what was
replayed, and some new levels, are scouted.
"""

from __future__ import annotations

from typing import Any

from jaxrl_envs.contract import Env
from jaxrl_evolve.curricula.levels.options import options_of, require_levels
from jaxrl_evolve.curricula.levels.plr import SCOUTED
from jaxrl_evolve.curricula.levels.replay import level_curriculum
from jaxrl_evolve.runs.tasks import Curriculum


def accel(env: Env, num_envs: int, **options: Any) -> Curriculum:
    """ACCEL: ``mutants`` (as many as slots) and ``new`` levels (a quarter of that) are scouted.

    New levels are as the environment draws them; where it can draw easy ones (``maze/random`` with ``walls=0``), that is the paper's
    start from empty rooms.

    Args:
        env: a family of levels with `edit_params`.
        num_envs: slots.
        **options: of the buffer, of the score, ``new``, ``mutants``, ``edits``, ``parents``, ``scout_steps``.

    Raises:
        ValueError: an option is not known or not allowed, or the environment lacks what is needed.
    """
    require_levels("accel", env, edits=True)
    defaults = {"replay_probability": 1.0, "score": "pvl", "mutants": num_envs, "new": max(1, num_envs // 4)}
    offered = (*SCOUTED, "new", "mutants", "edits", "parents", "scout_steps")
    return level_curriculum("accel", env, options_of("accel", options, offered, **defaults))
