"""What a run's settings have a curriculum choose among that is no setting of the environment: one of its arms for each."""

from __future__ import annotations

from typing import Any

from jaxrl_envs.contract import Env
from jaxrl_envs.wrappers.variants import variants
from jaxrl_evolve.learners.spo_config import SPOConfig
from jaxrl_evolve.learners.spo_oracles import ORACLE
from jaxrl_evolve.preferences.named import oracles_from_names
from jaxrl_evolve.training.config import TrainConfig


def with_variants(config: TrainConfig[Any, Any], env: Env) -> Env:
    """The environment in as many variants as the learner has oracles, which are its arms; else itself.

    Raises:
        ValueError: a name is none, or no curriculum chooses among them.
    """
    if not isinstance(config.learner, SPOConfig) or not config.learner.oracles:
        return env
    if not config.curriculum:
        raise ValueError(
            f"learner.oracles is {config.learner.oracles!r}, but there is no curriculum to choose among them: name one, such as "
            "--curriculum thompson-gaussian --curriculum_options signal payoff, or say learner.preference instead"
        )
    return variants(env, [*oracles_from_names(config.learner.oracles)], ORACLE)
