"""SPO by name, and its settings by environment: PPO's there, with whole episodes in a rollout where they are short. None is tuned but Pendulum's
minibatches, of which 8 were too few, tried on root seed 100.
"""

from __future__ import annotations

import dataclasses

from jaxrl_evolve.algorithms.algorithm import Algorithm, Preset, preset_for
from jaxrl_evolve.learners.ppo_config import PPOConfig
from jaxrl_evolve.learners.spo_config import SPOConfig, SPOHyperparameters
from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.settings.later import later


def _preset(num_envs: int, length: int, config: PPOConfig, **hp: float) -> Preset:
    fields = {field.name: getattr(config, field.name) for field in dataclasses.fields(PPOConfig)}
    return Preset(num_envs, length, "full", SPOConfig(**fields), SPOHyperparameters(**hp))


_SMALL = PPOConfig(epochs=4, minibatches=8, clip_value=False, network=NetworkConfig(hidden=(64, 64)))

SPO_PRESETS: dict[str, Preset] = {
    "*": _preset(64, 128, _SMALL, learning_rate=3e-4, entropy_coef=0.0),
    "Pendulum-*": _preset(
        256, 200, dataclasses.replace(_SMALL, minibatches=32), learning_rate=1e-3, entropy_coef=0.0
    ),
    "point/*": _preset(
        256, 20, _SMALL, learning_rate=3e-4, learning_rate_end=1.0, gamma=1.0, entropy_coef=0.0
    ),
    "brax/*": _preset(
        256,
        1_000,
        dataclasses.replace(_SMALL, minibatches=32, normalise_observations=True),
        learning_rate=3e-4,
        entropy_coef=0.0,
    ),
}


def spo_preset(env: str) -> Preset:
    """The settings for an environment's name."""
    return preset_for(SPO_PRESETS, env)


SPO = Algorithm(
    later("learners.spo", "spo"),
    SPOConfig,
    SPOHyperparameters,
    spo_preset,
    "self-play preference optimisation: PPO paid by how often its episodes are preferred to each other (Swamy et al. 2024)",
)
