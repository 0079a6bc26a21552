"""From a configuration to the pure functions of one run."""

from __future__ import annotations

import ast
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl_envs import make
from jaxrl_envs.contract import Env
from jaxrl_envs.vector import resets_from_name, vectorize
from jaxrl_evolve.algorithms import find_algorithm, find_objective
from jaxrl_evolve.config import TrainConfig
from jaxrl_evolve.learners.learner import Learner
from jaxrl_evolve.training.chunk import Chunk, make_chunk


class Experiment(NamedTuple):
    """What a configuration means.

    Attributes:
        env: the environment, for training and evaluation alike.
        learner: the algorithm, built for it.
        chunk: functions of one training run.
    """

    env: Env
    learner: Learner
    chunk: Chunk


def build(config: TrainConfig[Any, Any]) -> Experiment:
    """Look everything up and check that it fits together; compiles nothing.

    Raises:
        ValueError: a name is not known, or sizes or kinds don't fit each other.
    """
    algorithm = find_algorithm(config.algorithm)
    objective = find_objective(config.objective) if config.objective else None
    resets = resets_from_name(config.resets)
    options = {name: literal(text) for name, text in config.env_options.items()}
    try:
        env = make(config.env, **options)
    except TypeError as error:
        if not options:
            raise
        raise ValueError(f"env_options is {options}, which {config.env} does not take: {error}") from None
    learner = algorithm.make(
        env, config.num_envs, config.rollout_length, config.learner, traced(config.hp), objective
    )
    venv = vectorize(env, config.num_envs, resets)
    return Experiment(env, learner, make_chunk(learner, venv, config.rollout_length))


def literal(text: Any) -> Any:
    """A Python literal written as text (``3``, ``(16, 16)``, ``True``), else the text itself."""
    if not isinstance(text, str):
        return text
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def traced(hp: Any) -> Any:
    """Hyperparameters as float32 arrays of explicit type, so that no two runs compile differently."""
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), hp)
