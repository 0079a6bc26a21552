"""Agents that learn by an LPG objective (Oh et al. 2020): PPO's learner with targets that the objective makes."""

from __future__ import annotations

from jaxrl_envs.contract import Env
from jaxrl_evolve.learners.learner import Learner
from jaxrl_evolve.learners.ppo import ppo
from jaxrl_evolve.learners.ppo_config import PPOConfig, PPOHyperparameters
from jaxrl_evolve.networks.network import MakeNetwork
from jaxrl_evolve.objectives import AnyObjective, TargetObjective


def lpg_agent(
    env: Env,
    num_envs: int,
    rollout_length: int,
    config: PPOConfig | None = None,
    hp: PPOHyperparameters | None = None,
    objective: AnyObjective | None = None,
    network: MakeNetwork | None = None,
) -> Learner:
    """A learner for objectives that give targets; arguments are those of `jaxrl_evolve.learners.ppo.ppo`.

    Raises:
        ValueError: the objective gives none, or as `ppo`.
    """
    if not isinstance(objective, TargetObjective):
        named = "none" if objective is None else repr(objective.name)
        raise ValueError(
            f"objective is {named}; the lpg agent needs one that gives targets, such as lpg or ta-lpg: a name, a "
            "stored objective, or the run folder of its meta-training"
        )
    learner = ppo(env, num_envs, rollout_length, config, hp, objective, network)
    return learner._replace(name="lpg")
