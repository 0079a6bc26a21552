"""The time within an episode as a part of what is observed."""

from __future__ import annotations

from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxrl_envs.contract import Env, EnvStep
from jaxrl_envs.parameters import limits
from jaxrl_envs.spaces import Box, bound_of
from jaxrl_envs.wrappers.around import also_alone, around, count


@struct.dataclass
class TimeAwareState:
    """State of a wrapper that shows the time.

    Attributes:
        env: the environment's own.
        time: int32, steps since reset.
    """

    env: Any
    time: jax.Array


@also_alone
def time_aware(env: Env, horizon: int = 0) -> Env:
    """Show the share of the horizon that is over, from 0 to 1, as a last element of observations (Pardo et al. 2018, arXiv 1712.00378).

    What is still to be had before a time limit depends on it, and so does whatever is judged when an episode is over.

    Args:
        env: an environment whose observations are vectors of floating-point numbers.
        horizon: steps of an episode that runs its whole length; 0 takes the time limit among the parameters, the lowest if there are
            several, of which each slot may have its own. Where that counts other steps than the environment's (brax with an
            ``action_repeat``), say it.

    Raises:
        ValueError: for other observations, no known limit, or a horizon that is no whole number of at least 0.
    """
    space = env.observation_space
    if not isinstance(space, Box) or len(space.shape) != 1 or not np.issubdtype(space.dtype, np.floating):
        raise ValueError(
            f"{env.name}: observations are {space}; time_aware needs vectors of floating-point numbers, see flatten_observations"
        )
    if horizon != 0:
        count(env, "horizon", horizon)
    elif not limits(env.params):
        raise ValueError(
            f"{env.name} has no time limit that is known; say the horizon: time_aware:STEPS, or put time_limit inside"
        )

    def shown(obs: jax.Array, time: jax.Array, params: Any) -> jax.Array:
        known = [jnp.asarray(leaf, jnp.float32) for _, leaf in limits(params)]
        whole = jnp.float32(horizon) if horizon else reduce(jnp.minimum, known)
        share = jnp.minimum(time.astype(jnp.float32) / whole, 1.0)
        return jnp.concatenate([obs, share[None].astype(obs.dtype)])

    def reset(key: jax.Array, params: Any) -> tuple[jax.Array, TimeAwareState]:
        obs, state = env.reset(key, params)
        time = jnp.zeros((), jnp.int32)
        return shown(obs, time, params), TimeAwareState(state, time)

    def step(key: jax.Array, state: TimeAwareState, action: Any, params: Any) -> EnvStep:
        out = env.step(key, state.env, action, params)
        time = state.time + 1
        return out._replace(obs=shown(out.obs, time, params), state=TimeAwareState(out.state, time))

    bound = lambda which, last: bound_of(np.append(space.bound(which), np.asarray(last, space.dtype)))
    wider = Box(bound("low", 0.0), bound("high", 1.0), (space.shape[0] + 1,), space.dtype_name)
    return around(env, reset, step, stateful=True, observation_space=wider)
