"""Tuned settings per suite and environment, held as data.

A preset is found by the longest pattern that matches the environment's name. Sources: PureJaxRL's
published settings for classic control, MinAtar and Brax; Craftax_Baselines' for Craftax. What was tuned
here says so beside the entry, with the seeds it was tuned on (never those that are reported).
"""

from __future__ import annotations

import dataclasses
import fnmatch
from dataclasses import replace
from typing import Any

from jaxrl_evolve.learners.disco import DiscoAgentConfig, DiscoHyperparameters
from jaxrl_evolve.learners.ppo import PPOConfig, PPOHyperparameters
from jaxrl_evolve.networks.network import NetworkConfig


@dataclasses.dataclass(frozen=True)
class Preset:
    """Settings of a training run that depend on the environment.

    Attributes:
        num_envs: parallel environments of one run.
        rollout_length: steps per environment and update.
        resets: reset policy by name, see `jaxrl_envs.vector.resets_from_name`.
        config: the algorithm's static settings.
        hp: its hyperparameters.
    """

    num_envs: int = 4
    rollout_length: int = 128
    resets: str = "full"
    config: Any = dataclasses.field(default_factory=PPOConfig)
    hp: Any = dataclasses.field(default_factory=PPOHyperparameters)


_CLASSIC = Preset()
# The tasks that are hard at a constant scale of rewards and observations. Tuned here over learning rate, gamma
# and entropy bonus at 5e5 steps with root seeds 100 and 200; the reported ones have root seed 0.
_NORMALISED = PPOConfig(normalise_observations=True, normalise_returns=True)
_ACROBOT = replace(_CLASSIC, num_envs=16, hp=PPOHyperparameters(learning_rate=1e-3))
_PENDULUM = Preset(
    num_envs=16,
    config=replace(_NORMALISED, epochs=10, minibatches=8),
    hp=PPOHyperparameters(learning_rate=1e-3, gamma=0.95, entropy_coef=0.0),
)
_MOUNTAIN_CAR = Preset(
    num_envs=16,
    rollout_length=64,
    config=_NORMALISED,
    hp=PPOHyperparameters(learning_rate=3e-3, gae_lambda=0.98, entropy_coef=0.05),
)
_MOUNTAIN_CAR_CONTINUOUS = Preset(num_envs=32, config=_NORMALISED, hp=PPOHyperparameters(learning_rate=3e-3))
_MINATAR = Preset(
    num_envs=64,
    config=PPOConfig(minibatches=8, network=NetworkConfig(activation="relu")),
    hp=PPOHyperparameters(learning_rate=5e-3),
)
# Annealed step sizes per game, with this network and batch, from the code of Goldie et al. 2025 ("How Should
# We Meta-Learn Reinforcement Learning Algorithms?"), where they are tuned for PPO's learned relatives.
# Seaquest keeps PureJaxRL's 5e-3.
_MINATAR_LEARNING_RATES = {
    "Asterix-MinAtar": 3e-3,
    "Breakout-MinAtar": 1e-2,
    "Freeway-MinAtar": 1e-3,
    "SpaceInvaders-MinAtar": 7e-3,
}
_BRAX = Preset(
    num_envs=2048,
    rollout_length=10,
    config=PPOConfig(
        minibatches=32,
        normalise_observations=True,
        normalise_returns=True,
        network=NetworkConfig(hidden=(256, 256)),
    ),
    hp=PPOHyperparameters(learning_rate=3e-4, learning_rate_end=1.0, entropy_coef=0.0),
)
_CRAFTAX = Preset(
    num_envs=1024,
    rollout_length=64,
    resets="optimistic:16",
    config=PPOConfig(minibatches=8, network=NetworkConfig(hidden=(512, 512, 512))),
    hp=PPOHyperparameters(learning_rate=2e-4, gae_lambda=0.8, max_grad_norm=1.0),
)
# Tuned here at memory lengths 10 and 20 with root seeds 100 and 200. At length 20 and 4e5 steps, of learning
# rates 1e-3 and 3e-3 and lambda 0.95 and 1, only 3e-3 with 1 solved it (one seed each).
_MEMORY_CHAIN = Preset(
    num_envs=64,
    rollout_length=64,
    config=PPOConfig(network=NetworkConfig(memory="gru", memory_size=64, hidden=(64,))),
    hp=PPOHyperparameters(learning_rate=3e-3, gae_lambda=1.0),
)

PPO_PRESETS: dict[str, Preset] = {
    "*": _CLASSIC,
    "Acrobot-v1": _ACROBOT,
    "Pendulum-v1": _PENDULUM,
    "MountainCar-v0": _MOUNTAIN_CAR,
    "MountainCarContinuous-v0": _MOUNTAIN_CAR_CONTINUOUS,
    "*-MinAtar": _MINATAR,
    **{
        game: replace(_MINATAR, hp=replace(_MINATAR.hp, learning_rate=rate))
        for game, rate in _MINATAR_LEARNING_RATES.items()
    },
    "brax/*": _BRAX,
    "craftax/*": _CRAFTAX,
    "craftax/*-Pixels-*": replace(
        _CRAFTAX, config=replace(_CRAFTAX.config, network=NetworkConfig(encoder="atari", hidden=(512,)))
    ),
    "MemoryChain-bsuite": _MEMORY_CHAIN,
}


def ppo_preset(env: str) -> Preset:
    """The PPO settings for an environment's name."""
    env = env.removeprefix("gymnax/")
    matching = [pattern for pattern in PPO_PRESETS if fnmatch.fnmatchcase(env, pattern)]
    return PPO_PRESETS[max(matching, key=len)]


def a2c_preset(env: str) -> Preset:
    """PPO's settings for the environment, turned into A2C: one pass over the whole batch."""
    preset = ppo_preset(env)
    config = replace(preset.config, epochs=1, minibatches=1, normalise_advantage=False, clip_value=False)
    return replace(preset, rollout_length=min(preset.rollout_length, 16), config=config)


_LPG_TABLE = PPOConfig(epochs=1, minibatches=1, optimiser="sgd", network=NetworkConfig(encoder="tabular"))
_LPG_NETWORK = PPOConfig(epochs=1, minibatches=1, network=NetworkConfig(activation="relu"))


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


def disco_preset(env: str) -> Preset:
    """Settings of agents that learn by a Disco rule: network, step size and rollouts of Oh et al. (2025)."""
    preset = ppo_preset(env)
    config = DiscoAgentConfig()
    network = replace(config.network, encoder=preset.config.network.encoder)
    return Preset(64, 29, preset.resets, replace(config, network=network), DiscoHyperparameters())
