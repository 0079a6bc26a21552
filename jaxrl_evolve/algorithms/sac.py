"""SAC by name, and its settings by environment.

In general those of the paper (Haarnoja et al. 2018, arXiv 1812.05905, table 1), with the critics' larger step size of later
implementations; those for brax follow brax's own (Freeman et al. 2021): many environments, normalised observations. None is tuned.
"""

from __future__ import annotations

from jaxrl_evolve.algorithms.algorithm import Algorithm, Preset, preset_for
from jaxrl_evolve.algorithms.rainbow import UNREAD
from jaxrl_evolve.learners.sac_config import SACConfig, SACHyperparameters
from jaxrl_evolve.settings.later import later

SAC_PRESETS: dict[str, Preset] = {
    "*": Preset(1, 1, "full", SACConfig(), SACHyperparameters()),
    "Pendulum-*": Preset(
        4,
        1,
        "full",
        SACConfig(capacity=100_000, batch=128, gradient_steps=4, warm_up=1_000, hidden=(64, 64)),
        SACHyperparameters(learning_rate=1e-3, critic_learning_rate=1e-3, temperature_learning_rate=1e-3),
    ),
    "brax/*": Preset(
        64,
        1,
        "full",
        SACConfig(gradient_steps=32, warm_up=8_192, normalise_observations=True),
        SACHyperparameters(learning_rate=6e-4, critic_learning_rate=6e-4, reward_scale=10.0),
    ),
}


def sac_preset(env: str) -> Preset:
    """The settings for an environment's name."""
    return preset_for(SAC_PRESETS, env)


SAC = Algorithm(
    later("learners.sac", "sac"),
    SACConfig,
    SACHyperparameters,
    sac_preset,
    "soft actor-critic, from replay, for actions between bounds (Haarnoja et al. 2018)",
    UNREAD,
)
