"""Predicates and clauses: what holds of a state, all at once."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl_envs.specs.arrays import GridParams, Predicates
from jaxrl_envs.specs.caps import VOID
from jaxrl_envs.specs.cells import cell_at, neighbour, rows_and_columns
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
    kind, wide = predicates.kind, lambda x: x[:, None, None]
    same = told.grid[None] == wide(predicates.of.astype(jnp.int8))
    number = _number(told, same, predicates)
    compared = jnp.where(
        predicates.compare == AT_LEAST,
        number >= predicates.number,
        jnp.where(predicates.compare == AT_MOST, number <= predicates.number, number == predicates.number),
    )
    rows, columns = rows_and_columns(told.grid.shape[0])
    steps = jnp.abs(rows - told.row) + jnp.abs(columns - told.column)
    near = (same & (steps <= wide(predicates.number))).any((1, 2))
    row, column, height, width = predicates.region.T
    at = (
        (told.row >= row)
        & (told.row < row + height)
        & (told.column >= column)
        & (told.column < column + width)
    )
    base = jnp.where(kind == NEAR, near, jnp.where(kind == BESIDE, _beside(told, same, predicates), compared))
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


def _number(told: Told, same: jax.Array, predicates: Predicates) -> jax.Array:
    """What a predicate compares, int32 ``[P]``."""
    kind = predicates.kind
    wide = lambda x: x[:, None, None]
    by = wide(predicates.by.astype(jnp.int8))
    below = lambda types: told.ground[None] == types
    agent = cell_at(told.grid.shape[0], told.row, told.column)
    other = (told.grid[None] == by) | below(by) | (agent & (by < 0))
    shared = (same | below(wide(predicates.of.astype(jnp.int8)))) & (other == wide(kind == WITH))
    # Void is no cell: what lies beyond the map holds nothing.
    cells = jnp.where(wide((kind == WITH) | (kind == WITHOUT)), shared & (told.ground != VOID), same)
    counted = jnp.sum(cells, axis=(1, 2), dtype=jnp.int32)
    held = told.inventory[jnp.maximum(predicates.of, 0)]
    told_of = jnp.where(kind == SURVIVED, told.time, told.health)
    return jnp.where(
        (kind == COUNT) | (kind == WITH) | (kind == WITHOUT),
        counted,
        jnp.where(kind == HOLDS, held, told_of),
    )


def _beside(told: Told, same: jax.Array, predicates: Predicates) -> jax.Array:
    by = predicates.by.astype(jnp.int8)[:, None, None]
    next_to = jnp.zeros((), bool)
    for direction in range(4):
        next_to |= neighbour(told.grid, direction)[None] == by
    return (same & next_to).any((1, 2))


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
