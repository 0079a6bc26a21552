"""From a configuration to the parts of a loop: what is played, who proposes, and the functions that are compiled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.contract import Env
from jaxrl_envs.resets import FullResets
from jaxrl_envs.vector import VectorEnv, VectorState, vectorize
from jaxrl_evolve import random
from jaxrl_evolve.generation.config import GenerateConfig
from jaxrl_evolve.generation.level_seat import Levels, level_seat, of_family, of_specs, refilled
from jaxrl_evolve.generation.loops import LOOPS, Loop
from jaxrl_evolve.generation.seat import SKILLS, phase_begin, spec_seat
from jaxrl_evolve.generation.setting import Setting, make_setting
from jaxrl_evolve.learners.ppo import ppo
from jaxrl_evolve.runs.chunk import make_chunk
from jaxrl_evolve.runs.evaluation import make_evaluation, nothing_seen
from jaxrl_evolve.training.experiment import traced
from jaxrl_evolve.training.parts import check_restarts, literal

_AT_ONCE = 8  # resets


class Programs(NamedTuple):
    """Jitted functions of one agent; each is compiled once, however many specs there come to be.

    Attributes:
        init: ``key -> TrainState``.
        begin: as `seat.phase_begin`.
        advance: ``(state, updates) -> (state, metrics)``; donates the state.
        evaluate: ``(key, learner state, params) -> Episodes`` in one spec.
        trial: likewise, of the episodes that decide whether a spec is taken in.
        scoring: environment steps of an update from which nothing is learned.
    """

    init: Any
    begin: Any
    advance: Any
    evaluate: Any
    trial: Any
    scoring: int = 0


class Experiment(NamedTuple):
    """What a configuration means.

    Attributes:
        setting: domain and environment.
        loop: what a cycle does.
        programs: what is compiled.
    """

    setting: Setting
    loop: Loop
    programs: Programs


def build(config: GenerateConfig, setting: Setting | None = None) -> Experiment:
    """Look everything up and check that it fits; compiles nothing.

    Args:
        config: the configuration.
        setting: instead of the one that `GenerateConfig.env` names.

    Raises:
        ValueError: a name is not known, or sizes don't fit each other.
        ImportError: what the environment needs is not installed.
    """
    options = {name: literal(text) for name, text in config.env_options.items()}
    setting = setting or make_setting(config.env, options)
    env = setting.env
    if config.witness and setting.witness is None:
        raise ValueError(
            f"witness is {config.witness}, but nobody plays {env.name} by a script; it must be 0"
        )
    learner = ppo(env, config.num_envs, config.rollout_length, config.learner, config.hp)
    skills = nothing_seen(env, 1)[SKILLS].shape[-1] if SKILLS in env.metrics else 0
    loop, active = LOOPS[config.loop], config.archive.active
    levels = _levels(config, loop, env)
    curriculum = (
        level_seat(env, levels, active, skills) if levels else spec_seat(env, active, skills, config.unit)
    )
    check_restarts(config.curriculum, curriculum, env, config.rollout_length)
    refill = refilled(levels) if levels else lambda seat: seat
    venv = vectorize(env, config.num_envs, _resets(env), params_per_slot=True)
    chunk = make_chunk(learner, venv, config.rollout_length, curriculum)
    # Every phase begins with new episodes, so there need be none before the first: a reset is most of what compiling costs.
    first = make_chunk(learner, venv._replace(reset=_nothing(venv)), config.rollout_length, curriculum)
    # Where each spec has an agent of its own, that agent's life is a cycle.
    hp, horizon = traced(config.hp), jnp.float32(config.cycle_updates if loop.specialists else config.updates)
    eta = learner.init_objective(jax.random.fold_in(random.key(config.seed), 1))
    run = jax.jit(chunk.run, donate_argnums=0)
    trial = config.population.trial if loop.population else config.acceptance or 1
    programs = Programs(
        init=jax.jit(lambda key: first.init(key, hp, env.params)),
        begin=jax.jit(phase_begin(curriculum, venv, learner, skills, refill)),
        advance=lambda state, updates: run(state, hp, eta, env.params, horizon, np.int32(updates)),
        evaluate=jax.jit(make_evaluation(env, learner, config.episodes, mode="sample")),
        trial=jax.jit(make_evaluation(env, learner, trial, mode="sample")),
        scoring=chunk.scoring_steps,
    )
    return Experiment(setting, loop, programs)


def _resets(env: Env) -> FullResets:
    """Starts of specs are dear, and few episodes end in one step."""
    return FullResets(at_once=0 if env.restart else _AT_ONCE)


def _nothing(venv: VectorEnv) -> Any:
    """A reset that makes zeros of what a reset makes."""

    def reset(key: jax.Array, params: Any) -> VectorState:
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(venv.reset, key, params))

    return reset


def _levels(config: GenerateConfig, loop: Loop, env: Env) -> Levels | None:
    """Which curriculum of levels chooses, if one does."""
    if loop.plays == "family":
        return of_family(loop.scheduler(config.curriculum), env, config.num_envs)
    return of_specs(config.curriculum, env, config.archive.active) if config.curriculum else None


def skill_counts(setting: Setting, data: Mapping[str, Any], done: np.ndarray) -> dict[str, int]:
    """By the names of skills, how often each was done.

    Args:
        setting: whose columns say which is which.
        data: of the spec.
        done: int ``[columns]``.
    """
    names = list(setting.columns(data))
    skills = (skill.name for skill in setting.domain.skills)
    return {name: int(done[names.index(name)]) for name in skills if name in names}
