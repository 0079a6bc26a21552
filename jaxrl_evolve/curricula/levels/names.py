"""Curricula of levels by name; imports no jax."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from jaxrl_evolve.settings.later import later

if TYPE_CHECKING:
    from jaxrl_evolve.runs.tasks import Curriculum

LEVEL_CURRICULA: dict[str, Callable[..., Curriculum]] = {
    "plr": later("curricula.levels.plr", "plr"),
    "robust-plr": later("curricula.levels.plr", "robust_plr"),
    "parallel-plr": later("curricula.levels.plr", "parallel_plr"),
    "mna": later("curricula.levels.plr", "mna"),
    "true-regret": later("curricula.levels.plr", "true_regret"),
    "pace": later("curricula.levels.pace", "pace"),
    "accel": later("curricula.levels.accel", "accel"),
    "sfl": later("curricula.levels.sfl", "sfl"),
    "ncc": later("curricula.levels.ncc", "ncc"),
    "traced": later("curricula.levels.traced", "traced"),
    "paired": later("curricula.levels.paired", "paired"),
    "repaired": later("curricula.levels.repaired", "repaired"),
}
"""Functions ``(env, num_envs, **options) -> Curriculum``."""
