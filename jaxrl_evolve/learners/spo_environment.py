"""What SPO asks of an environment: how long its episodes are, and room for the time in its observations."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxrl_envs.contract import Env
from jaxrl_envs.parameters import limits
from jaxrl_envs.spaces import Box, Space
from jaxrl_evolve.trajectory import PolicyOutput, Trajectory


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


def example_of(env: Env, number: int) -> Trajectory:
    """A trajectory of one step in ``number`` environments, for its shapes."""
    zeros = lambda space: jnp.zeros((1, number, *space.shape), space.dtype)
    flag, reward = jnp.zeros((1, number), bool), jnp.zeros((1, number), jnp.float32)
    obs: Any = zeros(env.observation_space)
    return Trajectory(obs, zeros(env.action_space), reward, flag, flag, flag, obs, PolicyOutput(reward))
