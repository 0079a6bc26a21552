"""What moves by itself: each tries one step onto ground, and where two want one cell, the one from above, the right, below, the left has it."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxrl_envs.fusion import computed_once
from jaxrl_envs.specs import bits
from jaxrl_envs.specs.arrays import Types
from jaxrl_envs.specs.cells import DOWN, LEFT, RIGHT, UP, neighbour, rows_and_columns
from jaxrl_envs.specs.hashing import fraction, numbered
from jaxrl_envs.specs.model import MOTIONS

STILL, RANDOM, CHASE, FLEE = range(len(MOTIONS))
_NOWHERE = 4
_BACK = {UP: DOWN, RIGHT: LEFT, DOWN: UP, LEFT: RIGHT}


def move(
    seed: jax.Array,
    grid: jax.Array,
    ground: jax.Array,
    hits: jax.Array,
    row: jax.Array,
    column: jax.Array,
    types: Types,
) -> tuple[jax.Array, jax.Array]:
    """``(grid, hits)`` after everything has moved, int8 ``[S, S]``.

    Args:
        seed: uint32.
        grid: before.
        ground: what lies below.
        hits: before.
        row: of the agent, whose cell nothing enters.
        column: of the agent.
        types: of cells.
    """
    side = grid.shape[0]
    draws = numbered(seed, jnp.arange(side * side, dtype=jnp.int32)).reshape(side, side)
    kinds = types.motion[grid]
    tries = (kinds != STILL) & (fraction(draws) < types.speed[grid])
    heads = jnp.where(tries, _heads(draws, kinds, row, column), _NOWHERE).astype(jnp.int8)
    directions = jnp.arange(_NOWHERE, dtype=jnp.int8)[:, None, None]
    heading, ground_cells = computed_once(
        (bits.packed(heads[None] == directions), bits.packed(types.ground[grid]))
    )
    free = ground_cells & ~bits.cell(side, row, column)
    taken, left = jnp.zeros_like(free), jnp.zeros_like(free)
    after, after_hits = grid, hits
    # Of what enters a cell from above (moving down), the right, below and the left, the first is let in.
    for direction in (DOWN, LEFT, UP, RIGHT):
        wants = heading[direction] & bits.shifted(free)[direction]
        enters = bits.shifted(wants)[_BACK[direction]] & ~taken
        taken |= enters
        left |= wants & bits.shifted(enters)[direction]
        came = bits.flags_of(computed_once(enters))
        after = jnp.where(came, neighbour(grid, _BACK[direction]), after)
        after_hits = jnp.where(came, neighbour(hits, _BACK[direction]), after_hits)
    gone = bits.flags_of(computed_once(left))
    return jnp.where(gone, ground, after), jnp.where(gone, types.health[ground].astype(jnp.int8), after_hits)


def _heads(draws: jax.Array, kinds: jax.Array, row: jax.Array, column: jax.Array) -> jax.Array:
    """The direction that whatever is in a cell would take, int32 ``[S, S]``."""
    rows, columns = rows_and_columns(draws.shape[0])
    down, right = row - rows, column - columns  # from the cell to the agent
    vertical, horizontal = jnp.where(down > 0, DOWN, UP), jnp.where(right > 0, RIGHT, LEFT)
    towards = jnp.where(jnp.abs(down) >= jnp.abs(right), vertical, horizontal)
    wild = (draws & jnp.uint32(3)).astype(jnp.int32)
    return jnp.where(kinds == CHASE, towards, jnp.where(kinds == FLEE, (towards + 2) % 4, wild))
