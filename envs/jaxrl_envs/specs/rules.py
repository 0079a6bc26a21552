"""All rules of a spec at once: comparisons of the whole map, masked by what each rule is about, ``[R, S, S]``.

Where several rules want one cell, the first in the canonical order has it; what they change of the inventory adds up.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl_envs.fusion import computed_once
from jaxrl_envs.specs.arrays import GridParams, Rules
from jaxrl_envs.specs.caps import FLOOR, MOST_HELD, VOID
from jaxrl_envs.specs.cells import beside, cell_at, neighbour, window
from jaxrl_envs.specs.hashing import fraction, numbered
from jaxrl_envs.specs.model import WHENS

STEP, INTERACT, PICK_UP, ADJACENT, HELD, TIMER, ON, MEETS = range(len(WHENS))
_WHOLE = 32  # more than there are types: added to one where a cell changes with its ground
_RANK = 64  # so that a rule's rank, that and a type fit one number


class Happened(NamedTuple):
    """What a step did before the rules, and what they read.

    Attributes:
        grid, ground, hits: the map, what lies below, and what each cell stands yet, int8 ``[S, S]``, after the agent has moved.
        row, column: of the agent, int32.
        ahead: the cell that it faces, bool ``[S, S]``.
        entered, works, picks, consumed: flags: it entered a cell, its interaction has an effect, it picked up, it consumed.
        inventory: int32 ``[T]``, before the step; ``gained``, likewise, what was picked up in it.
        health: int32, with what was won by consuming.
        time: int32, steps with this one.
    """

    grid: jax.Array
    ground: jax.Array
    hits: jax.Array
    row: jax.Array
    column: jax.Array
    ahead: jax.Array
    entered: jax.Array
    works: jax.Array
    picks: jax.Array
    consumed: jax.Array
    inventory: jax.Array
    gained: jax.Array
    health: jax.Array
    time: jax.Array


def apply_rules(
    seeds: jax.Array, did: Happened, params: GridParams
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array, jax.Array]:
    """``(grid, ground, hits, inventory, health)`` after all rules; the last two are not yet bounded.

    Args:
        seeds: uint32 ``[2]``, for chances and for places.
        did: what the agent did, and what rules read.
        params: the spec.
    """
    rules = params.rules
    agent = cell_at(did.grid.shape[0], did.row, did.column)
    about, tick = _about(rules, did, agent)
    about = (
        computed_once(about.astype(jnp.int8)) != 0
    )  # it is read by four stages, and has a dozen operations a cell
    fires = _fires(seeds[0], rules, did, about, tick)
    gone = did.ahead & (did.picks | did.consumed)
    kind = params.types.ground
    below = jnp.where(gone & kind[did.grid], jnp.int8(FLOOR), did.ground)
    grid = jnp.where(gone, below, did.grid)
    wanted = jnp.where(rules.when == ON, rules.becomes + _WHOLE, rules.becomes)
    became = computed_once(_ranked(wanted, fires & (rules.becomes >= 0), about))
    grid, below = computed_once(_replaced(became, grid, below, kind))
    spawned = computed_once(_spawned(seeds[1], rules, fires, about, grid, agent))
    grid = jnp.where(spawned > 0, (spawned % _RANK).astype(jnp.int8), grid)
    fresh = gone | (became > 0) | (spawned > 0)
    hits = jnp.where(fresh, params.types.health[grid].astype(jnp.int8), did.hits)
    changed = jnp.sum(jnp.where(fires[:, None], rules.changes, 0), axis=0, dtype=jnp.int32)
    health = did.health + jnp.sum(jnp.where(fires, rules.health, 0), dtype=jnp.int32)
    return grid, below, hits, did.inventory + did.gained + changed, health


def _replaced(
    became: jax.Array, grid: jax.Array, below: jax.Array, kind: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Map and ground after cells became what `_ranked` says: a thing lies on what was below, what is removed shows it."""
    new, whole = (became % _WHOLE).astype(jnp.int8), became % _RANK >= _WHOLE
    reveals = (new == FLOOR) & ~kind[grid] & ~whole
    after = jnp.where(kind[new], new, jnp.where(whole, jnp.int8(FLOOR), below))
    changed = became > 0
    return jnp.where(changed, jnp.where(reveals, below, new), grid), jnp.where(
        changed & ~reveals, after, below
    )


def _about(rules: Rules, did: Happened, agent: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Cells that it happened to, bool ``[R, S, S]``, and which timers are due, bool ``[R]``."""
    wide = lambda x: x[:, None, None]
    tick = (rules.when == TIMER) & (did.time % rules.every == 0)
    with_agent = (rules.when == ADJACENT) & (rules.by < 0)
    ahead = ((rules.when == INTERACT) & did.works) | ((rules.when == PICK_UP) & did.picks)
    by = wide(rules.by.astype(jnp.int8))
    next_to = jnp.zeros((), bool)
    for direction in range(4):
        next_to |= neighbour(did.grid, direction)[None] == by
    where = (
        (wide((rules.when == STEP) & did.entered) & agent)
        | (wide(ahead) & did.ahead)
        | (wide(with_agent) & beside(agent))
        | (wide((rules.when == ADJACENT) & (rules.by >= 0)) & next_to)
        | wide(tick)
        | (wide(rules.when == ON) & (did.ground[None] == by))
    )
    of = (did.grid[None] == wide(rules.of.astype(jnp.int8))) | (
        wide((rules.when == ON) & (rules.of < 0)) & agent
    )
    return where & of, tick


def _fires(seed: jax.Array, rules: Rules, did: Happened, about: jax.Array, tick: jax.Array) -> jax.Array:
    """Which rules come to pass, bool ``[R]``."""
    owned = did.inventory[jnp.maximum(rules.of, 0)] > 0
    happens = jnp.where(
        rules.when == HELD, owned, jnp.where((rules.when == TIMER) & (rules.of < 0), tick, about.any((1, 2)))
    )
    enough = ((did.inventory >= rules.needs) & (did.inventory <= rules.limits)).all(1)
    around = window(did.grid, did.row, did.column, 3).reshape(-1)
    near = (rules.near < 0) | (around == rules.near[:, None]).any(1)
    lucky = fraction(numbered(seed, jnp.arange(rules.when.size, dtype=jnp.int32))) < rules.chance
    return happens & enough & near & lucky


def _ranked(types: jax.Array, chosen: jax.Array, cells: jax.Array) -> jax.Array:
    """For every cell the type of the first rule that is chosen and wants it, plus `_RANK` times its rank; 0 where none does. int16 ``[S, S]``."""
    count = types.size
    code = (count - jnp.arange(count, dtype=jnp.int32)) * _RANK + types
    code = jnp.where(chosen, code, 0).astype(jnp.int16)
    return jnp.max(jnp.where(cells, code[:, None, None], jnp.int16(0)), axis=0)


def _spawned(
    seed: jax.Array, rules: Rules, fires: jax.Array, about: jax.Array, grid: jax.Array, agent: jax.Array
) -> jax.Array:
    """As `_ranked`, for what comes to be: each rule draws one cell of floor."""
    wide = lambda x: x[:, None, None]
    side, count = grid.shape[0], rules.when.size
    there = jnp.sum(grid[None] == wide(rules.spawns.astype(jnp.int8)), axis=(1, 2), dtype=jnp.int32)
    spawns = fires & (rules.spawns > VOID) & (there < rules.most)
    of_agent = wide((rules.when == HELD) | (rules.of < 0)) & beside(agent)
    places = (wide(rules.anywhere > 0) | beside(about) | of_agent) & ((grid == FLOOR) & ~agent)
    cells = jnp.arange(side * side, dtype=jnp.int32)
    low = jnp.uint32(0x3FF)  # the lower bits are the cell's number, so that no two are equal
    order = numbered(seed, cells)[None] ^ numbered(~seed, jnp.arange(count, dtype=jnp.int32))[:, None]
    order = (order & ~low) | cells.astype(jnp.uint32)
    first = jnp.min(jnp.where(places.reshape(count, -1), order, jnp.uint32(0xFFFFFFFF)), axis=1)
    chosen = jnp.where(first == jnp.uint32(0xFFFFFFFF), -1, (first & low).astype(jnp.int32))
    return _ranked(rules.spawns, spawns, (cells == chosen[:, None]).reshape(about.shape))


def bounded(held: jax.Array) -> jax.Array:
    """An inventory within what can be held."""
    return jnp.clip(held, 0, MOST_HELD)
