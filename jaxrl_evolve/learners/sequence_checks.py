"""Whether the settings of a learner of completions fit its environment, before anything compiles."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from jaxrl_envs.contract import TAUGHT, Env
from jaxrl_evolve import random
from jaxrl_evolve.experience.minibatches import divisors
from jaxrl_evolve.learners.sequence_config import SequenceConfig
from jaxrl_evolve.learners.spo_environment import example_of
from jaxrl_evolve.preferences.episodes import Watch, kinds_of


def check_teacher(config: SequenceConfig, env: Env) -> None:
    """Refuse imitation where there is no teacher, and all else where one answers whatever the actions."""
    key, params = random.key(0), env.params
    action = jax.eval_shape(env.action_space.sample, key)
    step = lambda key: env.step(key, env.reset(key, params)[1], env.action_space.sample(key), params).info
    info = jax.eval_shape(step, key)
    taught = TAUGHT in info
    if taught and config.loss != "imitate":
        raise ValueError(
            f"learner.loss is {config.loss!r}, but in {env.name} a teacher answers, whatever the actions; the option taught must be False, or the loss 'imitate'"
        )
    if not taught and config.loss == "imitate":
        raise ValueError(
            f"learner.loss is 'imitate', but nobody is to be imitated in {env.name}: its info must have {TAUGHT!r}, as tasks of tokens have with the option taught True"
        )
    if taught and (info[TAUGHT].shape, info[TAUGHT].dtype) != (action.shape, action.dtype):
        found = f"{info[TAUGHT].dtype} of shape {info[TAUGHT].shape}"
        raise ValueError(
            f"info[{TAUGHT!r}] of {env.name} is {found}; it must be {action.dtype} of shape {action.shape}, an action"
        )


def check_length(env: Env, rollout_length: int) -> None:
    """Refuse rollouts in which no longest episode ends: nothing would be learned of it."""
    if env.longest is not None and rollout_length < (most := env.longest(env.params)):
        raise ValueError(
            f"rollout_length is {rollout_length}; it must be at least {most}, the steps of the longest episode of {env.name}, of which only whole ones are learned from"
        )


def check_mixture(config: SequenceConfig, hp: Any) -> None:
    """Refuse weights of what log-ratios are to that leave less than nothing for who answered, or that nobody reads."""
    past, drawn_to = hp.past_mixture, hp.kl_coef
    if config.kl == "none" and np.any(np.asarray(drawn_to) > 0.0):
        raise ValueError(
            f"hp.kl_coef is {drawn_to}, but learner.kl is 'none', so no divergence is added; it must be 0, or learner.kl another"
        )
    if config.past == "none" and np.any(np.asarray(past) > 0.0):
        raise ValueError(f"hp.past_mixture is {past}, but learner.past is 'none'; it must be 0")
    if np.any(np.asarray(hp.mixture) + np.asarray(past) > 1.0 + 1e-6):
        raise ValueError(
            f"hp.mixture is {hp.mixture} and hp.past_mixture {past}; together they must be at most 1"
        )


def check_axes(config: SequenceConfig, watch: Watch, env: Env) -> None:
    if config.axes and len(config.axes) != (kinds := kinds_of(watch, example_of(env, 1))):
        raise ValueError(
            f"learner.axes has {len(config.axes)} weights, {config.axes}; there must be one for each of the {kinds} criteria that are watched, or none"
        )


def check_groups(config: SequenceConfig, num_envs: int) -> None:
    if num_envs % config.group:
        near = [d for d in divisors(num_envs) if d > 1]
        raise ValueError(
            f"learner.group is {config.group}; it must divide num_envs, {num_envs} (for example {', '.join(map(str, near[:5]))})"
        )
    groups = num_envs // config.group
    if groups % config.minibatches:
        raise ValueError(
            f"learner.minibatches is {config.minibatches}; it must divide the number of groups, {groups} (for example "
            f"{', '.join(map(str, divisors(groups)[:5]))})"
        )
