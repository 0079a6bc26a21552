"""What validation plays, for many specs at once: resets that are looked at, two policies that know nothing, and one that reads the rules."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.specs.arrays import GridParams
from jaxrl_envs.specs.caps import BUILT_IN, PRESETS, Caps
from jaxrl_envs.specs.cells import beside, cell_at
from jaxrl_envs.specs.engine import GridState, actions_of, engine, idle_of
from jaxrl_envs.specs.feasibility import ANYWHERE, needed, passable, reach
from jaxrl_envs.specs.model import GridSpec
from jaxrl_envs.specs.predicates import ends
from jaxrl_envs.specs.scripted import play_scripted


class Wanted(NamedTuple):
    """What is asked of resets, ``[T]``.

    Attributes:
        needed: types that success needs of the terrain, bool.
        passable: types that the agent may get past, bool.
        reach: steps within which it must come of each, int32; `feasibility.ANYWHERE` where it need only be there.
    """

    needed: Any
    passable: Any
    reach: Any


class Starts(NamedTuple):
    """Shares of resets, float32, ``[specs]`` each and ``missing [specs, T]``.

    Attributes:
        finite: the observation has numbers only.
        free: the agent stands where it may.
        won, lost: success, or failure, holds from the start.
        missing: a needed type cannot be come by.
        sound: nothing is missing.
    """

    finite: jax.Array
    free: jax.Array
    won: jax.Array
    lost: jax.Array
    missing: jax.Array
    sound: jax.Array


class Plays(NamedTuple):
    """Shares of episodes, float32 ``[specs]``: won by doing nothing, won at random, and without a number that is none."""

    idle: jax.Array
    random: jax.Array
    finite: jax.Array


class Tries(NamedTuple):
    """Of the scripted player: shares of its tries that it won, float32 ``[specs]``, and in which each predicate has held, ``[specs, P]``."""

    won: jax.Array
    held: jax.Array


@functools.cache
def starts_of(caps: Caps, resets: int) -> Any:
    """The compiled ``(key, GridParams [specs], Wanted [specs]) -> Starts``."""
    made = engine(caps, caps.view)

    def one(key: jax.Array, params: GridParams, wanted: Wanted) -> Starts:
        obs, state = made.reset(key, params)
        won, lost = ends(state.now, state.health, params)
        there = reached(state, wanted.passable)
        missing = wanted.needed & ~(at_hand(state.grid, state.ground, wanted.reach) & there).any((1, 2))
        under = cell_at(caps.side, state.row, state.column) & params.types.walkable[state.grid]
        flags = Starts(jnp.isfinite(obs).all(), under.any(), won, lost, missing, ~missing.any())
        return jax.tree.map(lambda flag: flag.astype(jnp.float32), flags)

    def many(key: jax.Array, params: GridParams, wanted: Wanted) -> Starts:
        shares = jax.vmap(one, (0, None, None))(jax.random.split(key, resets), params, wanted)
        return jax.tree.map(lambda share: share.mean(0), shares)

    return jax.jit(jax.vmap(many, (None, 0, 0)))


def wanted_of(spec: GridSpec) -> Wanted:
    """What is asked of the resets of a spec, as NumPy arrays."""
    names, size = [*BUILT_IN, *(t.name for t in spec.types)], PRESETS[spec.size].types
    wanted = Wanted(np.zeros(size, bool), np.zeros(size, bool), np.zeros(size, np.int32))
    for name in needed(spec):
        wanted.needed[names.index(name)] = True
        wanted.reach[names.index(name)] = reach(spec, name)
    wanted.passable[[names.index(name) for name in passable(spec)]] = True
    return wanted


def at_hand(grid: jax.Array, ground: jax.Array, reach: jax.Array) -> jax.Array:
    """Cells from which one of a type is no more than so many steps away, whatever lies between, bool ``[T, S, S]``.

    Args:
        grid: the map of a start, int8 ``[S, S]``.
        ground: what lies below, likewise.
        reach: steps, int32 ``[T]``.
    """
    types = jnp.arange(reach.size, dtype=jnp.int8)[:, None, None]
    # What lies on ground that is needed can be moved off it.
    lies = (grid == types) | (ground == types)
    anywhere = reach >= ANYWHERE
    most = jnp.where(anywhere, 0, reach)

    def wider(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        cells, steps = carry
        return cells | (beside(cells) & (steps < most)[:, None, None]), steps + 1

    cells, _ = jax.lax.while_loop(lambda carry: (carry[1] < most).any(), wider, (lies, jnp.int32(0)))
    return cells | (anywhere & lies.any((1, 2)))[:, None, None]


def reached(state: GridState, passable: jax.Array) -> jax.Array:
    """Cells that the agent may come to, bool ``[S, S]``, if all that may be got past is.

    Args:
        state: of a start.
        passable: types, bool ``[T]``.
    """
    open_cells = passable[state.grid]
    start = cell_at(state.grid.shape[0], state.row, state.column)
    spread = lambda carry: (carry[0] | (open_cells & beside(carry[0])), carry[0])
    found, _ = jax.lax.while_loop(
        lambda carry: (carry[0] != carry[1]).any(), spread, (start, jnp.zeros_like(start))
    )
    return found


@functools.cache
def plays_of(caps: Caps, episodes: int, steps: int) -> Any:
    """The compiled ``(key, GridParams [specs], waits int32 [specs]) -> Plays``.

    Args:
        caps: of the specs.
        episodes: of each policy.
        steps: after which random actions are cut off; who does nothing waits for as long as ``waits`` says.
    """
    made = engine(caps, caps.view)

    def episode(
        key: jax.Array, idle: jax.Array, params: GridParams, waits: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        key_reset, key_steps = jax.random.split(key)
        _, state = made.reset(key_reset, params)
        most = jnp.where(idle, waits, steps)

        def more(carry: Any) -> jax.Array:
            return ~carry[2] & (carry[1].time < most)

        def once(carry: Any) -> Any:
            key, state, _, finite = carry
            key, key_act, key_step = jax.random.split(key, 3)
            action = jax.random.randint(key_act, (), 0, len(actions_of(params)), jnp.int32)
            out = made.step(key_step, state, jnp.where(idle, idle_of(params), action), params)
            finite &= jnp.isfinite(out.reward) & jnp.isfinite(out.obs).all()
            return key, out.state, out.terminated | out.truncated | out.state.succeeded, finite

        begin = (key_steps, state, jnp.zeros((), bool), jnp.ones((), bool))
        _, state, _, finite = jax.lax.while_loop(more, once, begin)
        return state.succeeded.astype(jnp.float32), finite.astype(jnp.float32)

    def many(key: jax.Array, params: GridParams, waits: jax.Array) -> Plays:
        keys = jax.random.split(key, 2 * episodes)
        idle = jnp.arange(2 * episodes) < episodes
        won, finite = jax.vmap(episode, (0, 0, None, None))(keys, idle, params, waits)
        return Plays(won[:episodes].mean(), won[episodes:].mean(), finite.mean())

    return jax.jit(jax.vmap(many, (None, 0, 0)))


@functools.cache
def tries_of(caps: Caps, tries: int, steps: int) -> Any:
    """The compiled ``(key, GridParams [specs]) -> Tries``; tries are cut off after so many steps."""
    made = engine(caps, caps.view)

    def one(key: jax.Array, params: GridParams) -> Tries:
        state, _ = play_scripted(made, key, params, steps)
        return Tries(state.succeeded.astype(jnp.float32), state.ever.astype(jnp.float32))

    def many(key: jax.Array, params: GridParams) -> Tries:
        found = jax.vmap(one, (0, None))(jax.random.split(key, tries), params)
        return jax.tree.map(lambda share: share.mean(0), found)

    return jax.jit(jax.vmap(many, (None, 0)))


def exact_share(of: int, found: np.ndarray) -> np.ndarray:
    """Shares of so many, exactly: a mean of ones in float32 need not be one."""
    return np.rint(np.float64(found) * of) / of


def stacked(specs: Sequence[Any], batch: int) -> Any:
    """Trees of arrays along a new axis of length ``batch``, the first of them again where there are not so many."""
    rows = [*specs, *([specs[0]] * (batch - len(specs)))]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *rows)
