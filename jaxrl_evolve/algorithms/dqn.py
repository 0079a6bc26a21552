"""DQN by name, and its settings by environment: of the learner of Rainbow, the one without additions.

Those for classic control were tuned on CartPole over loss, step size, nonlinearity, gradient steps, renewals of the target
network and capacity with root seed 100, over the steps of CartPole's returns with root seeds 100, 200 and 300 and of
Acrobot's with 200, and tried on MountainCar with root seed 200; the reported ones have root seed 0. What else was tried is in
``docs/dqn.md``.
Those for MinAtar are not tuned.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

from jaxrl_evolve.algorithms.algorithm import Algorithm, Preset, preset_for
from jaxrl_evolve.algorithms.rainbow import UNREAD
from jaxrl_evolve.learners.rainbow_config import RainbowConfig, RainbowHyperparameters
from jaxrl_evolve.networks.action_values_config import ActionValuesConfig
from jaxrl_evolve.settings.later import later

_CLASSIC = Preset(
    16,
    8,
    "full",
    RainbowConfig(
        capacity=50_000,
        gradient_steps=16,
        loss="squared",
        target_period=50,
        network=ActionValuesConfig(hidden=(120, 84), activation="tanh"),
    ),
    RainbowHyperparameters(learning_rate=1e-3, learning_rate_end=0.0, exploration=0.3),
)
_CARTPOLE = dataclasses.replace(
    _CLASSIC,
    config=dataclasses.replace(_CLASSIC.config, longest=5),
    hp=dataclasses.replace(_CLASSIC.hp, steps=5.0),
)
_MINATAR = Preset(
    16,
    8,
    "full",
    RainbowConfig(
        capacity=100_000,
        store_bytes=True,
        batch=64,
        gradient_steps=16,
        warm_up=5_000,
        target_period=500,
        network=ActionValuesConfig(encoder="minatar", hidden=(128,)),
    ),
    RainbowHyperparameters(exploration=0.1, epsilon_end=0.02, epsilon_evaluation=0.02),
)


def _of_images(store_bytes: bool, layout: Literal["faithful", "jax-port"] = "faithful") -> Preset:
    """The network of Mnih et al. 2015; untested here."""
    network = ActionValuesConfig(encoder="atari", hidden=(512,), layout=layout)
    return dataclasses.replace(
        _MINATAR, config=dataclasses.replace(_MINATAR.config, store_bytes=store_bytes, network=network)
    )


DQN_PRESETS: dict[str, Preset] = {
    "*": _CLASSIC,
    "CartPole-*": _CARTPOLE,
    "*-MinAtar": _MINATAR,
    "atari/*": _of_images(store_bytes=False),
    "craftax/*Pixels*": _of_images(store_bytes=True),
    "octax/*": _of_images(
        store_bytes=False, layout="jax-port"
    ),  # 32 x 64 pixels, which that encoder reads only when they are padded
}


def dqn_preset(env: str) -> Preset:
    """The settings for an environment's name."""
    return preset_for(DQN_PRESETS, env)


DQN = Algorithm(
    later("learners.rainbow", "rainbow"),
    RainbowConfig,
    RainbowHyperparameters,
    dqn_preset,
    "deep Q-learning from replay (Mnih et al. 2015)",
    UNREAD,
)
