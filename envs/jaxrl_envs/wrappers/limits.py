"""A time limit around an environment."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl_envs.contract import GAME_OVER, Env, EnvStep
from jaxrl_envs.wrappers.around import also_alone, around, count


@struct.dataclass
class TimeLimitParams:
    """Parameters of a time limit.

    Attributes:
        env: the environment's own.
        max_steps_in_episode: int32, steps until truncation.
    """

    env: Any
    max_steps_in_episode: jax.Array


@struct.dataclass
class TimeLimitState:
    """State of a time limit.

    Attributes:
        env: the environment's own.
        time: int32, steps since reset.
    """

    env: Any
    time: jax.Array


@also_alone
def time_limit(env: Env, max_steps: int) -> Env:
    """Truncate episodes after ``max_steps`` steps; a limit that ``env`` has of its own goes on working.

    The step that reaches the limit keeps its true successor and its `terminated`; where ``info`` has a ``"game_over"``, the limit
    sets that too. The limit is
    ``params.max_steps_in_episode``, int32, so that it can differ between slots. The highest return under a limit is
    not known: ``optimal_return`` is None.

    Args:
        env: the environment.
        max_steps: default of the limit, at least 1.

    Raises:
        ValueError: for a limit that is no whole number of at least 1.
    """
    limit = jnp.asarray(count(env, "max_steps", max_steps), jnp.int32)

    def reset(key: jax.Array, params: TimeLimitParams) -> tuple[Any, TimeLimitState]:
        obs, state = env.reset(key, params.env)
        return obs, TimeLimitState(state, jnp.zeros((), jnp.int32))

    def step(key: jax.Array, state: TimeLimitState, action: Any, params: TimeLimitParams) -> EnvStep:
        out = env.step(key, state.env, action, params.env)
        time = state.time + 1
        cut = time >= params.max_steps_in_episode
        # What is cut off is over for the report as well, whatever else ends a game.
        told = {GAME_OVER: out.info[GAME_OVER] | cut} if GAME_OVER in out.info else {}
        return out._replace(
            state=TimeLimitState(out.state, time),
            truncated=out.truncated | cut,
            info={**out.info, **told},
        )

    wrap = lambda inner: TimeLimitParams(inner, limit)
    return around(env, reset, step, stateful=True, params=wrap, optimal_return=None)
