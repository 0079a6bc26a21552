"""The algorithms that `train` knows by name, and how another package adds one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxrl_envs.contract import Env
from jaxrl_evolve.algorithms.presets import a2c_preset, disco_preset, lpg_preset, ppo_preset
from jaxrl_evolve.learners.disco import DiscoAgentConfig, DiscoHyperparameters, disco_agent
from jaxrl_evolve.learners.learner import Learner
from jaxrl_evolve.learners.ppo import PPOConfig, PPOHyperparameters, ppo
from jaxrl_evolve.objectives.a2c import a2c
from jaxrl_evolve.objectives.objective import AnyObjective, TargetObjective
from jaxrl_evolve.settings import plugins


class Algorithm(NamedTuple):
    """A learner with everything a command line needs to offer it.

    Attributes:
        make: ``(env, num_envs, rollout_length, config, hp, objective or None) -> Learner``.
        config: frozen dataclass of static settings; its field docstrings are the command's help.
        hp: dataclass (pytree) of traced hyperparameters, floats.
        preset: ``env name -> Preset``, the settings to start from.
        summary: one line for ``jaxrl-evolve list``.
    """

    make: Callable[[Env, int, int, Any, Any, AnyObjective | None], Learner]
    config: type
    hp: type
    preset: Callable[[str], Any]
    summary: str


def _make_a2c(
    env: Env,
    num_envs: int,
    rollout_length: int,
    config: PPOConfig,
    hp: PPOHyperparameters,
    objective: AnyObjective | None,
) -> Learner:
    if config.epochs * config.minibatches != 1:
        raise ValueError(
            f"epochs is {config.epochs} and minibatches {config.minibatches}; A2C makes one pass over one "
            "batch, so both must be 1"
        )
    learner = ppo(env, num_envs, rollout_length, config, hp, objective or a2c(config.normalise_advantage))
    return learner._replace(name="a2c")


def _make_lpg(
    env: Env,
    num_envs: int,
    rollout_length: int,
    config: PPOConfig,
    hp: PPOHyperparameters,
    objective: AnyObjective | None,
) -> Learner:
    if not isinstance(objective, TargetObjective):
        named = "none" if objective is None else repr(objective.name)
        raise ValueError(
            f"objective is {named}; the lpg agent needs one that gives targets, such as lpg or ta-lpg: a name, a "
            "stored objective, or the run folder of its meta-training"
        )
    learner = ppo(env, num_envs, rollout_length, config, hp, objective)
    return learner._replace(name="lpg")


BUILTIN_ALGORITHMS = {
    "ppo": Algorithm(
        ppo, PPOConfig, PPOHyperparameters, ppo_preset, "proximal policy optimisation (Schulman et al. 2017)"
    ),
    "lpg": Algorithm(
        _make_lpg, PPOConfig, PPOHyperparameters, lpg_preset, "an agent for LPG objectives (Oh et al. 2020)"
    ),
    "a2c": Algorithm(
        _make_a2c, PPOConfig, PPOHyperparameters, a2c_preset, "advantage actor-critic (Mnih et al. 2016)"
    ),
    "disco": Algorithm(
        disco_agent,
        DiscoAgentConfig,
        DiscoHyperparameters,
        disco_preset,
        "an agent for Disco's update rules (Oh et al. 2025)",
    ),
}


def find_algorithm(name: str) -> Algorithm:
    """The algorithm called ``name``, built in or from an installed package.

    Raises:
        ValueError: none is called so; the message gives near matches.
    """
    return plugins.find(plugins.ALGORITHMS, name, BUILTIN_ALGORITHMS)
