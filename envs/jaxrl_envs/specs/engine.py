"""The interpreter of grid specs as two pure functions: the spec is their parameter, so any number of different ones are one program.

A walker's step, in its order: the agent turns and walks, pushing what can be pushed, or interacts, or picks up; all rules read what is
there then; what moves by itself moves; hazards hurt; predicates are told, paid for, and decide about the end.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl_envs.contract import EnvStep
from jaxrl_envs.fusion import computed_once
from jaxrl_envs.spaces import Box, Space
from jaxrl_envs.specs import carrier
from jaxrl_envs.specs.arrays import GridParams
from jaxrl_envs.specs.caps import MOST_HEALTH, MOST_HELD, Caps
from jaxrl_envs.specs.cells import DIRECTIONS, beside, cell_at, value_at
from jaxrl_envs.specs.episode import GridState, possessions, reward_of, state_of
from jaxrl_envs.specs.model import DEEDS
from jaxrl_envs.specs.motion import move
from jaxrl_envs.specs.predicates import Told, ends, facts
from jaxrl_envs.specs.ranges import draw, settled
from jaxrl_envs.specs.rules import Happened, apply_rules, bounded
from jaxrl_envs.specs.terrain import make_terrain
from jaxrl_envs.specs.view import look, observation_size

ACTIONS = ("nothing", "up", "right", "down", "left", "interact", "pick up")
"""What the agent may do, by number. The last two are done to the cell that it faces."""
INTERACT, PICK_UP = 5, 6


def actions_of(params: GridParams) -> tuple[str, ...]:
    """What the agent of a spec may do, by number."""
    return ACTIONS if params.carrier is None else DEEDS


def idle_of(params: GridParams) -> int:
    """The action that comes closest to none: a carrier turns on the spot."""
    return 0 if params.carrier is None else carrier.CLOCKWISE


class Engine(NamedTuple):
    """Functions of every spec that fits the caps.

    Attributes:
        reset: ``(key, GridParams) -> (obs, GridState)``.
        step: ``(key, GridState, action, GridParams) -> EnvStep``.
        observation_space: of what `view.look` shows.
    """

    reset: Callable[[jax.Array, GridParams], tuple[jax.Array, GridState]]
    step: Callable[[jax.Array, GridState, Any, GridParams], EnvStep]
    observation_space: Space


@functools.cache
def engine(caps: Caps, view: int) -> Engine:
    """The functions for caps and a view of so many cells a side, odd. Specs that share both share compiled programs."""

    def reset(key: jax.Array, params: GridParams) -> tuple[jax.Array, GridState]:
        if params.carrier is not None:  # a matter of structure: each body has a program of its own
            return carrier.begin(key, params, params.carrier, caps.side, view)
        key_terrain, key_agent = jax.random.split(key)
        drawn = draw(key, params)
        params = settled(params, drawn)
        grid, ground, row, column = make_terrain(key_terrain, params, caps.side)
        inventory, health = possessions(key_agent, params)
        told = Told(grid, ground, row, column, inventory, health, jnp.zeros((), jnp.int32))
        seen = facts(told, jnp.zeros_like(params.payment.first, bool), params.predicates)
        hits = params.types.health[grid].astype(jnp.int8)
        state = state_of(told, hits, jnp.full((), 2, jnp.int32), seen, jnp.zeros((), bool), drawn)
        return look(told, state.facing, seen, params, view), state

    def step(key: jax.Array, state: GridState, action: Any, params: GridParams) -> EnvStep:
        if params.carrier is not None:
            return carrier.step(state, jnp.asarray(action, jnp.int32), params, params.carrier, view)
        params = settled(params, state.drawn)
        seeds = computed_once(jax.random.bits(key, (3,), jnp.uint32))
        did, facing = _act(state, jnp.asarray(action, jnp.int32), params)
        # Each stage is stored. Every cell of the next reads five of it, and the compiler would compute each anew.
        did = computed_once(did)
        grid, ground, hits, inventory, health = computed_once(apply_rules(seeds[:2], did, params))
        grid, hits = computed_once(move(seeds[2], grid, ground, hits, did.row, did.column, params.types))
        health -= _harm(grid, did.row, did.column, params)
        health = health.clip(0, MOST_HEALTH)
        told = Told(grid, ground, did.row, did.column, bounded(inventory), health, did.time)
        seen = facts(told, state.ever, params.predicates)
        success, lost = ends(seen.now, told.health, params)
        after = state_of(told, hits, facing, seen, state.succeeded | success, state.drawn)
        return EnvStep(
            obs=look(told, facing, seen, params, view),
            state=after,
            reward=reward_of(state, seen, success & ~state.succeeded, params.payment.success, params.payment),
            terminated=lost | (success & params.ends_on_success),
            truncated=told.time >= params.max_steps,
            info={"success": after.succeeded, "skills": seen.ever, "predicates": seen.now},
        )

    return Engine(reset, step, Box(-1.0, 1.0, (observation_size(caps, view),)))


def _act(state: GridState, action: jax.Array, params: GridParams) -> tuple[Happened, jax.Array]:
    """What the agent does, and where it faces then."""
    types, side = params.types, state.grid.shape[0]
    walks = (action >= 1) & (action <= 4)
    facing = jnp.where(walks, action - 1, state.facing)
    down, right = jnp.asarray(DIRECTIONS)[facing]
    row, column = state.row + down, state.column + right
    there = value_at(state.grid, row, column)
    beyond = cell_at(side, row + down, column + right)
    behind = value_at(state.grid, row + down, column + right)
    below = value_at(state.ground, row, column)
    # Who pushes takes the place of what is pushed, and so stands on what that lay on.
    pushes = walks & types.pushable[there] & types.ground[behind] & types.walkable[below]
    enters = walks & (types.walkable[there] | pushes)
    ahead = cell_at(side, row, column)
    stands = value_at(state.hits, row, column)
    grid, hits = (
        jnp.where(pushes & ahead, left, jnp.where(pushes & beyond, moved.astype(jnp.int8), cells))
        for cells, moved, left in (
            (state.grid, there, state.ground),
            (state.hits, stands, types.health[below].astype(jnp.int8)),
        )
    )
    strikes = (action == INTERACT) & (there > 0)
    works = strikes & (stands <= 1)
    picks = (action == PICK_UP) & types.pickable[there] & (state.inventory[there] < MOST_HELD)
    consumed = works & types.consumable[there]
    hits = jnp.where(ahead & strikes & ~works, hits - jnp.int8(1), hits)
    did = Happened(
        grid=grid,
        ground=state.ground,
        hits=hits,
        row=jnp.where(enters, row, state.row),
        column=jnp.where(enters, column, state.column),
        ahead=ahead & ~enters,
        entered=enters,
        works=works,
        picks=picks,
        consumed=consumed,
        inventory=state.inventory,
        gained=(picks & (jnp.arange(state.inventory.size) == there)).astype(jnp.int32),
        health=state.health + jnp.where(consumed, types.heals[there], 0),
        time=state.time + 1,
    )
    return did, facing


def _harm(grid: jax.Array, row: jax.Array, column: jax.Array, params: GridParams) -> jax.Array:
    """Health lost to the worst of what the agent stands on, and of what it stands beside and cannot walk on, int32."""
    agent = cell_at(grid.shape[0], row, column)
    hazard, walkable = params.types.hazard[grid], params.types.walkable[grid]
    under = jnp.max(jnp.where(agent, hazard, 0))
    return under + jnp.max(jnp.where(beside(agent) & ~walkable, hazard, 0))
