"""Many copies of one environment stepped together, with a reset policy chosen by the caller.

An `Env` never resets itself. `vectorize` batches one and decides what an ended slot continues with:

- `FullResets`: a fresh reset for every slot at every step. Right where a reset is cheap (classic
  control, MinAtar); ruinous where it is not, because under vmap every branch runs, unless the same
  starts are made for ended slots alone (`FullResets.at_once`).
- `OptimisticResets(k)`: up to ``k`` fresh resets a step, dealt in order to the slots that ended. Slots
  share a start only when more than ``k`` end in the same step.
- `PoolResets(m)`: starts drawn from ``m`` stored resets, of which a few are renewed once per rollout.

An environment that says what an ended episode is followed by (`Env.restart`) needs the first, and continues with that.

Which slots ended is decided exactly (a running count over the flags), never by sampling.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl_envs.contract import GAME_OVER, Env, own_reward
from jaxrl_envs.fusion import computed_once

# Names of policies can be imported from here as well, where they once were.
from jaxrl_envs.resets import (
    FullResets,
    OptimisticResets,
    PoolResets,
    ResetPolicy,
    resets_from_name,  # noqa: F401
)


class Pool(NamedTuple):
    """Stored starts: ``obs`` and ``state`` with leading axis ``size``; ``cursor`` is the oldest."""

    obs: Any
    state: Any
    cursor: jax.Array


class VectorState(NamedTuple):
    """State of ``N`` slots.

    Attributes:
        env: environment states, leaves ``[N, ...]``.
        obs: what the agent sees now, leaves ``[N, ...]``.
        first: bool ``[N]``, this observation starts an episode.
        episode_return: float32 ``[N]``, undiscounted reward so far in the running episode (see `own_reward` and `own_end`).
        episode_length: int32 ``[N]``, steps so far in the running episode.
        pool: a `Pool`, or ``()`` for the policies that store nothing.
    """

    env: Any
    obs: Any
    first: jax.Array
    episode_return: jax.Array
    episode_length: jax.Array
    pool: Any = ()


class VectorStep(NamedTuple):
    """One step of ``N`` slots, as seen before any reset.

    ``episode_return`` and ``episode_length`` include this step; they are final where the episode ended.
    """

    next_obs: Any
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    info: Mapping[str, Any]
    episode_return: jax.Array
    episode_length: jax.Array


class VectorEnv(NamedTuple):
    """``num_envs`` slots of ``env`` as pure functions.

    Attributes:
        env: the environment.
        num_envs: ``N``.
        reset: ``(key, params) -> VectorState``.
        step: ``(key, state, action [N, ...], params, next_params=None) -> (VectorState, VectorStep)``; slots
            whose episode ended continue on ``next_params``, on ``params`` if none are given.
        refresh: ``(key, state, params) -> VectorState``; call once per rollout (renews a pool, else free).
        params_per_slot: whether leaves of ``params`` lead with ``[N]``.
    """

    env: Env
    num_envs: int
    reset: Callable[[jax.Array, Any], VectorState]
    step: Callable[..., tuple[VectorState, VectorStep]]
    refresh: Callable[[jax.Array, VectorState, Any], VectorState]
    params_per_slot: bool = False


def choose(mask: jax.Array, new: Any, old: Any) -> Any:
    """Leafwise ``new`` where ``mask`` [N] else ``old``, for leaves ``[N, ...]``."""

    def leaf(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.where(mask.reshape(mask.shape + (1,) * (a.ndim - mask.ndim)), a, b)

    return jax.tree.map(leaf, new, old)


def _as_many_as_needed(reset_slots: Any, keys: jax.Array, needed: jax.Array, params: Any) -> Any:
    """Resets from ``keys`` [k], at least ``needed`` of them if there are as many, zeros in the others' place.

    They are made a quarter at a time: few episodes end in one step, and a reset can cost more than a step.
    """
    size = keys.shape[0] // 4 if keys.shape[0] % 4 == 0 else keys.shape[0]
    rounds = jnp.minimum(-(-needed // size), keys.shape[0] // size)
    shapes = jax.eval_shape(reset_slots, keys, params)

    def more(i: jax.Array, made: Any) -> Any:
        fresh = reset_slots(jax.lax.dynamic_slice_in_dim(keys, i * size, size), params)
        put = lambda old, new: jax.lax.dynamic_update_slice_in_dim(old, new, i * size, 0)
        return jax.tree.map(put, made, fresh)

    nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    return jax.lax.fori_loop(0, rounds, more, nothing)


def _of_ended(slots: _Slots, keys: jax.Array, ended: jax.Array, params: Any, size: int) -> tuple[Any, Any]:
    """What resets of all slots from their ``keys`` give those that ended, made ``size`` at a time; anything in the others' place.

    Where ``size`` does not divide the slots, a slice of the last round is moved back to fit, and starts are made twice, alike.
    """
    size = min(size, slots.count)
    places = jnp.argsort(~ended).astype(jnp.int32)
    shapes = jax.eval_shape(slots.reset, keys, params)

    def more(i: jax.Array, made: Any) -> Any:
        some = jax.lax.dynamic_slice_in_dim(places, i * size, size)
        own = jax.tree.map(lambda x: x[some], params) if slots.params_per_slot else params
        return jax.tree.map(lambda old, new: old.at[some].set(new), made, slots.reset(keys[some], own))

    nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    return jax.lax.fori_loop(0, -(-ended.sum(dtype=jnp.int32) // size), more, nothing)


def vectorize(
    env: Env, num_envs: int, resets: ResetPolicy | None = None, params_per_slot: bool = False
) -> VectorEnv:
    """Batch ``env`` over ``num_envs`` slots under a reset policy.

    Args:
        env: the environment.
        num_envs: number of slots ``N``, at least 1.
        resets: the reset policy; `FullResets` by default.
        params_per_slot: whether every leaf of ``params`` carries a leading axis ``[N]``, one environment
            configuration per slot. Needs `FullResets`: the other policies share starts between slots.

    Raises:
        ValueError: on sizes below one, or a policy that cannot serve ``params_per_slot`` or `Env.restart`.
    """
    resets = FullResets() if resets is None else resets
    if num_envs < 1:
        raise ValueError(f"num_envs is {num_envs}; it must be at least 1")
    if isinstance(resets, FullResets) and num_envs % resets.shared:
        raise ValueError(f"resets is {resets}; shared must divide num_envs, {num_envs}")
    if params_per_slot and not isinstance(resets, FullResets):
        raise ValueError(
            f"resets is {resets}; with params_per_slot only FullResets is allowed, because the other "
            "policies share starts between slots"
        )
    if env.restart is not None and resets != FullResets():
        raise ValueError(
            f"resets is {resets}; {env.name} says itself how an ended episode goes on, so only FullResets is allowed, with nothing shared"
        )
    params_axis = 0 if params_per_slot else None
    slots = _Slots(
        num_envs,
        resets,
        jax.vmap(env.reset, in_axes=(0, params_axis)),
        jax.vmap(env.step, in_axes=(0, 0, 0, params_axis)),
        env.restart and jax.vmap(env.restart, in_axes=(0, 0, params_axis)),
        params_per_slot,
    )
    return VectorEnv(
        env,
        num_envs,
        partial(_reset, slots),
        partial(_step, slots),
        partial(_refresh, slots),
        params_per_slot,
    )


class _Slots(NamedTuple):
    """How many slots there are, what ended ones continue with, and the environment's functions over them."""

    count: int
    resets: ResetPolicy
    reset: Callable[[jax.Array, Any], tuple[Any, Any]]
    step: Callable[[jax.Array, Any, Any, Any], Any]
    restart: Callable[[jax.Array, Any, Any], tuple[Any, Any]] | None = None
    params_per_slot: bool = False


def _reset(slots: _Slots, key: jax.Array, params: Any) -> VectorState:
    key_slots, key_pool = jax.random.split(key)
    keys = jax.random.split(key_slots, slots.count)
    if isinstance(slots.resets, FullResets):
        keys = slots.resets.keys(keys)
    obs, state = slots.reset(keys, params)
    pool: Any = ()
    if isinstance(slots.resets, PoolResets):
        stored = slots.reset(jax.random.split(key_pool, slots.resets.size), params)
        pool = Pool(*stored, jnp.zeros((), jnp.int32))
    return VectorState(
        env=state,
        obs=obs,
        first=jnp.ones((slots.count,), bool),
        episode_return=jnp.zeros((slots.count,), jnp.float32),
        episode_length=jnp.zeros((slots.count,), jnp.int32),
        pool=pool,
    )


def _starts(slots: _Slots, keys: jax.Array, ended: jax.Array, pool: Any, params: Any) -> tuple[Any, Any]:
    """Observations and states ``[N, ...]`` for the slots in ``ended`` to continue from."""
    match slots.resets:
        case FullResets(at_once=size) as full if size:
            return _of_ended(slots, full.keys(keys), ended, params, size)
        case FullResets() as full:
            return slots.reset(full.keys(keys), params)
        case OptimisticResets(resets_per_step=k):
            fresh = _as_many_as_needed(slots.reset, jax.random.split(keys[0], k), ended.sum(), params)
            turn = (jnp.cumsum(ended, dtype=jnp.int32) - 1) % k
            return jax.tree.map(lambda x: x[turn], fresh)
        case PoolResets(size=m):
            drawn = jax.random.randint(keys[0], (slots.count,), 0, m, jnp.int32)
            return jax.tree.map(lambda x: x[drawn], (pool.obs, pool.state))


def _step(
    slots: _Slots, key: jax.Array, state: VectorState, action: Any, params: Any, next_params: Any = None
) -> tuple[VectorState, VectorStep]:
    keys_step, keys_reset = jax.random.split(key, (2, slots.count))  # in one draw: this is a hot loop
    out = computed_once(slots.step(keys_step, state.env, action, params))
    ended = out.terminated | out.truncated
    over = out.info.get(GAME_OVER, ended)
    then = params if next_params is None else next_params
    if slots.restart is not None:
        starts = slots.restart(keys_reset, out.state, then)
    else:
        starts = _starts(slots, keys_reset, ended, state.pool, then)
    obs, env_state = choose(ended, starts, (out.obs, out.state))
    episode_return = state.episode_return + own_reward(out)
    episode_length = state.episode_length + 1
    carried = VectorState(
        env=env_state,
        obs=obs,
        first=ended,
        episode_return=jnp.where(over, 0.0, episode_return),
        episode_length=jnp.where(over, 0, episode_length),
        pool=state.pool,
    )
    seen = VectorStep(
        out.obs, out.reward, out.terminated, out.truncated, out.info, episode_return, episode_length
    )
    return carried, seen


def _refresh(slots: _Slots, key: jax.Array, state: VectorState, params: Any) -> VectorState:
    resets = slots.resets
    if not (isinstance(resets, PoolResets) and resets.renew):
        return state
    obs, env_state = slots.reset(jax.random.split(key, resets.renew), params)
    places = (state.pool.cursor + jnp.arange(resets.renew, dtype=jnp.int32)) % resets.size
    put = lambda old, new: jax.tree.map(lambda x, y: x.at[places].set(y), old, new)
    pool = Pool(
        put(state.pool.obs, obs),
        put(state.pool.state, env_state),
        (state.pool.cursor + resets.renew) % resets.size,
    )
    return state._replace(pool=pool)
