"""PQN by name, and its settings by environment: those of its authors' code for MinAtar and for Atari, the latter for other pixels, too, and for the
rest those for CartPole, but for a larger step size, a lower rate of exploration, a narrower network, and rewards as they are.
"""

from __future__ import annotations

from typing import Literal

from jaxrl_evolve.algorithms.algorithm import Algorithm, Preset, preset_for
from jaxrl_evolve.algorithms.rainbow import UNREAD
from jaxrl_evolve.learners.pqn_config import PQNConfig, PQNHyperparameters
from jaxrl_evolve.networks.action_values_config import ActionValuesConfig
from jaxrl_evolve.settings.later import later


def _of_images(layout: Literal["faithful", "jax-port"] = "faithful") -> Preset:
    """For Atari's frames, and other images that the same encoder reads; untested here."""
    network = ActionValuesConfig(encoder="atari", hidden=(512,), layer_norm=True, layout=layout)
    hp = PQNHyperparameters(learning_rate=2.5e-4, learning_rate_end=1.0, epsilon_end=0.001)
    return Preset(128, 32, "full", PQNConfig(minibatches=32, network=network), hp)


PQN_PRESETS: dict[str, Preset] = {
    "*": Preset(
        32,
        64,
        "full",
        PQNConfig(epochs=4, minibatches=16),
        PQNHyperparameters(learning_rate=2.5e-4, q_lambda=0.95, exploration=0.2),
    ),
    "*-MinAtar": Preset(
        128,
        32,
        "full",
        PQNConfig(
            minibatches=32,
            network=ActionValuesConfig(encoder="minatar", hidden=(128,), layer_norm=True),
        ),
        PQNHyperparameters(),
    ),
    "atari/*": _of_images(),
    "craftax/*Pixels*": _of_images(),
    "octax/*": _of_images("jax-port"),  # 32 x 64 pixels, which that encoder reads only when they are padded
}


def pqn_preset(env: str) -> Preset:
    """The settings for an environment's name."""
    return preset_for(PQN_PRESETS, env)


PQN = Algorithm(
    later("learners.pqn", "pqn"),
    PQNConfig,
    PQNHyperparameters,
    pqn_preset,
    "parallelised Q-learning without replay (Gallici et al. 2024)",
    UNREAD,
)
