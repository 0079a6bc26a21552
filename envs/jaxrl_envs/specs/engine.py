"""The interpreter of grid specs as two pure functions: the spec is their parameter, so any number of different ones are one program.

A step, in its order: the agent turns and walks, pushing what can be pushed, or interacts, or picks up; all rules read what is
there then; what moves by itself moves; hazards hurt; predicates are told, paid for, and decide about the end.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl_envs.contract import EnvStep
from jaxrl_envs.fusion import computed_once
from jaxrl_envs.spaces import Box, Space
from jaxrl_envs.specs.arrays import GridParams, Payment
from jaxrl_envs.specs.caps import MOST_HEALTH, MOST_HELD, Caps
from jaxrl_envs.specs.cells import DIRECTIONS, beside, cell_at, value_at
from jaxrl_envs.specs.motion import move
from jaxrl_envs.specs.predicates import Facts, Told, ends, facts
from jaxrl_envs.specs.rules import Happened, apply_rules, bounded
from jaxrl_envs.specs.terrain import make_terrain
from jaxrl_envs.specs.view import look, observation_size

ACTIONS = ("nothing", "up", "right", "down", "left", "interact", "pick up")
"""What the agent may do, by number. The last two are done to the cell that it faces."""
INTERACT, PICK_UP = 5, 6


@struct.dataclass
class GridState:
    """An episode in progress.

    Attributes:
        grid: types of cells, what lies on top, int8 ``[S, S]``.
        ground: what each cell is when nothing lies on it, int8 ``[S, S]``.
        hits: how many interactions each cell stands until one has an effect, int8 ``[S, S]``.
        row, column, facing: of the agent, int32; directions are up, right, down, left.
        inventory: int32 ``[T]``.
        health, time: int32.
        now, ever, progress: as in `Facts`.
        succeeded: whether success has held after a step.
    """

    grid: jax.Array
    ground: jax.Array
    hits: jax.Array
    row: jax.Array
    column: jax.Array
    facing: jax.Array
    inventory: jax.Array
    health: jax.Array
    time: jax.Array
    now: jax.Array
    ever: jax.Array
    progress: jax.Array
    succeeded: jax.Array


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
        key_terrain, key_agent = jax.random.split(key)
        grid, ground, row, column = make_terrain(key_terrain, params, caps.side)
        inventory, health = _start(key_agent, params)
        told = Told(grid, ground, row, column, inventory, health, jnp.zeros((), jnp.int32))
        seen = facts(told, jnp.zeros_like(params.payment.first, bool), params.predicates)
        hits = params.types.health[grid].astype(jnp.int8)
        state = _state(told, hits, jnp.full((), 2, jnp.int32), seen, jnp.zeros((), bool))
        return look(told, state.facing, seen, params, view), state

    def step(key: jax.Array, state: GridState, action: Any, params: GridParams) -> EnvStep:
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
        after = _state(told, hits, facing, seen, state.succeeded | success)
        return EnvStep(
            obs=look(told, facing, seen, params, view),
            state=after,
            reward=_reward(state, seen, success & ~state.succeeded, params.payment),
            terminated=lost | (success & params.ends_on_success),
            truncated=told.time >= params.max_steps,
            info={"success": after.succeeded, "skills": seen.ever, "predicates": seen.now},
        )

    return Engine(reset, step, Box(-1.0, 1.0, (observation_size(caps, view),)))


def _state(told: Told, hits: jax.Array, facing: jax.Array, seen: Facts, succeeded: jax.Array) -> GridState:
    return GridState(
        told.grid,
        told.ground,
        hits,
        told.row,
        told.column,
        facing,
        told.inventory,
        told.health,
        told.time,
        *seen,
        succeeded,
    )


def _start(key: jax.Array, params: GridParams) -> tuple[jax.Array, jax.Array]:
    """Inventory and health at a reset, drawn from their ranges as far as the difficulty lets them go."""
    start = params.start
    key_inventory, key_health = jax.random.split(key)

    def drawn(key: jax.Array, low: jax.Array, high: jax.Array) -> jax.Array:
        reach = jnp.floor(params.difficulty * (high - low)).astype(jnp.int32)
        return jax.random.randint(key, low.shape, low, low + reach + 1, jnp.int32)

    inventory = drawn(key_inventory, start.inventory_low, start.inventory_high)
    return inventory, drawn(key_health, start.health[0], start.health[1])


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
    pushes = walks & types.pushable[there] & types.ground[behind]
    enters = walks & (types.walkable[there] | pushes)
    ahead = cell_at(side, row, column)
    stands = value_at(state.hits, row, column)
    grid, hits = (
        jnp.where(pushes & ahead, left, jnp.where(pushes & beyond, moved.astype(jnp.int8), cells))
        for cells, moved, left in ((state.grid, there, state.ground), (state.hits, stands, jnp.int8(1)))
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


def _reward(state: GridState, seen: Facts, won: jax.Array, pays: Payment) -> jax.Array:
    """float32 scalar."""
    risen = seen.now & ~state.now
    paid = (
        jnp.where(risen & ~state.ever, pays.first, 0.0)
        + jnp.where(risen, pays.each, 0.0)
        + pays.potential * (seen.progress - state.progress)
    )
    reward = paid.sum() + pays.step + jnp.where(won, pays.success, 0.0)
    return reward.clip(-pays.clip, pays.clip)
