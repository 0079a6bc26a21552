"""Actions in another form: several choices as one, another range, and actions that stick."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxrl_envs.contract import Env, EnvStep
from jaxrl_envs.spaces import Box, Discrete
from jaxrl_envs.wrappers.around import also_alone, around, interval, number

_MOST = 2**16  # a policy has a logit for each


@struct.dataclass
class StickyParams:
    """Parameters of sticky actions.

    Attributes:
        env: the environment's own.
        probability: float32.
    """

    env: Any
    probability: jax.Array


@struct.dataclass
class StickyState:
    """State of sticky actions.

    Attributes:
        env: the environment's own.
        action: what was done last.
        begun: bool, whether something was.
    """

    env: Any
    action: Any
    begun: jax.Array


@also_alone
def sticky_actions(env: Env, probability: float = 0.25) -> Env:
    """Do what was done in the step before, whatever is chosen, with a probability (Machado et al. 2018).

    The first action of an episode is always the chosen one. ``params.probability`` may be another. The highest return that
    can be expected is then not known: ``optimal_return`` is None.

    Raises:
        ValueError: if it is no number from 0 to 1.
    """
    chance = number(env, "probability", probability, 0.0, 1.0)
    nothing = lambda space: jnp.zeros(space.shape, space.dtype)

    def reset(key: jax.Array, params: StickyParams) -> tuple[Any, StickyState]:
        obs, state = env.reset(key, params.env)
        return obs, StickyState(state, jax.tree.map(nothing, env.action_space), jnp.zeros((), bool))

    def step(key: jax.Array, state: StickyState, action: Any, params: StickyParams) -> EnvStep:
        key_stick, key_step = jax.random.split(key)
        stick = state.begun & (jax.random.uniform(key_stick, (), jnp.float32) < params.probability)
        done = jax.tree.map(lambda a, b: jnp.where(stick, a, jnp.asarray(b, a.dtype)), state.action, action)
        out = env.step(key_step, state.env, done, params.env)
        return out._replace(state=StickyState(out.state, done, jnp.ones((), bool)))

    wrap = lambda inner: StickyParams(inner, chance)
    return around(env, reset, step, stateful=True, params=wrap, optimal_return=None)


@also_alone
def flatten_actions(env: Env) -> Env:
    """Choose one of all combinations of several discrete actions, a `Discrete`.

    Several are a `Box` of whole numbers with a choice in each element ("multi-discrete"), or spaces nested in dictionaries
    and tuples, which ``env.step`` is given in the same nesting. As digits of the one number, the first changes most slowly,
    as in `numpy.unravel_index`. Every policy and learner for `Discrete` takes it; the number of combinations is the product, so
    this is for a few choices of a few.

    Raises:
        ValueError: if there is a continuous or unbounded action, or more than 65,536 combinations.
    """
    spaces, tree = jax.tree.flatten(env.action_space)
    for space in spaces:
        whole = isinstance(space, Discrete) or (
            isinstance(space, Box) and np.issubdtype(space.dtype, np.integer) and space.bounded
        )
        if not whole:
            raise ValueError(
                f"{env.name}: there is {space} among the actions; flatten_actions needs Discrete, or a bounded Box "
                "of whole numbers"
            )
    low = [
        np.zeros(1, int) if isinstance(s, Discrete) else s.bound("low").astype(int).reshape(-1)
        for s in spaces
    ]
    sizes = [
        [s.n] if isinstance(s, Discrete) else (s.bound("high").astype(int).reshape(-1) - b + 1).tolist()
        for s, b in zip(spaces, low, strict=True)
    ]
    radices = [n for part in sizes for n in part]
    total = math.prod(radices)
    if total > _MOST:
        raise ValueError(
            f"{env.name}: actions have {total:,} combinations; flatten_actions takes at most {_MOST:,}"
        )
    strides = [math.prod(radices[i + 1 :]) for i in range(len(radices))]

    def reset(key: jax.Array, params: Any) -> tuple[Any, Any]:
        return env.reset(key, params)

    def step(key: jax.Array, state: Any, action: jax.Array, params: Any) -> EnvStep:
        digits = (jnp.asarray(action, jnp.int32) // np.asarray(strides, np.int32)) % np.asarray(
            radices, np.int32
        )
        parts, place = [], 0
        for space, bottom in zip(spaces, low, strict=True):
            part = digits[place : place + bottom.size] + bottom.astype(np.int32)
            parts.append(part.reshape(space.shape).astype(space.dtype))
            place += bottom.size
        return env.step(key, state, jax.tree.unflatten(tree, parts), params)

    return around(env, reset, step, action_space=Discrete(total))


@also_alone
def rescale_actions(env: Env, low: float = -1.0, high: float = 1.0) -> Env:
    """Take actions from ``low`` to ``high`` and stretch them to the bounds of ``env``'s; those outside are clipped.

    Raises:
        ValueError: if the actions of ``env`` are not continuous and bounded, or ``low`` is not below ``high``.
    """
    space = env.action_space
    if not isinstance(space, Box) or not np.issubdtype(space.dtype, np.floating) or not space.bounded:
        raise ValueError(f"{env.name}: actions are {space}; rescale_actions needs a bounded Box of floats")
    interval(env, low, high)
    bottom, top = space.bound("low"), space.bound("high")

    def reset(key: jax.Array, params: Any) -> tuple[Any, Any]:
        return env.reset(key, params)

    def step(key: jax.Array, state: Any, action: Any, params: Any) -> EnvStep:
        part = (jnp.asarray(action, jnp.float32) - low) / (high - low)
        inner = jnp.clip(bottom + part * (top - bottom), bottom, top).astype(space.dtype)
        return env.step(key, state, inner, params)

    return around(env, reset, step, action_space=Box(float(low), float(high), space.shape, space.dtype_name))
