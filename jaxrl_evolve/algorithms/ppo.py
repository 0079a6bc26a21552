"""Proximal policy optimisation (Schulman et al. 2017), with tuned settings per suite and environment, held as data.

A preset is found by the longest pattern that matches the environment's name. Sources: PureJaxRL's
published settings for classic control, MinAtar and Brax; Craftax_Baselines' for Craftax. What was tuned
here says so beside the entry, with the seeds it was tuned on (never those that are reported).
"""

from __future__ import annotations

from dataclasses import replace

from jaxrl_evolve.algorithms.algorithm import Algorithm, Preset, preset_for
from jaxrl_evolve.learners.ppo_config import PPOConfig, PPOHyperparameters
from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.settings.later import later

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
# Schulman et al. 2017, table 5 (environments, rollout, epochs, step size, clipping, which fall to nothing); untested here.
_ATARI = Preset(
    num_envs=8,
    rollout_length=128,
    config=PPOConfig(epochs=3, network=NetworkConfig(encoder="atari", hidden=(512,))),
    hp=PPOHyperparameters(clip=0.1, clip_end=0.0),
)
# Tuned here at memory lengths 10 and 20 with root seeds 100 and 200. At length 20 and 4e5 steps, of learning
# rates 1e-3 and 3e-3 and lambda 0.95 and 1, only 3e-3 with 1 solved it (one seed each).
_MEMORY_CHAIN = Preset(
    num_envs=64,
    rollout_length=64,
    config=PPOConfig(network=NetworkConfig(memory="gru", memory_size=64, hidden=(64,))),
    hp=PPOHyperparameters(learning_rate=3e-3, gae_lambda=1.0),
)
# Tried here with domain randomisation on 25 distinct walls, 13 x 13 and 9 x 9, root seed 100, and not tuned further.
_MAZE = Preset(
    num_envs=256,
    rollout_length=64,
    config=PPOConfig(network=NetworkConfig(memory="gru", memory_size=64, hidden=(64,))),
    hp=PPOHyperparameters(learning_rate=1e-3),
)
# Tried here on the tech tree, root seed 100, and not tuned further.
_SPECS = Preset(
    num_envs=64,
    rollout_length=64,
    resets="full:1:8",  # the starts of "full", and one costs as much as many steps
    config=PPOConfig(minibatches=8, network=NetworkConfig(hidden=(128, 128))),
    hp=PPOHyperparameters(learning_rate=1e-3),
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
    "atari/*": _ATARI,
    "brax/*": _BRAX,
    "craftax/*": _CRAFTAX,
    "craftax/*-Pixels-*": replace(
        _CRAFTAX, config=replace(_CRAFTAX.config, network=NetworkConfig(encoder="atari", hidden=(512,)))
    ),
    "MemoryChain-bsuite": _MEMORY_CHAIN,
    "maze/*": _MAZE,
    "specs/*": _SPECS,
    "specs/craftax": _CRAFTAX,
}


def ppo_preset(env: str) -> Preset:
    """The PPO settings for an environment's name."""
    return preset_for(PPO_PRESETS, env)


PPO = Algorithm(
    later("learners.ppo", "ppo"),
    PPOConfig,
    PPOHyperparameters,
    ppo_preset,
    "proximal policy optimisation (Schulman et al. 2017)",
)
