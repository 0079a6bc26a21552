"""Agents for LPG objectives (Oh et al. 2020)."""

from __future__ import annotations

import fnmatch
from dataclasses import replace

from jaxrl_evolve.algorithms.algorithm import Algorithm, Preset
from jaxrl_evolve.learners.ppo_config import PPOConfig, PPOHyperparameters
from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.settings.later import later

_LPG_TABLE = PPOConfig(epochs=1, minibatches=1, optimiser="sgd", network=NetworkConfig(encoder="tabular"))
_LPG_NETWORK = PPOConfig(epochs=1, minibatches=1, network=NetworkConfig(activation="relu"))

UNREAD_BY_TARGETS = (  # there is no critic, and no bonus and no prediction but what the objective asks for
    *("learner.normalise_advantage", "learner.clip_value"),
    *("learner.predicted", "learner.target_rate", "learner.shift"),
    *(
        f"hp.{name}"
        for name in ("gae_lambda", "clip", "clip_end", "value_coef", "entropy_coef", "entropy_end")
    ),
)


def lpg_preset(env: str) -> Preset:
    """Settings of agents that learn by an LPG objective, from Jackson et al. (2023).

    Tables in grid worlds, whose step sizes only mean something with a gradient averaged over 1,280 samples
    and cut to a norm of 0.5: 40 for the policy, a tenth of it for the prediction. Elsewhere networks and Adam.
    """
    if fnmatch.fnmatchcase(env, "grid/rand_*"):  # objects move between episodes, so states cannot be listed
        config = replace(_LPG_NETWORK, network=NetworkConfig(hidden=(32,), activation="relu"))
        return Preset(64, 20, "full", config, PPOHyperparameters(learning_rate=1e-3, learning_rate_end=1.0))
    if env.startswith("grid/"):
        hp = PPOHyperparameters(learning_rate=40.0, learning_rate_end=1.0, prediction_coef=0.05)
        return Preset(64, 20, "full", _LPG_TABLE, hp)
    return Preset(64, 20, "full", _LPG_NETWORK, PPOHyperparameters(learning_rate=5e-4, learning_rate_end=1.0))


LPG = Algorithm(
    later("learners.lpg", "lpg_agent"),
    PPOConfig,
    PPOHyperparameters,
    lpg_preset,
    "an agent for LPG objectives (Oh et al. 2020)",
    unread=UNREAD_BY_TARGETS,
)
