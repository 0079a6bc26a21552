"""The curricula of arms by name; nothing here waits for jax."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from jaxrl_evolve.settings.later import later

NAMES = (
    *(
        "uniform",
        "ordered",
        "reverse",
        "filter",
        "pools",
        "learnability",
        "adarft",
        "sec",
        "sec-code",
        "dump",
    ),
    *("exp3s", "discounted-ucb", "window-ucb", "thompson", "thompson-gaussian"),
    *(
        "tscl-online",
        "tscl-naive",
        "tscl-window",
        "tscl-sampling",
        "learning-progress",
        "omni",
        "adcl",
        "eva",
    ),
)
"""Methods of `table.METHODS`."""

ARM_CURRICULA: dict[str, Callable[..., Any]] = {
    name: partial(later("curricula.arms.curriculum", "arm_curriculum"), name) for name in NAMES
}
"""Functions ``(env, num_envs, **options) -> Curriculum``."""
