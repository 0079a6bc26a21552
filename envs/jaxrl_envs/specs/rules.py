"""All rules of a spec at once: what each is about is a set of cells, ``[R, S]`` (`bits`).

Where several rules want one cell, the first in the canonical order has it; what they change of the inventory adds up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl_envs.fusion import computed_once
from jaxrl_envs.specs import bits
from jaxrl_envs.specs.arrays import GridParams, Rules
from jaxrl_envs.specs.caps import FLOOR, MOST_HELD, VOID
from jaxrl_envs.specs.cells import window
from jaxrl_envs.specs.hashing import fraction, numbered
from jaxrl_envs.specs.model import WHENS

STEP, INTERACT, PICK_UP, ADJACENT, HELD, TIMER, ON, MEETS = range(len(WHENS))
_WHOLE = 32  # more than there are types: added to one where a cell changes with its ground
Wish = tuple[jax.Array, jax.Array]


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
    rules, side = params.rules, did.grid.shape[0]
    agent, ahead = bits.cell(side, did.row, did.column), computed_once(bits.packed(did.ahead))
    cells, below = computed_once((bits.digits(did.grid), bits.digits(did.ground)))
    about, tick = _about(rules, did, agent, ahead, cells, below)
    about = computed_once(about)  # four stages read it
    fires = _fires(seeds[0], rules, did, about, tick)
    gone = did.ahead & (did.picks | did.consumed)
    kind = params.types.ground
    ground = jnp.where(gone & kind[did.grid], jnp.int8(FLOOR), did.ground)
    grid = jnp.where(gone, ground, did.grid)
    became = _became(rules, fires, about, jnp.full(grid.shape, -1, jnp.int8))
    grid, ground = computed_once(_replaced(became, grid, ground, kind))
    spawned = _spawned(seeds[1], rules, fires, about, grid, agent)
    grid = jnp.where(spawned >= 0, spawned, grid)
    ground = jnp.where((spawned >= 0) & kind[jnp.maximum(spawned, 0)], spawned, ground)
    fresh = gone | (became >= 0) | (spawned >= 0)
    hits = jnp.where(fresh, params.types.health[grid].astype(jnp.int8), did.hits)
    changed = jnp.sum(jnp.where(fires[:, None], rules.changes, 0), axis=0, dtype=jnp.int32)
    health = did.health + jnp.sum(jnp.where(fires, rules.health, 0), dtype=jnp.int32)
    return grid, ground, hits, did.inventory + did.gained + changed, health


def _replaced(
    became: jax.Array, grid: jax.Array, below: jax.Array, kind: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Map and ground after cells became what `_became` says: a thing lies on what was below, what is removed shows it."""
    new, whole = became % _WHOLE, became >= _WHOLE
    reveals = (new == FLOOR) & ~kind[grid] & ~whole
    after = jnp.where(kind[new], new, jnp.where(whole, jnp.int8(FLOOR), below))
    changed = became >= 0
    return jnp.where(changed, jnp.where(reveals, below, new), grid), jnp.where(
        changed & ~reveals, after, below
    )


def _about(
    rules: Rules, did: Happened, agent: jax.Array, ahead: jax.Array, cells: jax.Array, below: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Cells that it happened to, a set ``[R, S]``, and which timers are due, bool ``[R]``."""
    only = lambda flags, cells: jnp.where(flags[:, None], cells, jnp.uint32(0))
    tick = (rules.when == TIMER) & (did.time % rules.every == 0)
    acts = ((rules.when == INTERACT) & did.works) | ((rules.when == PICK_UP) & did.picks)
    where = (
        only((rules.when == STEP) & did.entered, agent)
        | only(acts, ahead)
        | only((rules.when == ADJACENT) & (rules.by < 0), bits.beside(agent))
        | only((rules.when == ADJACENT) & (rules.by >= 0), bits.beside_types(cells, rules.by))
        | only(tick, bits.full(did.grid.shape[0]))
        | only(rules.when == ON, bits.cells_of(below, rules.by))
    )
    of = bits.cells_of(cells, rules.of) | only((rules.when == ON) & (rules.of < 0), agent)
    return where & of, tick


def _fires(seed: jax.Array, rules: Rules, did: Happened, about: jax.Array, tick: jax.Array) -> jax.Array:
    """Which rules come to pass, bool ``[R]``."""
    owned = did.inventory[jnp.maximum(rules.of, 0)] > 0
    happens = jnp.where(
        rules.when == HELD,
        owned,
        jnp.where((rules.when == TIMER) & (rules.of < 0), tick, bits.anywhere(about)),
    )
    enough = ((did.inventory >= rules.needs) & (did.inventory <= rules.limits)).all(1)
    around = window(did.grid, did.row, did.column, 3).reshape(-1)
    near = (rules.near < 0) | (around == rules.near[:, None]).any(1)
    lucky = fraction(numbered(seed, jnp.arange(rules.when.size, dtype=jnp.int32))) < rules.chance
    return happens & enough & near & lucky


def _in_order(chosen: jax.Array, found: jax.Array, wanted: Callable[[jax.Array], Wish]) -> jax.Array:
    """For every cell what the first rule that is chosen and wants it makes of it, int8 ``[S, S]``.

    Rules come one after the other, those that are not chosen not at all: few are in one step.

    Args:
        chosen: bool ``[R]``.
        found: what to begin with, -1 in each cell.
        wanted: of a rule's number, int32, its cells, bool ``[S, S]``, and what it makes of them, int32.
    """

    def once(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        left, found = carry
        rule = jnp.argmax(left).astype(jnp.int32)
        cells, made = wanted(rule)
        return left & (jnp.arange(left.size) != rule), jnp.where(
            cells & (found < 0), made.astype(jnp.int8), found
        )

    return jax.lax.while_loop(lambda carry: carry[0].any(), once, (chosen, found))[1]


def _became(rules: Rules, fires: jax.Array, about: jax.Array, nothing: jax.Array) -> jax.Array:
    """What cells become, int8 ``[S, S]``: a type, with `_WHOLE` added where the cell changes with its ground; -1 where nothing."""
    made = jnp.where(rules.when == ON, rules.becomes + _WHOLE, rules.becomes)
    return _in_order(
        fires & (rules.becomes >= 0), nothing, lambda rule: (bits.flags_of(about[rule]), made[rule])
    )


def _spawned(
    seed: jax.Array, rules: Rules, fires: jax.Array, about: jax.Array, grid: jax.Array, agent: jax.Array
) -> jax.Array:
    """What comes to be, int8 ``[S, S]``, -1 where nothing: each rule draws one cell of floor."""
    side = grid.shape[0]
    cells = computed_once(bits.digits(grid))
    spawns = fires & (rules.spawns > VOID) & (bits.number(bits.cells_of(cells, rules.spawns)) < rules.most)
    floor = bits.cells_of(cells, jnp.int32(FLOOR)) & ~agent
    place = jnp.arange(side * side, dtype=jnp.int32)
    orders = computed_once(numbered(seed, place))
    low = jnp.uint32(0x3FF)  # the lower bits are the cell's number, so that no two are equal

    def wanted(rule: jax.Array) -> Wish:
        of_agent = (rules.when[rule] == HELD) | (rules.of[rule] < 0)
        around = about[rule] | jnp.where(of_agent, agent, jnp.uint32(0))
        places = jnp.where(rules.anywhere[rule] > 0, bits.full(side), bits.beside(around)) & floor
        order = ((orders ^ numbered(~seed, rule)) & ~low) | place.astype(jnp.uint32)
        order = jnp.where(bits.flags_of(places).reshape(-1), order, jnp.uint32(0xFFFFFFFF))
        first = jnp.min(order)
        drawn = (place == (first & low).astype(jnp.int32)) & (first != jnp.uint32(0xFFFFFFFF))
        return drawn.reshape(side, side), rules.spawns[rule]

    return _in_order(spawns, jnp.full(grid.shape, -1, jnp.int8), wanted)


def bounded(held: jax.Array) -> jax.Array:
    """An inventory within what can be held."""
    return jnp.clip(held, 0, MOST_HELD)
