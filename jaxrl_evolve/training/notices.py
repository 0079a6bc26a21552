"""What is told of a configuration that may be trained as it is, before it is: settings that nobody reads, a run too short, another horizon."""

from __future__ import annotations

import warnings
from typing import Any

from jaxrl_evolve.algorithms.lpg import UNREAD_BY_TARGETS
from jaxrl_evolve.algorithms.table import find_preset
from jaxrl_evolve.learners.ppo_config import PPOConfig
from jaxrl_evolve.objectives import HorizonWarning
from jaxrl_evolve.objectives.kinds import find_objective
from jaxrl_evolve.objectives.objective import TargetObjective
from jaxrl_evolve.settings.notices import Notice
from jaxrl_evolve.training.config import TrainConfig


def warn_of_unread(config: TrainConfig[Any, Any]) -> None:
    """Tell (`Notice`) of settings that were changed and that only the algorithm's own objective reads."""
    if not config.objective or not isinstance(config.learner, PPOConfig):
        return
    preset, objective = find_preset(config.algorithm, config.env), find_objective(config.objective)
    unread = ("learner.normalise_advantage", "learner.clip_value")
    for path in UNREAD_BY_TARGETS if isinstance(objective, TargetObjective) else unread:
        part, _, name = path.partition(".")
        given, usual = (config.learner, preset.config) if part == "learner" else (config.hp, preset.hp)
        if (value := getattr(given, name)) != getattr(usual, name):
            warnings.warn(
                f"{path} is {value}, which objective {config.objective!r} does not read: "
                f"only {config.algorithm}'s own does",
                Notice,
                stacklevel=3,
            )


def warn_of_warm_up(config: TrainConfig[Any, Any]) -> None:
    """Tell (`Notice`) of a run that ends before its agents begin to learn."""
    warm_up = getattr(config.learner, "warm_up", 0)
    if isinstance(warm_up, int) and warm_up >= config.steps:
        warnings.warn(
            f"learner.warm_up is {warm_up:,} and steps is {config.steps:,}: the run ends before anything is learned",
            Notice,
            stacklevel=3,
        )


def warn_of_horizon(config: TrainConfig[Any, Any]) -> None:
    """Warn (`HorizonWarning`) if the objective was trained at other horizons than this run's."""
    objective = find_objective(config.objective) if config.objective else None
    if objective is None or objective.horizons is None:
        return
    trained = objective.horizons
    horizon = config.env_steps if trained.unit == "env_steps" else config.updates
    if horizon not in trained:
        warnings.warn(
            f"the horizon of {horizon:,} {trained.unit.replace('_', ' ')} is not one that objective "
            f"{config.objective!r} was trained at ({trained}): what it reads of the horizon's length is clamped "
            "to that range",
            HorizonWarning,
            stacklevel=2,
        )
