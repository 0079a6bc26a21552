"""Observations in another form: the last few together, and nested ones as one vector."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxrl_envs.contract import Env, EnvStep, Stack
from jaxrl_envs.spaces import Box, Discrete, bound_of
from jaxrl_envs.wrappers.around import also_alone, around, count


@struct.dataclass
class FrameStackState:
    """State of a frame stack.

    Attributes:
        env: the environment's own.
        frames: the stack, which is the observation too.
    """

    env: Any
    frames: jax.Array


@also_alone
def frame_stack(env: Env, frames: int = 4) -> Env:
    """Show the last ``frames`` observations, the oldest first, one after the other along the last axis.

    ``[H, W, C]`` becomes ``[H, W, frames * C]``, a vector a longer vector, and a number a vector. An episode begins with
    its first observation ``frames`` times, and ends with the true last one in its stack.

    Args:
        env: an environment whose observations are a `Box`.
        frames: at least 1.

    Raises:
        ValueError: for other observations, or a number below 1.
    """
    frames = count(env, "frames", frames)
    space = env.observation_space
    if not isinstance(space, Box):
        raise ValueError(
            f"{env.name}: observations are {space}; frame_stack needs a Box, see flatten_observations"
        )
    one = space.shape or (1,)
    tiled = lambda which: bound_of(np.tile(space.bound(which).reshape(one), frames))
    stacked = Box(tiled("low"), tiled("high"), (*one[:-1], frames * one[-1]), space.dtype_name)

    def reset(key: jax.Array, params: Any) -> tuple[Any, FrameStackState]:
        obs, state = env.reset(key, params)
        stack = jnp.concatenate([obs.reshape(one)] * frames, -1)
        return stack, FrameStackState(state, stack)

    def step(key: jax.Array, state: FrameStackState, action: Any, params: Any) -> EnvStep:
        out = env.step(key, state.env, action, params)
        stack = jnp.concatenate([state.frames[..., one[-1] :], out.obs.reshape(one)], -1)
        return out._replace(obs=stack, state=FrameStackState(out.state, stack))

    return around(env, reset, step, stateful=True, observation_space=stacked, stack=Stack(frames))


@also_alone
def flatten_observations(env: Env) -> Env:
    """Show one float32 vector instead of an array, or of arrays in dictionaries, tuples and other pytrees.

    ``env.observation_space`` is the same nesting of spaces as its observations are of arrays. They follow each other in the
    order of jax's pytrees (dictionaries by sorted keys); arrays in C order, `Discrete` ones as one-hot vectors. As in the networks,
    uint8 is divided by its upper bound; other numbers stay as they are.

    Raises:
        ValueError: if spaces and observations do not fit each other.
    """
    obs, _ = jax.eval_shape(env.reset, jax.eval_shape(lambda: jax.random.key(0)), env.params)
    spaces, tree = jax.tree.flatten(env.observation_space)
    if tree != jax.tree.structure(obs):
        raise ValueError(f"{env.name}: observations are {jax.tree.structure(obs)}, their space is {tree}")
    for space, leaf in zip(spaces, jax.tree.leaves(obs), strict=True):
        if not isinstance(space, Box | Discrete):
            raise ValueError(
                f"{env.name}: there is {space!r} in observation_space; it must be Box or Discrete"
            )
        if space.shape != leaf.shape:
            raise ValueError(
                f"{env.name}: an observation of shape {leaf.shape} has a space of shape {space.shape}"
            )

    def flat(obs: Any) -> jax.Array:
        parts = [_vector(space, x) for space, x in zip(spaces, jax.tree.leaves(obs), strict=True)]
        return jnp.concatenate([part.reshape(-1) for part in parts])

    def reset(key: jax.Array, params: Any) -> tuple[jax.Array, Any]:
        obs, state = env.reset(key, params)
        return flat(obs), state

    def step(key: jax.Array, state: Any, action: Any, params: Any) -> EnvStep:
        out = env.step(key, state, action, params)
        return out._replace(obs=flat(out.obs))

    low, high = (np.concatenate([_bound(space, which) for space in spaces]) for which in ("low", "high"))
    vector = Box(bound_of(low), bound_of(high), low.shape)
    return around(env, reset, step, observation_space=vector)


def _vector(space: Any, x: Any) -> jax.Array:
    if isinstance(space, Discrete):
        return jax.nn.one_hot(x, space.n, dtype=jnp.float32)
    return jnp.asarray(x).astype(jnp.float32) / _unit(space)


def _unit(space: Box) -> np.ndarray:
    """What elements are divided by."""
    return np.maximum(space.bound("high"), 1.0) if space.dtype == np.uint8 else np.ones((), np.float32)


def _bound(space: Any, which: str) -> np.ndarray:
    if isinstance(space, Discrete):
        return np.full(space.n, float(which == "high"), np.float32)
    return (space.bound(which) / _unit(space)).reshape(-1)
