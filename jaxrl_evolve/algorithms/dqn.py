"""DQN by name, and its settings by environment.

Those for classic control were tuned on CartPole over loss, step size, renewals of the target network and capacity with root
seed 100; the reported ones have root seed 0. MountainCar needs more gradient steps: its own are the cheaper of two settings
that were tried, with two seeds of root seed 100 each. The losses of the MinAtar ones are those of Young and Tian (2019).
"""

from __future__ import annotations

import fnmatch
from dataclasses import replace

from jaxrl_evolve.algorithms.algorithm import Algorithm, Preset
from jaxrl_evolve.learners.dqn import dqn
from jaxrl_evolve.learners.dqn_config import DQNConfig, DQNHyperparameters
from jaxrl_evolve.networks.network import NetworkConfig

_CLASSIC = Preset(
    16,
    8,
    "full",
    DQNConfig(capacity=50_000, loss="squared", target_period=200),
    DQNHyperparameters(learning_rate=1e-3, learning_rate_end=0.0, exploration=0.3),
)
_MOUNTAIN_CAR = replace(
    _CLASSIC,
    config=replace(
        _CLASSIC.config,
        gradient_steps=32,
        target_period=50,
        network=NetworkConfig(hidden=(120, 84), activation="tanh"),
    ),
)
_MINATAR = Preset(
    16,
    8,
    "full",
    DQNConfig(
        capacity=100_000,
        batch=64,
        gradient_steps=16,
        warm_up=5_000,
        target_period=500,
        network=NetworkConfig(encoder="minatar", hidden=(128,), activation="relu"),
    ),
    DQNHyperparameters(exploration=0.1, epsilon_end=0.02),
)

DQN_PRESETS: dict[str, Preset] = {"*": _CLASSIC, "MountainCar-v0": _MOUNTAIN_CAR, "*-MinAtar": _MINATAR}


def dqn_preset(env: str) -> Preset:
    """The settings for an environment's name: those of the longest pattern that matches it."""
    env = env.removeprefix("gymnax/")
    return DQN_PRESETS[max((p for p in DQN_PRESETS if fnmatch.fnmatchcase(env, p)), key=len)]


DQN = Algorithm(
    dqn, DQNConfig, DQNHyperparameters, dqn_preset, "deep Q-learning from replay (Mnih et al. 2015)"
)
