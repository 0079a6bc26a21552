"""What is told of a configuration that may be trained as it is, before it is: settings that nobody reads, a run too short, pixels
that are no image to the network, another horizon.
"""

from __future__ import annotations

import math
import warnings
from typing import Any, get_args, get_type_hints

from jaxrl_envs.spaces import Space
from jaxrl_evolve.algorithms.lpg import UNREAD_BY_TARGETS
from jaxrl_evolve.algorithms.table import find_preset
from jaxrl_evolve.learners.ppo_config import PPOConfig
from jaxrl_evolve.objectives import HorizonWarning
from jaxrl_evolve.objectives.kinds import find_objective
from jaxrl_evolve.objectives.objective import TargetObjective
from jaxrl_evolve.settings.notices import Notice
from jaxrl_evolve.training.config import TrainConfig

_PIXELS = 32
"""From this height and width on an array is taken for an image; smaller ones are boards, or windows of cells, of which flat networks learn as well."""


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


def warn_of_pixels(config: TrainConfig[Any, Any], space: Space) -> None:
    """Tell (`Notice`) of pixels that a network reads as so many numbers, as presets do in environments that they don't know."""
    network, shape = getattr(config.learner, "network", None), space.shape
    if getattr(network, "encoder", None) != "flat" or len(shape) != 3 or min(shape[:2]) < _PIXELS:
        return
    encoders = get_args(get_type_hints(type(network))["encoder"])
    others = " or ".join(repr(name) for name in encoders if name not in ("flat", "tabular"))
    warnings.warn(
        f"observations are {shape[0]}x{shape[1]} pixels, and learner.network.encoder is 'flat', which reads them as {math.prod(shape):,} numbers "
        f"without their places: {others} reads images",
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
