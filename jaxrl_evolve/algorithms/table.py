"""The algorithms that `train` knows by name, and how another package adds one."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.resources.abc import Traversable

from jaxrl_envs.contract import Env
from jaxrl_evolve.algorithms.algorithm import Algorithm
from jaxrl_evolve.algorithms.dqn import DQN
from jaxrl_evolve.algorithms.presets import a2c_preset, disco_preset, lpg_preset, ppo_preset
from jaxrl_evolve.learners.disco import DiscoAgentConfig, DiscoHyperparameters, disco_agent
from jaxrl_evolve.learners.learner import Learner
from jaxrl_evolve.learners.ppo import PPOConfig, PPOHyperparameters, ppo
from jaxrl_evolve.objectives import Objective, a2c, disco, dpo, lpg, lpo, ppo_clip, stored
from jaxrl_evolve.objectives.disco import TA_DISCO
from jaxrl_evolve.objectives.drift.lpo import TA_LPO
from jaxrl_evolve.objectives.lpg import TA_LPG
from jaxrl_evolve.settings import plugins


def _make_a2c(
    env: Env,
    num_envs: int,
    rollout_length: int,
    config: PPOConfig,
    hp: PPOHyperparameters,
    objective: Objective | None,
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
    objective: Objective | None,
) -> Learner:
    if objective is None or objective.targets is None:
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
    "dqn": DQN,
}

BUILTIN_OBJECTIVES: dict[str, Callable[[], Objective]] = {
    "ppo-clip": ppo_clip,
    "a2c": a2c,
    "dpo": dpo,
    "lpo": lpo,
    "ta-lpo": lambda: lpo(TA_LPO),
    "lpg": lpg,
    "ta-lpg": lambda: lpg(TA_LPG),
    "disco": disco,
    "ta-disco": lambda: disco(TA_DISCO),
}
"""Learned ones start at zero parameters: LPO as PPO, LPG as an objective that asks for nothing; Disco at random
ones. A shipped one of the same name takes their place."""


def find_algorithm(name: str) -> Algorithm:
    """The algorithm called ``name``, built in or from an installed package.

    Raises:
        ValueError: none is called so; the message gives near matches.
    """
    return plugins.find(plugins.ALGORITHMS, name, BUILTIN_ALGORITHMS)


def find_objective(name: str) -> Objective:
    """The objective called ``name``: shipped, built in, from an installed package, or stored in a file.

    Args:
        name: a name, or the path of a stored objective or of the run folder of its meta-training.

    Raises:
        ValueError: none is called so (the message gives near matches), or its file can't be used.
    """
    if file := _stored_file(name):
        return stored.load(file).objective()
    known = BUILTIN_OBJECTIVES | dict.fromkeys(stored.shipped())  # the latter for near matches alone
    return plugins.find(plugins.OBJECTIVES, name, known)()


def objective_names() -> list[str]:
    """The names that `find_objective` knows, sorted."""
    return plugins.names(plugins.OBJECTIVES, BUILTIN_OBJECTIVES | dict.fromkeys(stored.shipped()))


def objective_checksum(name: str) -> str:
    """SHA-256 (hex) of the file that the objective called ``name`` is stored in; empty if it is in no file.

    Raises:
        ValueError: there is no such file.
    """
    file = _stored_file(name)
    return stored.checksum(file) if file else ""


def _stored_file(name: str) -> str | Traversable | None:
    """Where the objective is stored, if ``name`` is that of a shipped one or a path; names come first."""
    if name in (files := stored.shipped()):
        return files[name]
    if name in plugins.names(plugins.OBJECTIVES, BUILTIN_OBJECTIVES):
        return None
    return name if os.sep in name or name.endswith(".npz") or os.path.isdir(name) else None
