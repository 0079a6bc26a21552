"""Predicates and clauses: what holds of a state, all at once."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl_envs.fusion import computed_once
from jaxrl_envs.specs import bits
from jaxrl_envs.specs.arrays import GridParams, Predicates
from jaxrl_envs.specs.caps import VOID
from jaxrl_envs.specs.model import COMPARES, KINDS

COUNT, HOLDS, NEAR, BESIDE, AT, ACHIEVED, SURVIVED, HEALTH, WITH, WITHOUT, MEETS = range(len(KINDS))
AT_LEAST, AT_MOST, EQUAL = range(len(COMPARES))


class Told(NamedTuple):
    """What predicates read of a state; int32 but for the map and its ground, int8 ``[S, S]``."""

    grid: jax.Array
    ground: jax.Array
    row: jax.Array
    column: jax.Array
    inventory: jax.Array
    health: jax.Array
    time: jax.Array


class Facts(NamedTuple):
    """What holds.

    Attributes:
        now: of each predicate whether it holds, bool ``[P]``.
        ever: whether it has held in this episode.
        progress: from 0 to 1, how far the number is that it wants at least; else whether it holds. float32 ``[P]``.
    """

    now: jax.Array
    ever: jax.Array
    progress: jax.Array


def facts(told: Told, before: jax.Array, predicates: Predicates) -> Facts:
    """What holds of a state.

    Args:
        told: of the state.
        before: what has held before it, bool ``[P]``.
        predicates: the table.
    """
    kind, side = predicates.kind, told.grid.shape[0]
    cells, below = computed_once((bits.digits(told.grid), bits.digits(told.ground)))
    same = bits.cells_of(cells, predicates.of)
    number = _number(told, same, cells, below, predicates)
    compared = jnp.where(
        predicates.compare == AT_LEAST,
        number >= predicates.number,
        jnp.where(predicates.compare == AT_MOST, number <= predicates.number, number == predicates.number),
    )
    near = bits.anywhere(same & bits.within(side, told.row, told.column, predicates.number))
    meets = bits.anywhere(same & bits.beside_types(cells, predicates.by))
    row, column, height, width = predicates.region.T
    at = (
        (told.row >= row)
        & (told.row < row + height)
        & (told.column >= column)
        & (told.column < column + width)
    )
    base = jnp.where(kind == NEAR, near, jnp.where(kind == BESIDE, meets, compared))
    base = jnp.where(kind == AT, at, base) & (kind >= 0) & (kind != ACHIEVED)
    achieved = (kind == ACHIEVED) & (before | base)[jnp.maximum(predicates.of, 0)]
    now = base | achieved
    gradual = (number.astype(jnp.float32) / jnp.maximum(predicates.number, 1).astype(jnp.float32)).clip(
        0.0, 1.0
    )
    numeric = (
        (kind == COUNT)
        | (kind == WITH)
        | (kind == WITHOUT)
        | (kind == HOLDS)
        | (kind == SURVIVED)
        | (kind == HEALTH)
    )
    progress = jnp.where(numeric & (predicates.compare == AT_LEAST), gradual, now.astype(jnp.float32))
    return Facts(now, before | now, progress)


def _number(
    told: Told, same: jax.Array, cells: jax.Array, below: jax.Array, predicates: Predicates
) -> jax.Array:
    """What a predicate compares, int32 ``[P]``; the sets are those of its type, and of the map and its ground by digits."""
    kind, side = predicates.kind, told.grid.shape[0]
    only = lambda flags, cells: jnp.where(flags[:, None], cells, jnp.uint32(0))
    agent = bits.cell(side, told.row, told.column)
    by = predicates.by
    other = bits.cells_of(cells, by) | bits.cells_of(below, by) | only(by < 0, agent)
    other ^= only(kind != WITH, bits.full(side))
    # Void is no cell: what lies beyond the map holds nothing.
    ground = ~bits.cells_of(below, jnp.int32(VOID))
    shared = (same | bits.cells_of(below, predicates.of)) & other & ground
    both = (kind == WITH) | (kind == WITHOUT)
    counted = bits.number(jnp.where(both[:, None], shared, same))
    held = told.inventory[jnp.maximum(predicates.of, 0)]
    told_of = jnp.where(kind == SURVIVED, told.time, told.health)
    return jnp.where((kind == COUNT) | both, counted, jnp.where(kind == HOLDS, held, told_of))


def holds(clauses: jax.Array, now: jax.Array) -> jax.Array:
    """Whether one of the clauses does, bool scalar.

    Args:
        clauses: int8 ``[K, P]``.
        now: bool ``[P]``.
    """
    kept = ((clauses != 1) | now) & ((clauses != -1) | ~now)
    return (kept.all(1) & (clauses != 0).any(1)).any()


def ends(now: jax.Array, health: jax.Array, params: GridParams) -> tuple[jax.Array, jax.Array]:
    """Whether success holds, and whether the episode is lost, bool scalars; never both."""
    lost = holds(params.failure, now) | (health <= 0)
    return holds(params.success, now) & ~lost, lost
