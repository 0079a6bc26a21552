"""Sampling for learnability (Rutherford et al. 2024, arXiv 2408.15099): levels that are solved about half of the time.

The paper stops every ``refresh`` updates to roll out many random levels, and keeps the ``kept`` with the highest ``p (1 - p)``. Here the
screening is spread over the updates in between, so that no update differs from another: ``screened / refresh`` levels are looked at
in each. A first look at few episodes would fill the buffer with levels that were merely lucky, so as many scouts look again at those
of the buffer of which the fewest episodes are known (the second stage), and every visit in training adds to what is known.
"""

from __future__ import annotations

import math
from typing import Any

from jaxrl_envs.contract import Env
from jaxrl_evolve.curricula.levels.options import options_of, require_levels
from jaxrl_evolve.curricula.levels.replay import level_curriculum
from jaxrl_evolve.runs.tasks import Curriculum
from jaxrl_evolve.settings.checks import whole

_OPTIONS = ("score", "threshold", "prior", "again", "scout_steps", "unique")


def sfl(
    env: Env,
    num_envs: int,
    screened: int = 0,
    refresh: int = 25,
    kept: int = 0,
    share: float = 0.5,
    **options: Any,
) -> Curriculum:
    """SFL: each slot plays one of the kept levels, all alike, with probability ``share``, else a new one; all are learned from.

    Args:
        env: a family of levels, of whose episodes it is known which are successes.
        num_envs: slots.
        screened: levels that are looked at for the first time in ``refresh`` updates; 0 is a quarter of the slots in each update.
        refresh: updates after which what was seen of a level counts 1/e.
        kept: levels in the buffer; 0 is four for each slot.
        share: of slots that play kept levels.
        **options: ``score`` (learnability, posterior-learnability), ``threshold``, ``prior``, ``again`` (looks at known levels in an update; by
            default as many as at new ones), ``scout_steps``, ``unique``.

    Raises:
        ValueError: an option is not known or not allowed, or the environment lacks what is needed.
    """
    require_levels("sfl", env)
    screened, refresh, kept = (
        whole("screened", screened, 0),
        whole("refresh", refresh, 1),
        whole("kept", kept, 0),
    )
    new = math.ceil(screened / refresh) if screened else max(1, num_envs // 4)
    capacity = kept or 4 * num_envs
    defaults: dict[str, Any] = {
        "score": "posterior-learnability",
        "capacity": capacity,
        "prioritisation": "top-k",
        "top": capacity,
        "staleness": 0.0,
        "replay_probability": share,
        "min_fill": 0.0,
        "decay": math.exp(-1.0 / refresh),
        "new": new,
        "again": new,
    }
    named = ("screened", "refresh", "kept", "share")
    made = options_of("sfl", options, (*_OPTIONS, *named), **defaults)
    return level_curriculum("sfl", env, made)
