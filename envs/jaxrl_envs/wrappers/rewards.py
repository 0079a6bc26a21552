"""Rewards to learn from that are not the environment's own.

Episodes are still reported by the environment's own rewards, which go on in ``info["env_reward"]``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl_envs.contract import ENV_REWARD, Env, EnvStep
from jaxrl_envs.wrappers.around import also_alone, around, interval, number


@struct.dataclass
class ScaleParams:
    """Parameters of scaled rewards.

    Attributes:
        env: the environment's own.
        scale: float32.
    """

    env: Any
    scale: jax.Array


@struct.dataclass
class ClipParams:
    """Parameters of clipped rewards.

    Attributes:
        env: the environment's own.
        low: float32.
        high: float32.
    """

    env: Any
    low: jax.Array
    high: jax.Array


@also_alone
def scale_rewards(env: Env, scale: float) -> Env:
    """Multiply the reward by ``scale``, a parameter. Returns are reported unscaled, see the module.

    Raises:
        ValueError: if it is no finite number.
    """
    factor = number(env, "scale", scale)
    return _changed(env, lambda reward, p: reward * p.scale, lambda inner: ScaleParams(inner, factor))


@also_alone
def clip_rewards(env: Env, low: float = -1.0, high: float = 1.0) -> Env:
    """Clip the reward to ``[low, high]``, both parameters. Returns are reported unclipped, see the module.

    Raises:
        ValueError: if they are no finite numbers in this order.
    """
    ends = interval(env, low, high)
    return _changed(
        env, lambda reward, p: jnp.clip(reward, p.low, p.high), lambda inner: ClipParams(inner, *ends)
    )


def _changed(env: Env, change: Callable[[jax.Array, Any], jax.Array], wrap: Callable[[Any], Any]) -> Env:
    def reset(key: jax.Array, params: Any) -> tuple[Any, Any]:
        return env.reset(key, params.env)

    def step(key: jax.Array, state: Any, action: Any, params: Any) -> EnvStep:
        out = env.step(key, state, action, params.env)
        # What is there already is the reward of an environment further inside.
        return out._replace(reward=change(out.reward, params), info={ENV_REWARD: out.reward, **out.info})

    return around(env, reset, step, params=wrap)
