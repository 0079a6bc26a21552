"""The agent that turns, walks ahead and carries one thing, and its rules: done one after the other, each on what those before have left.

Rules and predicates read eight cells at most, so that these alone are worked on: where the agent stands, the four around it, and three
around the one that it faces, all as seen by the agent. Semantics after XLand-MiniGrid (Nikulin et al. 2023, arXiv 2312.12044).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.contract import EnvStep
from jaxrl_envs.specs import predicates as kinds
from jaxrl_envs.specs import rules as whens
from jaxrl_envs.specs.arrays import Carrier, GridParams
from jaxrl_envs.specs.caps import FLOOR
from jaxrl_envs.specs.cells import DIRECTIONS, cell_at, value_at
from jaxrl_envs.specs.episode import GridState, possessions, reward_of, state_of
from jaxrl_envs.specs.model import DEEDS
from jaxrl_envs.specs.predicates import Facts, Told, ends
from jaxrl_envs.specs.terrain import make_terrain
from jaxrl_envs.specs.view import look_ahead

AHEAD, CLOCKWISE, COUNTERCLOCKWISE, PICK_UP, PUT_DOWN, INTERACT = range(len(DEEDS))
_NOTHING = -1  # no deed yet
_FORWARD = np.asarray([0, 1, 0, -1, 0, 2, 1, 1], np.int32)
_RIGHT = np.asarray([0, 0, 1, 0, -1, 0, 1, -1], np.int32)
_AROUND = np.asarray([1, 2, 3, 4])  # of the agent: ahead, right, behind, left
_FACED = np.asarray([5, 6, 0, 7])  # likewise, of the cell ahead


class Scene(NamedTuple):
    """What rules change and predicates read.

    Attributes:
        cells: types of the eight cells, int32 ``[8]``.
        pocket: the type that is carried, int32; 0 for nothing.
    """

    cells: jax.Array
    pocket: jax.Array


def begin(
    key: jax.Array, params: GridParams, carrier: Carrier, side: int, view: int
) -> tuple[jax.Array, GridState]:
    """Observation and state of a start; the agent faces any way.

    Args:
        key: of what is drawn.
        params: the spec.
        carrier: of it.
        side: of the arrays, static.
        view: cells a side, static.
    """
    key_terrain, key_agent, key_facing = jax.random.split(key, 3)
    grid, ground, row, column = make_terrain(key_terrain, params, side)
    inventory, health = possessions(key_agent, params)
    facing = jax.random.randint(key_facing, (), 0, 4, jnp.int32)
    told = Told(grid, ground, row, column, inventory, health, jnp.zeros((), jnp.int32))
    scene = Scene(value_at(grid, *_places(row, column, facing)), _pocket(inventory))
    before = jnp.zeros_like(params.payment.first, bool)
    seen = _facts(scene, told, facing, jnp.full((), _NOTHING, jnp.int32), before, params, carrier)
    state = state_of(told, jnp.ones_like(grid), facing, seen, jnp.zeros((), bool))
    return look_ahead(told, facing, seen, params, view), state


def step(state: GridState, action: jax.Array, params: GridParams, carrier: Carrier, view: int) -> EnvStep:
    """One step: the deed, all rules in order, predicates.

    Args:
        state: before.
        action: int32, the number of a deed.
        params: the spec.
        carrier: of it.
        view: cells a side, static.
    """
    turn = (action == CLOCKWISE).astype(jnp.int32) - (action == COUNTERCLOCKWISE).astype(jnp.int32)
    facing = (state.facing + turn) % 4
    down, right = jnp.asarray(DIRECTIONS)[facing]
    there = value_at(state.grid, state.row + down, state.column + right)
    walks = (action == AHEAD) & params.types.walkable[there]
    row, column = (at + jnp.where(walks, by, 0) for at, by in ((state.row, down), (state.column, right)))
    rows, columns = _places(row, column, facing)
    before = Scene(value_at(state.grid, rows, columns), _pocket(state.inventory))
    scene = _ruled(_handled(before, action, params), before.cells[1], action, facing, params, carrier)
    grid = state.grid
    for i in range(_FORWARD.size):
        grid = jnp.where(cell_at(grid.shape[0], rows[i], columns[i]), scene.cells[i].astype(jnp.int8), grid)
    held = jnp.arange(state.inventory.size, dtype=jnp.int32) == scene.pocket
    inventory = (held & (scene.pocket > 0)).astype(jnp.int32)
    told = Told(grid, state.ground, row, column, inventory, state.health, state.time + 1)
    seen = _facts(scene, told, facing, action, state.ever, params, carrier)
    success, lost = ends(seen.now, told.health, params)
    over = told.time.astype(jnp.float32) / params.max_steps.astype(jnp.float32)
    pays = params.payment.success * (1.0 - carrier.fade * over)
    after = state_of(told, state.hits, facing, seen, state.succeeded | success)
    return EnvStep(
        obs=look_ahead(told, facing, seen, params, view),
        state=after,
        reward=reward_of(state, seen, success & ~state.succeeded, pays, params.payment),
        terminated=lost | (success & params.ends_on_success),
        truncated=told.time >= params.max_steps,
        info={"success": after.succeeded, "skills": seen.ever, "predicates": seen.now},
    )


def _places(row: jax.Array, column: jax.Array, facing: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Rows and columns of the eight cells, int32 ``[8]``."""
    ahead, aside = jnp.asarray(DIRECTIONS)[facing], jnp.asarray(DIRECTIONS)[(facing + 1) % 4]
    return (
        row + _FORWARD * ahead[0] + _RIGHT * aside[0],
        column + _FORWARD * ahead[1] + _RIGHT * aside[1],
    )


def _pocket(inventory: jax.Array) -> jax.Array:
    return jnp.where(inventory.any(), jnp.argmax(inventory), 0).astype(jnp.int32)


def _handled(scene: Scene, action: jax.Array, params: GridParams) -> Scene:
    """After the agent has taken what it faces, or put down what it carries."""
    faced, pocket = scene.cells[1], scene.pocket
    takes = (action == PICK_UP) & params.types.pickable[faced] & (pocket == 0)
    puts = (action == PUT_DOWN) & (faced == FLOOR) & (pocket > 0)
    left = jnp.where(takes, FLOOR, jnp.where(puts, pocket, faced))
    return Scene(
        scene.cells.at[1].set(left), jnp.where(takes, faced, jnp.where(puts, 0, pocket)).astype(jnp.int32)
    )


def _ruled(
    scene: Scene, faced: jax.Array, action: jax.Array, facing: jax.Array, params: GridParams, carrier: Carrier
) -> Scene:
    """After all rules; ``faced`` is what the agent faced when it acted."""
    rules = params.rules
    due = _due(carrier.after, action)
    sides = _sides(carrier.towards, facing)

    def once(scene: Scene, rule: tuple[jax.Array, ...]) -> tuple[Scene, None]:
        when, of, by, becomes, due, sides = rule
        cells, pocket = scene
        around = due & (when == whens.ADJACENT) & sides & (cells[_AROUND] == of)
        others = due & (when == whens.MEETS) & _meeting(cells, of, by, sides)
        works = (when == whens.INTERACT) & (action == INTERACT) & due & (faced == of)
        works &= (by < 0) | (by == pocket)
        cells = cells.at[_AROUND].set(jnp.where(around, becomes, cells[_AROUND]))
        cells = cells.at[_FACED].set(jnp.where(others, becomes, cells[_FACED]))
        front = jnp.where(others.any(), FLOOR, jnp.where(works, becomes, cells[1]))
        turned = due & (when == whens.HELD) & (pocket == of)
        return Scene(cells.at[1].set(front), jnp.where(turned, becomes, pocket)), None

    table = (rules.when, rules.of, rules.by, rules.becomes, due, sides)
    return jax.lax.scan(once, scene, table, unroll=4)[0]


def _due(after: jax.Array, action: jax.Array) -> jax.Array:
    """Whether what is asked after a deed is now, bool of the shape of ``after``."""
    return (after == 0) | ((action >= 0) & ((after >> jnp.maximum(action, 0)) & 1 != 0))


def _sides(towards: jax.Array, facing: jax.Array) -> jax.Array:
    """Which sides are meant, as the agent sees them (ahead, right, behind, left), bool ``[..., 4]``."""
    wide = towards[:, None]
    return (wide < 0) | ((wide - facing) % 4 == jnp.arange(4, dtype=jnp.int32))


def _meeting(cells: jax.Array, of: jax.Array, by: jax.Array, sides: jax.Array) -> jax.Array:
    """Which neighbours of the faced cell meet what lies there, bool ``[..., 4]``."""
    faced, others = cells[1], cells[_FACED]
    opposite = sides[..., np.asarray([2, 3, 0, 1])]
    return ((faced == of) & (others == by) & sides) | ((faced == by) & (others == of) & opposite)


def _facts(
    scene: Scene,
    told: Told,
    facing: jax.Array,
    action: jax.Array,
    before: jax.Array,
    params: GridParams,
    carrier: Carrier,
) -> Facts:
    """What holds; ``action`` is the deed of the step."""
    table = params.predicates
    kind, of, wide = table.kind, table.of, lambda x: x[:, None]
    sides = _sides(carrier.told_towards, facing)
    beside = (sides & (scene.cells[_AROUND] == wide(of))).any(1)
    meets = _meeting(scene.cells, wide(of), wide(table.by), sides).any(1)
    row, column, height, width = table.region.T
    inside = (told.row >= row) & (told.row < row + height)
    inside &= (told.column >= column) & (told.column < column + width)
    at = jnp.where(of < 0, inside, value_at(told.grid, row, column) == of)
    base = jnp.zeros_like(at)
    for number, holds in (
        (kinds.HOLDS, scene.pocket == of),
        (kinds.NEAR, scene.cells[0] == of),
        (kinds.BESIDE, beside),
        (kinds.MEETS, meets),
        (kinds.AT, at),
    ):
        base = jnp.where(kind == number, holds, base)
    due = _due(carrier.told_after, action)
    base &= due
    now = base | ((kind == kinds.ACHIEVED) & due & (before | base)[jnp.maximum(of, 0)])
    return Facts(now, before | now, now.astype(jnp.float32))
