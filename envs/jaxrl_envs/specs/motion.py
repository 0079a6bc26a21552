"""What moves by itself: each tries one step onto ground, and where two want one cell, the one from above, the right, below, the left has it."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxrl_envs.specs.arrays import Types
from jaxrl_envs.specs.cells import DOWN, LEFT, RIGHT, UP, cell_at, neighbour, rows_and_columns
from jaxrl_envs.specs.hashing import fraction, numbered
from jaxrl_envs.specs.model import MOTIONS

STILL, RANDOM, CHASE, FLEE = range(len(MOTIONS))
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
    bits = numbered(seed, jnp.arange(side * side, dtype=jnp.int32)).reshape(side, side)
    kinds = types.motion[grid]
    heads = _heads(bits, kinds, row, column)
    tries = (kinds != STILL) & (fraction(bits) < types.speed[grid])
    free = types.ground[grid] & ~cell_at(side, row, column)
    taken = jnp.zeros_like(free)
    left = jnp.zeros_like(free)
    after, after_hits = grid, hits
    # Of what enters a cell from above (moving down), the right, below and the left, the first is let in.
    for heading in (DOWN, LEFT, UP, RIGHT):
        wants = tries & (heads == heading) & neighbour(free, heading)
        enters = neighbour(wants, _BACK[heading]) & ~taken
        taken |= enters
        left |= wants & neighbour(enters, heading)
        after = jnp.where(enters, neighbour(grid, _BACK[heading]), after)
        after_hits = jnp.where(enters, neighbour(hits, _BACK[heading]), after_hits)
    return jnp.where(left, ground, after), jnp.where(left, jnp.int8(1), after_hits)


def _heads(bits: jax.Array, kinds: jax.Array, row: jax.Array, column: jax.Array) -> jax.Array:
    """The direction that whatever is in a cell would take, int32 ``[S, S]``."""
    rows, columns = rows_and_columns(bits.shape[0])
    down, right = row - rows, column - columns  # from the cell to the agent
    vertical, horizontal = jnp.where(down > 0, DOWN, UP), jnp.where(right > 0, RIGHT, LEFT)
    towards = jnp.where(jnp.abs(down) >= jnp.abs(right), vertical, horizontal)
    wild = (bits & jnp.uint32(3)).astype(jnp.int32)
    return jnp.where(kinds == CHASE, towards, jnp.where(kinds == FLEE, (towards + 2) % 4, wild))
