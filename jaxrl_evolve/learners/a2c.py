"""Advantage actor-critic (Mnih et al. 2016): PPO's learner with one pass over one batch and the plain policy gradient."""

from __future__ import annotations

from jaxrl_envs.contract import Env
from jaxrl_evolve.learners.learner import Learner
from jaxrl_evolve.learners.ppo import ppo
from jaxrl_evolve.learners.ppo_config import PPOConfig, PPOHyperparameters
from jaxrl_evolve.networks.network import MakeNetwork
from jaxrl_evolve.objectives import AnyObjective, a2c


def a2c_agent(
    env: Env,
    num_envs: int,
    rollout_length: int,
    config: PPOConfig | None = None,
    hp: PPOHyperparameters | None = None,
    objective: AnyObjective | None = None,
    network: MakeNetwork | None = None,
) -> Learner:
    """An A2C learner; arguments are those of `jaxrl_evolve.learners.ppo.ppo`.

    Raises:
        ValueError: more than one pass or batch is asked for, or as `ppo`.
    """
    if config is None:
        config = PPOConfig(epochs=1, minibatches=1, normalise_advantage=False, clip_value=False)
    if config.epochs * config.minibatches != 1:
        raise ValueError(
            f"epochs is {config.epochs} and minibatches {config.minibatches}; A2C makes one pass over one "
            "batch, so both must be 1"
        )
    objective = objective or a2c(config.normalise_advantage)
    learner = ppo(env, num_envs, rollout_length, config, hp, objective, network)
    return learner._replace(name="a2c")
