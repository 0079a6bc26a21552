"""From a configuration to the pure functions of one run."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Hashable, Iterator
from typing import Any, NamedTuple

from jaxtyping import Array

from jaxrl_envs.contract import Env
from jaxrl_envs.registry import find_factory
from jaxrl_envs.resets import resets_from_name
from jaxrl_envs.vector import VectorEnv, vectorize
from jaxrl_evolve.algorithms.table import BUILTIN_ALGORITHMS, find_algorithm
from jaxrl_evolve.compilation import Same, once
from jaxrl_evolve.curricula.table import BUILTIN_CURRICULA, make_curriculum
from jaxrl_evolve.learners.learner import Learner, Mode, traced
from jaxrl_evolve.networks.network import NetworkConfig
from jaxrl_evolve.networks.table import BUILTIN_NETWORKS
from jaxrl_evolve.objectives import AnyObjective
from jaxrl_evolve.objectives.kinds import find_objective, is_builtin, objective_checksum, objective_source
from jaxrl_evolve.runs.check import check_curriculum, check_learner
from jaxrl_evolve.runs.chunk import Chunk, make_chunk
from jaxrl_evolve.runs.evaluation import Episodes, longest, make_evaluation
from jaxrl_evolve.runs.tasks import Curriculum, fitted
from jaxrl_evolve.settings import plugins
from jaxrl_evolve.settings.names import names_of_a_run
from jaxrl_evolve.storage.folder import plain
from jaxrl_evolve.training.arms import arms_of_run
from jaxrl_evolve.training.config import TrainConfig
from jaxrl_evolve.training.parts import (
    check_context,
    check_network,
    check_objective,
    check_restarts,
    check_rollout,
    literal,
    make_env,
    make_learner,
)
from jaxrl_evolve.training.variants import with_variants


class Experiment(NamedTuple):
    """What a configuration means.

    Attributes:
        env: the environment that is trained in.
        learner: the algorithm, built for it.
        chunk: functions of one training run.
        curriculum: what chooses tasks, if something does.
        venv: the slots of one run.
    """

    env: Env
    learner: Learner
    chunk: Chunk
    curriculum: Curriculum | None
    venv: VectorEnv

    def evaluation(
        self, episodes: int, max_steps: int | None, mode: Mode
    ) -> Callable[[Array, Any, Any], Episodes]:
        """How its agents are evaluated, see `make_evaluation`: on tasks drawn anew if a curriculum chose theirs
        and the environment draws tasks.
        """
        return make_evaluation(self.tested, self.learner, episodes, max_steps, mode, self.drawn)

    @property
    def tested(self) -> Env:
        """The environment that agents are evaluated in: without the teacher, where one answers in training."""
        return self.env if self.env.alone is None else self.env.alone

    @property
    def drawn(self) -> bool:
        """Whether evaluation draws its tasks."""
        return self.curriculum is not None and self.env.sample_params is not None


def build(config: TrainConfig[Any, Any], stored: str | os.PathLike[str] | None = None) -> Experiment:
    """Look everything up and check that it fits together; compiles nothing.

    Args:
        config: the configuration.
        stored: folder of the run that it was started with, if it is an earlier one: for messages, and since one that was begun goes on as it was.

    Raises:
        ValueError: a name is not known, sizes or kinds don't fit each other, or what another package offers under a
            name fails, does not give what it must, or is not read by what it was chosen for.
        ImportError: what an environment needs is not installed.
    """
    with names_of_a_run(stored):
        return _build(config, new=stored is None)


def _build(config: TrainConfig[Any, Any], *, new: bool) -> Experiment:
    if config.objective_sha256 and objective_checksum(config.objective) != config.objective_sha256:
        raise ValueError(
            f"objective is {config.objective!r}, whose file is not the one that the run was started with: its "
            f"SHA-256 was {config.objective_sha256}"
        )
    objective = find_objective(config.objective) if config.objective else None
    resets = resets_from_name(config.resets)
    env = with_variants(config, make_env(config.env, config.env_options))
    arms = arms_of_run(config, env)
    check_context(config.learner, env, arms)
    make = lambda objective, settings: learner_of(
        dataclasses.replace(config, learner=settings), env, objective
    )
    learner = make(objective, config.learner)
    made = None
    if config.curriculum:
        choices = {name: literal(text) for name, text in config.curriculum_options.items()}
        made = make_curriculum(config.curriculum, env, config.num_envs, choices)
    elif config.curriculum_options:
        raise ValueError(
            f"curriculum_options is {config.curriculum_options}, but there is no curriculum to take them"
        )
    check_rollout(learner, env, config.rollout_length, arms)
    curriculum = fitted(made, learner, config.rollout_length)
    if new:
        check_restarts(config.curriculum, curriculum, env, config.rollout_length)
    key = identity(config)
    once(key and ("parts", key), lambda: _check(config, env, learner, objective, curriculum, make))
    venv = vectorize(env, config.num_envs, resets, params_per_slot=curriculum is not None)
    return Experiment(
        env, learner, make_chunk(learner, venv, config.rollout_length, curriculum), curriculum, venv
    )


def learner_of(config: TrainConfig[Any, Any], env: Env, objective: AnyObjective | None = None) -> Learner:
    """What the algorithm makes of the settings; `build` gives it the objective that they name.

    Raises:
        ValueError: something in them can't be served, or the factory fails.
    """
    sizes, hp = (config.num_envs, config.rollout_length), traced(config.hp)
    made = (env, *sizes, config.learner, hp, objective)
    return make_learner(config.algorithm, find_algorithm(config.algorithm), made)


def _check(
    config: TrainConfig[Any, Any],
    env: Env,
    learner: Learner,
    objective: AnyObjective | None,
    curriculum: Curriculum | None,
    make: Callable[[AnyObjective | None, Any], Learner],
) -> None:
    """Refuse what does not work, or is not read, of an algorithm, an objective or a curriculum of one's own."""
    sizes = (env, config.num_envs, config.rollout_length)
    own = config.algorithm not in BUILTIN_ALGORITHMS
    if objective is not None and (own or not is_builtin(config.objective)):
        check_objective(config.algorithm, objective, lambda look: make(look, config.learner), *sizes)
    elif own:
        check_learner(learner, *sizes)
    if own:
        check_network(config.algorithm, config.learner, learner, lambda settings: make(objective, settings))
    if curriculum is not None and config.curriculum and config.curriculum not in BUILTIN_CURRICULA:
        check_curriculum(config.curriculum, curriculum, learner, *sizes)


def identity(config: TrainConfig[Any, Any]) -> Hashable | None:
    """All that the functions of `build` close over: where it is equal, one compiled program serves both.

    Hyperparameters, seeds, steps and the environment's parameters are arguments of the functions, and no part of it.
    See `identity_of`.
    """
    settings = (
        *(config.learner, config.env_options, config.num_envs, config.rollout_length, config.resets),
        *(config.curriculum, config.curriculum_options),
    )
    known = identity_of(settings, config.env, config.algorithm, config.objective, config.objective_sha256)
    if known is None or not config.curriculum:
        return known
    return known, Same(plugins.find(plugins.CURRICULA, config.curriculum, BUILTIN_CURRICULA))


def identity_of(
    settings: Any, env: str, algorithm: str, objective: str = "", sha256: str = ""
) -> Hashable | None:
    """Settings and what names stand for, as a key of `kept`; None if a setting has no JSON form.

    The environment's factory, the algorithm, the networks' factories and the objective's function count by themselves,
    since a name may come to mean another; a stored objective counts by its checksum.

    Args:
        settings: everything else that counts.
        env: name of the environment.
        algorithm: name of the algorithm.
        objective: name or path of the objective, or empty.
        sha256: its file's checksum, if that is known.

    Raises:
        ValueError: a name is not known.
    """
    try:
        # The one tells types and infinities apart, the other says all of an array.
        told = repr(settings), json.dumps(plain(settings))
    except TypeError:
        return None
    loss: Hashable = None
    if objective:
        stored = sha256 or objective_checksum(objective)
        loss = stored or (objective, Same(objective_source(objective)))
    networks = tuple(
        Same(plugins.find(plugins.NETWORKS, kind, BUILTIN_NETWORKS)) for kind in _networks(settings)
    )
    return told, env, Same(find_factory(env)), Same(find_algorithm(algorithm)), networks, loss


def _networks(settings: Any) -> Iterator[str]:
    """The kinds of network in settings, by name."""
    if isinstance(settings, NetworkConfig):
        yield settings.kind
    elif dataclasses.is_dataclass(settings):
        for field in dataclasses.fields(settings):
            yield from _networks(getattr(settings, field.name))
    elif isinstance(settings, tuple | list):
        for part in settings:
            yield from _networks(part)


def pinned(config: TrainConfig[Any, Any]) -> TrainConfig[Any, Any]:
    """The configuration with the checksum of a stored objective's file, unless it has one already.

    Raises:
        ValueError: there is no such file.
    """
    if not config.objective or config.objective_sha256:
        return config
    return dataclasses.replace(config, objective_sha256=objective_checksum(config.objective))


def limited(config: TrainConfig[Any, Any], experiment: Experiment) -> TrainConfig[Any, Any]:
    """The configuration with the number of steps after which evaluation episodes are cut off, unless it has one.

    Where tasks are drawn it stays None: each has a limit of its own.
    """
    if config.evaluation.max_steps is not None or experiment.drawn:
        return config
    most = int(longest(experiment.env.params))
    return dataclasses.replace(config, evaluation=dataclasses.replace(config.evaluation, max_steps=most))


def budgeted(config: TrainConfig[Any, Any], experiment: Experiment) -> TrainConfig[Any, Any]:
    """The configuration with the steps that are left for training, if ``steps`` counts those that scoring takes as well."""
    if not config.count_scoring:
        return config
    each = config.steps_per_update + experiment.chunk.scoring_steps
    steps = max(1, config.steps // each) * config.steps_per_update
    return dataclasses.replace(config, steps=steps, count_scoring=False)
