"""Many tasks from one: parameters that are drawn for each, or starts."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxrl_envs.contract import Env, EnvStep
from jaxrl_envs.keywords import near
from jaxrl_envs.parameters import LIMITS
from jaxrl_envs.seeds import key_of
from jaxrl_envs.wrappers.around import also_alone, around, interval


@also_alone
def vary_params(env: Env, name: str, low: float, high: float) -> Env:
    """A family of tasks: the parameter ``name`` is drawn uniformly from ``low`` to ``high``, both included if it is whole.

    `Env.params` stays as it is; `Env.sample_params` draws, what it draws already besides. Put it on once for each parameter.

    Args:
        env: the environment.
        name: of a number among its parameters, dotted where they are nested (``env.gravity`` in a wrapper).
        low: the lowest value.
        high: the highest value.

    Raises:
        ValueError: there is no such number, or these are no values of it in this order, or none that the environment takes.
    """
    paths, tree = jax.tree_util.tree_flatten_with_path(env.params)
    names = [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in paths]
    if name not in names:
        known = ", ".join(names) or "none"
        raise ValueError(f"{env.name} has no parameter {name!r}{near(name, names) or '.'} It has {known}.")
    index, leaf = names.index(name), paths[names.index(name)][1]
    whole = jnp.issubdtype(leaf.dtype, jnp.integer)
    if leaf.ndim or not (whole or jnp.issubdtype(leaf.dtype, jnp.floating)):
        raise ValueError(
            f"{env.name}: parameter {name!r} is {leaf.dtype} of shape {leaf.shape}; it must be one number"
        )
    interval(env, low, high)
    if whole and not (float(low).is_integer() and float(high).is_integer()):
        raise ValueError(
            f"{env.name}: {name!r} is a whole number, so low and high, {low!r} and {high!r}, must be"
        )
    if name.rpartition(".")[2] in LIMITS and low < 1:
        raise ValueError(f"{env.name}: low of {name!r} is {low!r}; a limit must be at least 1")
    if whole and not (np.iinfo(leaf.dtype).min <= low and high < np.iinfo(leaf.dtype).max):
        bounds = np.iinfo(leaf.dtype)
        raise ValueError(
            f"{env.name}: {name!r} is drawn from {low} to {high}; both must be from {bounds.min} to {bounds.max - 1}, numbers of its {leaf.dtype}"
        )
    draw = env.sample_params
    if env.check_params is not None:
        for end in (low, high):
            ends = [leaf for _, leaf in paths]
            ends[index] = jnp.asarray(end, leaf.dtype)
            env.check_params(jax.tree.unflatten(tree, ends))

    def sample(key: jax.Array) -> Any:
        key_others, key_own = jax.random.split(key)
        leaves = jax.tree.leaves(env.params if draw is None else draw(key_others))
        if whole:
            ends = np.asarray([low, high + 1], leaf.dtype)
            leaves[index] = jax.random.randint(key_own, (), ends[0], ends[1], leaf.dtype)
        else:
            leaves[index] = jax.random.uniform(key_own, (), leaf.dtype, low, high)
        return jax.tree.unflatten(tree, leaves)

    return dataclasses.replace(env, sample_params=sample)


@struct.dataclass
class SeededParams:
    """Parameters of an environment whose starts are levels.

    Attributes:
        env: the environment's own.
        seed: uint32, of which the start is made.
    """

    env: Any
    seed: jax.Array


@also_alone
def level_seeds(env: Env, count: int = 0) -> Env:
    """A family of tasks by where they start: every episode of a task begins in the state that its seed gives.

    So the worlds of a game with generated worlds are levels, of which a fixed set may be trained on. What happens in an
    episode stays as random as it was.

    Args:
        env: the environment.
        count: how many seeds there are, from 0 on; 0 for all that 32 bits can tell apart.

    Raises:
        ValueError: ``count`` is no whole number, or below 0, or starts are not the environment's alone (`Env.restart`).
    """
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count < 2**31:
        raise ValueError(f"{env.name}: count is {count!r}; it must be a whole number of at least 0")
    if env.restart is not None:
        raise ValueError(
            f"{env.name}: after an end it goes on by itself, and begins new games where no seed says; make it so that only games end "
            "(atari: lives=False)"
        )
    draw = env.sample_params

    def reset(key: jax.Array, params: SeededParams) -> tuple[Any, Any]:
        del key
        return env.reset(key_of(params.seed), params.env)

    def step(key: jax.Array, state: Any, action: Any, params: SeededParams) -> EnvStep:
        return env.step(key, state, action, params.env)

    def sample(key: jax.Array) -> SeededParams:
        key_others, key_own = jax.random.split(key)
        bits = jax.random.bits(key_own, (), jnp.uint32)
        own = bits if not count else jax.random.randint(key_own, (), 0, count, jnp.int32).astype(jnp.uint32)
        return SeededParams(env.params if draw is None else draw(key_others), own)

    wrap = lambda inner: SeededParams(inner, jnp.zeros((), jnp.uint32))
    # How much a start allows, and what is near it, is not known of the one that a seed gives.
    unknown: dict[str, Any] = {"optimal_return": None, "edit_params": None, "arms": None, "builder": None}
    return around(env, reset, step, params=wrap, sample_params=sample, **unknown)
