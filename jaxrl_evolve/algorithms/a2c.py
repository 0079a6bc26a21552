"""Advantage actor-critic (Mnih et al. 2016)."""

from __future__ import annotations

from dataclasses import replace

from jaxrl_evolve.algorithms.algorithm import Algorithm, Preset
from jaxrl_evolve.algorithms.ppo import ppo_preset
from jaxrl_evolve.learners.ppo_config import PPOConfig, PPOHyperparameters
from jaxrl_evolve.settings.later import later


def a2c_preset(env: str) -> Preset:
    """PPO's settings for the environment, turned into A2C: one pass over the whole batch."""
    preset = ppo_preset(env)
    config = replace(preset.config, epochs=1, minibatches=1, normalise_advantage=False, clip_value=False)
    return replace(preset, rollout_length=min(preset.rollout_length, 16), config=config)


A2C = Algorithm(
    later("learners.a2c", "a2c_agent"),
    PPOConfig,
    PPOHyperparameters,
    a2c_preset,
    "advantage actor-critic (Mnih et al. 2016)",
    unread=(
        *("learner.epochs", "learner.minibatches", "learner.shuffle", "learner.clip_value"),
        *("hp.clip", "hp.clip_end"),
    ),
)
