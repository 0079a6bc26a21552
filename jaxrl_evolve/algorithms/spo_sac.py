"""SPO on SAC by name, and its settings by environment: SAC's there, with payoffs of about 1 a step where episodes run their whole length, and a temperature
that begins at a tenth, since rewards are small. None is tuned.
"""

from __future__ import annotations

import dataclasses

from jaxrl_evolve.algorithms.algorithm import Algorithm, Preset, preset_for
from jaxrl_evolve.algorithms.rainbow import UNREAD
from jaxrl_evolve.algorithms.sac import SAC_PRESETS
from jaxrl_evolve.learners.sac_config import SACConfig, SACHyperparameters
from jaxrl_evolve.learners.spo_sac_config import SPOSACConfig, SPOSACHyperparameters
from jaxrl_evolve.settings.later import later


def _preset(pattern: str, payoff_scale: float) -> Preset:
    of = SAC_PRESETS[pattern]
    config = {field.name: getattr(of.config, field.name) for field in dataclasses.fields(SACConfig)}
    hp = {field.name: getattr(of.hp, field.name) for field in dataclasses.fields(SACHyperparameters)}
    hp |= {"payoff_scale": payoff_scale, "temperature": 0.1, "reward_scale": 1.0}
    sizes = (of.num_envs, of.rollout_length, of.resets)
    return Preset(*sizes, SPOSACConfig(**config), SPOSACHyperparameters(**hp))


SPO_SAC_PRESETS: dict[str, Preset] = {
    "*": _preset("*", 100.0),
    "Pendulum-*": _preset("Pendulum-*", 200.0),
    "brax/*": _preset("brax/*", 1_000.0),
}


def spo_sac_preset(env: str) -> Preset:
    """The settings for an environment's name."""
    return preset_for(SPO_SAC_PRESETS, env)


SPO_SAC = Algorithm(
    later("learners.spo_sac", "spo_sac"),
    SPOSACConfig,
    SPOSACHyperparameters,
    spo_sac_preset,
    "self-play preference optimisation on SAC: win rates for rewards in the replay buffer, found anew as they age (Swamy et al. 2024)",
    UNREAD,
)
