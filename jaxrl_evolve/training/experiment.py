"""From a configuration to the pure functions of one run."""

from __future__ import annotations

import ast
import dataclasses
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxrl_envs import make
from jaxrl_envs.contract import Env
from jaxrl_envs.vector import resets_from_name, vectorize
from jaxrl_evolve.algorithms.table import find_algorithm
from jaxrl_evolve.curricula.table import make_curriculum
from jaxrl_evolve.learners.learner import Learner, Mode
from jaxrl_evolve.objectives import HorizonWarning
from jaxrl_evolve.objectives.kinds import find_objective, objective_checksum
from jaxrl_evolve.runs.chunk import Chunk, make_chunk
from jaxrl_evolve.runs.evaluation import Episodes, make_evaluation
from jaxrl_evolve.runs.tasks import Curriculum
from jaxrl_evolve.storage.folder import plain
from jaxrl_evolve.training.config import TrainConfig


class Experiment(NamedTuple):
    """What a configuration means.

    Attributes:
        env: the environment, for training and evaluation alike.
        learner: the algorithm, built for it.
        chunk: functions of one training run.
        curriculum: what chooses tasks, if something does.
    """

    env: Env
    learner: Learner
    chunk: Chunk
    curriculum: Curriculum | None = None

    def evaluation(self, episodes: int, max_steps: int, mode: Mode) -> Callable[[Array, Any, Any], Episodes]:
        """How its agents are evaluated, see `make_evaluation`: on tasks drawn anew if a curriculum chose theirs
        and the environment draws tasks.
        """
        drawn = self.curriculum is not None and self.env.sample_params is not None
        return make_evaluation(self.env, self.learner, episodes, max_steps, mode, drawn)


def build(config: TrainConfig[Any, Any]) -> Experiment:
    """Look everything up and check that it fits together; compiles nothing.

    Raises:
        ValueError: a name is not known, or sizes or kinds don't fit each other.
    """
    algorithm = find_algorithm(config.algorithm)
    if config.objective_sha256 and objective_checksum(config.objective) != config.objective_sha256:
        raise ValueError(
            f"objective is {config.objective!r}, whose file is not the one that the run was started with: its "
            f"SHA-256 was {config.objective_sha256}"
        )
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
    curriculum = None
    if config.curriculum:
        choices = {name: literal(text) for name, text in config.curriculum_options.items()}
        curriculum = make_curriculum(config.curriculum, env, config.num_envs, choices)
    venv = vectorize(env, config.num_envs, resets, params_per_slot=curriculum is not None)
    return Experiment(env, learner, make_chunk(learner, venv, config.rollout_length, curriculum), curriculum)


def pinned(config: TrainConfig[Any, Any]) -> TrainConfig[Any, Any]:
    """The configuration with the checksum of a stored objective's file, unless it has one already.

    Raises:
        ValueError: there is no such file.
    """
    if not config.objective or config.objective_sha256:
        return config
    return dataclasses.replace(config, objective_sha256=objective_checksum(config.objective))


def recorded(config: TrainConfig[Any, Any]) -> dict[str, Any]:
    """The configuration as JSON; without what later versions added where it says nothing, as earlier ones wrote it."""
    data = plain(config)
    for name in ("objective_sha256", "curriculum", "curriculum_options"):
        if not data[name]:
            del data[name]
    return data


def warn_of_horizon(config: TrainConfig[Any, Any]) -> None:
    """Warn (`HorizonWarning`) if the objective was trained at other horizons than this run's."""
    objective = find_objective(config.objective) if config.objective else None
    if objective is None or objective.horizons is None:
        return
    trained = objective.horizons
    horizon = config.env_steps if trained.unit == "env_steps" else config.updates
    if horizon not in trained:
        warnings.warn(
            f"the horizon of {horizon:,} {trained.unit.replace('_', ' ')} is not one that objective "
            f"{config.objective!r} was trained at ({trained}): what it reads of the horizon's length is clamped "
            "to that range",
            HorizonWarning,
            stacklevel=2,
        )


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
