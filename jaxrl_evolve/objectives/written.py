"""Objectives without parameters, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from jaxrl_evolve.settings.later import later

if TYPE_CHECKING:
    from jaxrl_evolve.objectives.objective import AnyObjective

WRITTEN: dict[str, Callable[[], AnyObjective]] = {
    "ppo-clip": later("objectives.ppo", "ppo_clip"),
    "a2c": later("objectives.a2c", "a2c"),
    "discovered": later("objectives.drift.discovered", "discovered"),
}
"""Their factories."""
