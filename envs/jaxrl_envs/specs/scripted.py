"""A scripted player of any grid spec: it reads the rules, walks to what it may do something to, and does what it did least often.

It knows the whole map and what rules ask for, and plans no further than one deed. So it opens tech trees, doors and the like in few
steps, and solves no puzzle but by luck: that it wins proves that a spec can be won; that it does not proves nothing.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl_envs.specs.arrays import GridParams
from jaxrl_envs.specs.caps import BUILT_IN, FLOOR, MOST_HELD
from jaxrl_envs.specs.cells import DIRECTIONS, beside, cell_at, neighbour, value_at
from jaxrl_envs.specs.engine import INTERACT, PICK_UP, GridState
from jaxrl_envs.specs.predicates import AT, BESIDE, NEAR
from jaxrl_envs.specs.ranges import settled
from jaxrl_envs.specs.rules import ADJACENT, ON, STEP
from jaxrl_envs.specs.rules import INTERACT as INTERACTION

_STRAY = 0.1  # how often it takes any step, so that it gets out of whatever holds it
_FAR = 30_000


@struct.dataclass
class Intent:
    """What the player is about: deeds are interacting with, picking up and walking into each type, then coming to the region of each predicate.

    Attributes:
        deed: the one that it is about, int32.
        done: how often it did each, int32 ``[3 T + P]``.
    """

    deed: jax.Array
    done: jax.Array


def no_intent(params: GridParams) -> Intent:
    """Before the first step."""
    deeds = 3 * params.types.walkable.size + params.predicates.kind.size
    return Intent(jnp.int32(0), jnp.zeros((deeds,), jnp.int32))


def scripted_action(
    key: jax.Array, state: GridState, intent: Intent, params: GridParams
) -> tuple[jax.Array, Intent]:
    """What the player does, int32, and what it is about then; pure, for one spec.

    Args:
        key: of ties, and of the steps that it takes at random.
        state: what it sees all of.
        intent: of the step before.
        params: the spec.
    """
    params = settled(params, state.drawn)
    key_choice, key_stray, key_any = jax.random.split(key, 3)
    side = state.grid.shape[0]
    agent = cell_at(side, state.row, state.column)
    safe = params.types.walkable[state.grid] & (params.types.hazard[state.grid] == 0)
    near = beside(_distance(agent, safe) < _FAR)
    cells = _cells(state, params) & (near & ~agent)  # [deeds, S, S]
    open_deeds = _allowed(state.inventory, params) & cells.any((1, 2))
    # What was done least often, ties at random; what was begun is gone on with.
    rank = intent.done + jax.random.uniform(key_choice, intent.done.shape)
    rank = rank.at[intent.deed].add(-0.5)
    deed = jnp.argmin(jnp.where(open_deeds, rank, jnp.inf)).astype(jnp.int32)
    action, does = _towards(state, cells[deed], safe, deed, params)
    stray = ~open_deeds.any() | (jax.random.uniform(key_stray) < _STRAY)
    does &= ~stray
    action = jnp.where(stray, jax.random.randint(key_any, (), 1, 5, jnp.int32), action)
    return action, Intent(deed, intent.done.at[deed].add(does.astype(jnp.int32)))


def _cells(state: GridState, params: GridParams) -> jax.Array:
    """Cells that each deed is done to, bool ``[3 T + P, S, S]``."""
    types = jnp.arange(params.types.walkable.size, dtype=jnp.int8)
    of_type = state.grid[None] == types[:, None, None]
    side = state.grid.shape[0]
    rows, columns = jnp.arange(side)[:, None], jnp.arange(side)[None]
    row, column, height, width = (x[:, None, None] for x in params.predicates.region.T)
    region = (rows >= row) & (rows < row + height) & (columns >= column) & (columns < column + width)
    return jnp.concatenate([of_type, of_type, of_type, region & params.types.walkable[state.grid]])


def _allowed(inventory: jax.Array, params: GridParams) -> jax.Array:
    """Which deeds would have an effect, as far as rules and the inventory say, bool ``[3 T + P]``."""
    types, rules, predicates = params.types, params.rules, params.predicates
    number = jnp.arange(types.walkable.size, dtype=jnp.int32)
    named = lambda chosen, of: ((of[:, None] == number) & chosen[:, None]).any(0)
    enough = ((inventory >= rules.needs) & (inventory <= rules.limits)).all(1)
    interacts = named((rules.when == INTERACTION) & enough, rules.of) | types.consumable
    picks = types.pickable & (inventory < MOST_HELD)
    comes = (rules.when == STEP) | ((rules.when == ADJACENT) & (rules.by < 0)) | (rules.when == ON)
    seen = (predicates.kind == NEAR) | (predicates.kind == BESIDE)
    wanted = named(comes & enough, rules.of) | named(comes & enough, rules.by) | named(seen, predicates.of)
    walks = (types.pushable | types.walkable | wanted) & (types.hazard == 0) & (number > FLOOR)
    there = number >= len(BUILT_IN) - 1  # void is nowhere
    return jnp.concatenate([interacts & there, picks & there, walks, predicates.kind == AT])


def _distance(goals: jax.Array, open_cells: jax.Array) -> jax.Array:
    """Steps from each cell to the nearest goal over open cells, int32 ``[S, S]``; `_FAR` where there is no way."""

    def closer(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        far, _ = carry
        around = _least_around(far)
        return jnp.minimum(far, jnp.where(open_cells, around + 1, _FAR)), far

    first = jnp.where(goals, 0, _FAR).astype(jnp.int32)
    found, _ = jax.lax.while_loop(lambda c: (c[0] != c[1]).any(), closer, closer((first, first)))
    return found


def _least_around(far: jax.Array) -> jax.Array:
    least = jnp.full_like(far, _FAR)
    for direction in range(4):
        least = jnp.minimum(least, _FAR - neighbour(_FAR - far, direction))  # beyond the map is far
    return least


def _towards(
    state: GridState, goals: jax.Array, safe: jax.Array, deed: jax.Array, params: GridParams
) -> tuple[jax.Array, jax.Array]:
    """The action that does a deed or leads to it, and whether it is done by it."""
    types = params.types.walkable.size
    verb = jnp.minimum(deed // types, 2)
    rows = state.row + jnp.asarray(DIRECTIONS)[:, 0]
    columns = state.column + jnp.asarray(DIRECTIONS)[:, 1]
    at = lambda cells: jax.vmap(lambda r, c: value_at(cells, r, c))(rows, columns)
    there, walkable = at(goals.astype(jnp.int32)) > 0, params.types.walkable[at(state.grid)]
    faces = there[state.facing]
    acts = jnp.asarray([INTERACT, PICK_UP, 0])[verb]
    by_walking = verb == 2
    # Walking at what stops one turns to it; what lets one in can be faced from where one comes along a line alone.
    turns = there & (by_walking | ~walkable)
    turn = jnp.argmax(turns).astype(jnp.int32)
    far = _distance(goals, safe)
    # Of four ways the nearest, and not into a goal that wants to be faced.
    ways = jnp.where((at(safe.astype(jnp.int32)) > 0) & ~there, at(far), 2 * _FAR)
    walk = jnp.argmin(ways).astype(jnp.int32)
    now = faces & ~by_walking
    action = jnp.where(now, acts, 1 + jnp.where(turns.any(), turn, walk)).astype(jnp.int32)
    return action, now | (turns.any() & by_walking)


def play_scripted(made: Any, key: jax.Array, params: GridParams, steps: int) -> tuple[GridState, jax.Array]:
    """One episode: its last state, and the steps that it took; cut off after ``steps``, or where success holds.

    Args:
        made: the `Engine`.
        key: of start, dice and player.
        params: the spec.
        steps: at most.
    """
    key_reset, key_steps = jax.random.split(key)
    _, state = made.reset(key_reset, params)

    def once(carry: Any) -> Any:
        key, state, intent, _ = carry
        key, key_act, key_step = jax.random.split(key, 3)
        action, intent = scripted_action(key_act, state, intent, params)
        out = made.step(key_step, state, action, params)
        return key, out.state, intent, out.terminated | out.truncated | out.state.succeeded

    more = lambda carry: ~carry[3] & (carry[1].time < steps)
    begin = (key_steps, state, no_intent(params), jnp.zeros((), bool))
    _, state, _, _ = jax.lax.while_loop(more, once, begin)
    return state, state.time
