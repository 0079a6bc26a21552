"""Learners with a reward model by name, and their settings by environment: those of PPO and SAC there, with smaller models for Pendulum. None is tuned."""

from __future__ import annotations

import dataclasses
from typing import Any

from jaxrl_evolve.algorithms.algorithm import Algorithm, Preset
from jaxrl_evolve.algorithms.ppo import ppo_preset
from jaxrl_evolve.algorithms.rainbow import UNREAD
from jaxrl_evolve.algorithms.sac import sac_preset
from jaxrl_evolve.learners.ppo_config import PPOHyperparameters
from jaxrl_evolve.learners.reward_model_config import PebbleConfig, RewardModelPPOConfig
from jaxrl_evolve.learners.sac_config import SACHyperparameters
from jaxrl_evolve.settings.later import later


def _with_model(preset: Preset, kind: type[Any], env: str) -> Preset:
    own = {field.name: getattr(preset.config, field.name) for field in dataclasses.fields(preset.config)}
    if env.removeprefix("gymnax/").startswith("Pendulum-"):
        own["model_hidden"] = (64, 64)
    return dataclasses.replace(preset, config=kind(**own))


def reward_model_preset(env: str) -> Preset:
    """The settings of `reward-model` for an environment's name."""
    return _with_model(ppo_preset(env), RewardModelPPOConfig, env)


def pebble_preset(env: str) -> Preset:
    """The settings of `pebble` for an environment's name."""
    return _with_model(sac_preset(env), PebbleConfig, env)


REWARD_MODEL = Algorithm(
    later("learners.reward_model", "reward_model"),
    RewardModelPPOConfig,
    PPOHyperparameters,
    reward_model_preset,
    "PPO on a reward model that is learned from preferences between segments (Christiano et al. 2017)",
)
PEBBLE = Algorithm(
    later("learners.reward_model", "pebble"),
    PebbleConfig,
    SACHyperparameters,
    pebble_preset,
    "SAC on a reward model that is learned from preferences, with replay relabelled (Lee et al. 2021)",
    UNREAD,
)
