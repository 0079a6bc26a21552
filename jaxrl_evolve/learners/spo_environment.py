"""What SPO asks of an environment: how long its episodes are, room for the time in its observations, and who prefers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np

from jaxrl_envs.contract import NO_STACK, Env
from jaxrl_envs.parameters import limits
from jaxrl_envs.spaces import Box, Space
from jaxrl_evolve import random
from jaxrl_evolve.learners.self_play_config import SelfPlayConfig
from jaxrl_evolve.preferences.check import check_oracle
from jaxrl_evolve.preferences.episodes import Watch, kinds_of, watched
from jaxrl_evolve.preferences.named import oracle_from_name
from jaxrl_evolve.preferences.oracle import Oracle, by_mark
from jaxrl_evolve.preferences.summary import random_summaries
from jaxrl_evolve.trajectory import PolicyOutput, Trajectory


class Judgement(NamedTuple):
    """Who prefers what.

    Attributes:
        oracle: who prefers.
        watch: what is seen of an episode, or of a piece of one.
        horizon: steps of an episode that runs its whole length.
        example: a trajectory of one step, for its shapes.
    """

    oracle: Oracle
    watch: Watch
    horizon: int
    example: Trajectory


def judgement(
    config: SelfPlayConfig,
    env: Env,
    num_envs: int,
    oracle: Oracle | Mapping[str, Oracle] | None,
    watch: Watch | None,
) -> Judgement:
    """Of the settings, or of an oracle (or several, see `by_mark`) and a watch of one's own.

    Raises:
        ValueError: episodes have no known limit, a segment is longer than they are, or the oracle is none.
    """
    horizon = config.horizon or (time_limit(env) if watch is None else watch.horizon)
    if config.segment > horizon:
        raise ValueError(
            f"learner.segment is {config.segment}; it must be at most the horizon of episodes, {horizon}"
        )
    watch = watched(env.action_space, config.segment or horizon, config.criteria) if watch is None else watch
    example = example_of(env, num_envs)
    if isinstance(oracle, Mapping):
        oracle = by_mark([judge(config, one, watch, example) for one in oracle.values()])
    else:
        oracle = judge(config, oracle, watch, example)
    return Judgement(oracle, watch, horizon, example)


@runtime_checkable
class Judged(Protocol):
    """Settings that name an oracle; see `SelfPlayConfig`."""

    @property
    def preference(self) -> str: ...
    @property
    def check_oracle(self) -> bool: ...


def judge(config: Judged, oracle: Oracle | None, watch: Watch, example: Trajectory) -> Oracle:
    """The oracle that settings name, or one of one's own, once it was tried where they ask for that.

    Raises:
        ValueError: the oracle is none.
    """
    oracle = oracle_from_name(config.preference) if oracle is None else oracle
    if config.check_oracle:
        check_oracle(oracle, random_summaries(random.key(0), 256, kinds_of(watch, example)))
    return oracle


def time_limit(env: Env) -> int:
    """Steps of an episode that runs its whole length.

    Raises:
        ValueError: the environment's parameters tell of no limit.
    """
    known = [int(np.asarray(leaf).max()) for _, leaf in limits(env.params)]
    if not known:
        raise ValueError(
            f"{env.name} has no time limit that is known; say learner.horizon, the steps of a whole episode"
        )
    return min(known)


def with_time(space: Space) -> Space:
    """Of observations with the share of the horizon that is over as a last element.

    Raises:
        ValueError: they are no vectors of numbers.
    """
    if not isinstance(space, Box) or len(space.shape) != 1 or not np.issubdtype(space.dtype, np.floating):
        raise ValueError(
            f"learner.time is True, but observations are {space}; the time can only be added to vectors of numbers, so it must be "
            "False"
        )
    bounds = lambda which, more: (*map(float, space.bound(which)), more)
    return Box(bounds("low", 0.0), bounds("high", 1.0), (space.shape[0] + 1,), "float32")


def shown_with_time(env: Env) -> Env:
    """The environment as the learner inside is told of it: observations `with_time`, which are no stacks of frames any more.

    Raises:
        ValueError: see `with_time`.
    """
    return dataclasses.replace(env, observation_space=with_time(env.observation_space), stack=NO_STACK)


def example_of(env: Env, number: int) -> Trajectory:
    """A trajectory of one step in ``number`` environments, for its shapes."""
    zeros = lambda space: jax.device_put(np.zeros((1, number, *space.shape), space.dtype))
    flag, reward = (jax.device_put(np.zeros((1, number), kind)) for kind in (bool, np.float32))
    obs: Any = zeros(env.observation_space)
    return Trajectory(obs, zeros(env.action_space), reward, flag, flag, flag, obs, PolicyOutput(reward))
