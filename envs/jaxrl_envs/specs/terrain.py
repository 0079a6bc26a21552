"""The terrain of a spec, made at a reset: its instructions are rows of a table, worked off one after the other as masked arithmetic.

Each instruction computes the cells of all ten operations and takes those of its own: no branch, so that thousands of specs
with different programmes are one program.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl_envs.fusion import computed_once
from jaxrl_envs.specs.arrays import COLUMNS, GridParams
from jaxrl_envs.specs.caps import FLOOR, VOID
from jaxrl_envs.specs.cells import cell_at, rows_and_columns
from jaxrl_envs.specs.hashing import fraction, numbered
from jaxrl_envs.specs.instructions import OPERATIONS

FILL, BORDER, RECTANGLE, LINE, ROOMS, NOISE, SCATTER, BAND, PATH, CELLS = range(len(OPERATIONS))


class Ground(NamedTuple):
    """What a programme works on.

    Attributes:
        inside: cells of the map, bool ``[S, S]``.
        row, column: where the agent starts, int32.
        place: of every cell its place in a random order of all, int32 ``[S, S]``.
        order: cells in that order, int32 ``[S * S]``.
    """

    inside: jax.Array
    row: jax.Array
    column: jax.Array
    place: jax.Array
    order: jax.Array


def make_terrain(
    key: jax.Array, params: GridParams, side: int
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """The map at a reset and what lies below, int8 ``[S, S]``, and row and column of the agent, int32, whose cell is never blocked."""
    table = params.terrain
    count = table.op.shape[0]
    cells = side * side
    bits = jax.random.bits(key, (cells + count * (COLUMNS + 2) + 1,), jnp.uint32)
    of_cells, of_numbers, of_rows, last = jnp.split(
        bits, [cells, cells + count * COLUMNS, cells + count * (COLUMNS + 2)]
    )
    ground = _ground(of_cells, last[0], params, side)
    numbers = drawn_numbers(params, of_numbers.reshape(count, COLUMNS))
    start = cell_at(side, ground.row, ground.column)

    def once(i: jax.Array, maps: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        (grid, below), (op, kind, on, to, hollow, cells, number, seeds) = maps, [leaf[i] for leaf in rows]
        replaced = ground.inside & ((on < 0) | (grid == on))
        replaced &= ~start | params.types.walkable[kind]
        turned = _turned(ground, seeds[0])
        drawn = _drawn(op, number, replaced & ~start, ground, turned)
        carved = _path(grid, to, ground, turned) & ~params.types.walkable[grid]
        shaped = _shape(op, number, hollow, seeds[1], params.size, grid.shape[0])
        shaped |= (op == CELLS) & ((cells[:, None] >> jnp.arange(side, dtype=jnp.int32)) & 1 != 0)
        chosen = jnp.where(op == PATH, carved, shaped | drawn) & (op >= 0) & replaced
        after = jnp.where(chosen, kind.astype(jnp.int8), grid)
        return after, jnp.where(chosen & params.types.ground[kind], after, below)

    floor = jnp.where(ground.inside, FLOOR, VOID).astype(jnp.int8)
    rows = (
        table.op,
        table.type,
        table.on,
        table.to,
        table.hollow,
        table.cells,
        numbers,
        of_rows.reshape(count, 2),
    )
    # As far as the last instruction that there is: few specs have as many as there may be.
    length = jnp.max(jnp.where(table.op >= 0, jnp.arange(1, count + 1, dtype=jnp.int32), 0))
    grid, below = jax.lax.fori_loop(0, length, once, (floor, floor))
    return grid, below, ground.row, ground.column


def drawn_numbers(params: GridParams, bits: jax.Array) -> jax.Array:
    """The numbers of all instructions, float32 ``[I, 4]``: uniform from the low end to the share ``difficulty`` of the way up."""
    low, high = params.terrain.low, params.terrain.high
    unit = fraction(bits)
    reach = params.difficulty * (high - low)
    whole = low + jnp.floor(unit * (jnp.floor(reach) + 1.0))
    smooth = (params.terrain.op == NOISE)[:, None] & (jnp.arange(COLUMNS) == 0)
    return jnp.where(smooth, low + unit * reach, whole)


def _ground(bits: jax.Array, last: jax.Array, params: GridParams, side: int) -> Ground:
    rows, columns = rows_and_columns(side)
    inside = (rows < params.size[0]) & (columns < params.size[1])
    order = jnp.argsort(bits).astype(jnp.int32)
    place = jnp.zeros_like(order).at[order].set(jnp.arange(order.size, dtype=jnp.int32))
    row, column, height, width = params.start.region
    region = inside & (rows >= row) & (rows < row + height) & (columns >= column) & (columns < column + width)
    # Another order than the instructions', or what they strew would avoid the agent's surroundings.
    mine = numbered(last, jnp.arange(order.size, dtype=jnp.int32)) >> jnp.uint32(1)
    cell = jnp.argmin(jnp.where(region.reshape(-1), mine, jnp.uint32(0xFFFFFFFF))).astype(jnp.int32)
    return Ground(inside, cell // side, cell % side, place.reshape(side, side), order)


def _turned(ground: Ground, seed: jax.Array) -> jax.Array:
    """How far the random order is turned for one instruction, int32."""
    return (seed % jnp.uint32(ground.order.size)).astype(jnp.int32)


def _drawn(
    op: jax.Array, number: jax.Array, allowed: jax.Array, ground: Ground, turned: jax.Array
) -> jax.Array:
    """Cells of ``scatter`` and ``band``: the first so many that are allowed, in the turned order."""
    rows, columns = rows_and_columns(allowed.shape[0])
    steps = (jnp.abs(rows - ground.row) + jnp.abs(columns - ground.column)).astype(jnp.float32)
    allowed &= (op == SCATTER) | ((op == BAND) & (steps >= number[1]) & (steps <= number[2]))
    cells = ground.order.size
    in_order = allowed.reshape(-1)[ground.order[(jnp.arange(cells, dtype=jnp.int32) + turned) % cells]]
    counted = _counted(in_order, allowed.shape[0])
    place = (ground.place - turned) % cells
    return allowed & (counted[place] <= number[0].astype(jnp.int32))


def _counted(flags: jax.Array, side: int) -> jax.Array:
    """How many flags are set up to each, int32 ``[side * side]``: in rows, then of rows, since a running sum costs its length squared."""
    rows = jnp.cumsum(flags.reshape(side, side), axis=1, dtype=jnp.int32)
    before = jnp.cumsum(rows[:, -1], dtype=jnp.int32) - rows[:, -1]
    return (rows + before[:, None]).reshape(-1)


def _path(grid: jax.Array, to: jax.Array, ground: Ground, turned: jax.Array) -> jax.Array:
    """Cells from the agent along its row, then along the column of a random cell of a type; without that cell."""
    rows, columns = rows_and_columns(grid.shape[0])
    cells = ground.order.size
    place = jnp.where(grid == to, (ground.place - turned) % cells, cells)
    target = (place == place.min()) & (place < cells)
    row = jnp.sum(jnp.where(target, rows, 0))
    column = jnp.sum(jnp.where(target, columns, 0))
    between = lambda x, a, b: (x >= jnp.minimum(a, b)) & (x <= jnp.maximum(a, b))
    along = (rows == ground.row) & between(columns, ground.column, column)
    down = (columns == column) & between(rows, ground.row, row)
    return (along | down) & ~target & target.any()


def _shape(
    op: jax.Array, number: jax.Array, hollow: jax.Array, seed: jax.Array, size: jax.Array, side: int
) -> jax.Array:
    """Cells of the operations that need no map, bool ``[S, S]``."""
    rows, columns = rows_and_columns(side)
    a, b, c, d = number.astype(jnp.int32)
    edge = jnp.minimum(jnp.minimum(rows, size[0] - 1 - rows), jnp.minimum(columns, size[1] - 1 - columns))
    within = lambda margin: (
        (rows >= a + margin) & (rows < a + c - margin) & (columns >= b + margin) & (columns < b + d - margin)
    )
    rectangle = within(0) & ~(hollow & within(1))
    return (
        (op == FILL)
        | ((op == BORDER) & (edge < a))
        | ((op == RECTANGLE) & rectangle)
        | ((op == LINE) & _line(rows, columns, a, b, c, d))
        | ((op == ROOMS) & _rooms(rows, columns, a, b, seed, size))
        | ((op == NOISE) & (_smooth(side, seed, number[1]) > number[0]))
    )


def _line(
    rows: jax.Array, columns: jax.Array, a: jax.Array, b: jax.Array, c: jax.Array, d: jax.Array
) -> jax.Array:
    """Cells that a line from (a, b) to (c, d) passes: one in each row, or in each column where it is flatter."""

    def passed(
        along: jax.Array, across: jax.Array, a: jax.Array, b: jax.Array, c: jax.Array, d: jax.Array
    ) -> jax.Array:
        length = jnp.maximum(jnp.abs(c - a), 1)
        rise = (along - a) * (d - b) * jnp.sign(c - a)
        middle = b + (2 * rise + length) // (2 * length)
        return (across == middle) & (along >= jnp.minimum(a, c)) & (along <= jnp.maximum(a, c))

    steep = jnp.abs(c - a) >= jnp.abs(d - b)
    return jnp.where(steep, passed(rows, columns, a, b, c, d), passed(columns, rows, b, a, d, c))


def _rooms(
    rows: jax.Array, columns: jax.Array, down: jax.Array, across: jax.Array, seed: jax.Array, size: jax.Array
) -> jax.Array:
    """Walls between ``down`` times ``across`` rooms, without their doors, which lie neither at a crossing nor at the edge."""

    def along(cells: jax.Array, rooms: jax.Array, length: jax.Array) -> tuple[jax.Array, ...]:
        """Of each row or column: its room, whether a wall begins it, the first cell for a door, and how many there are."""
        room = cells * rooms // length
        wall = (cells > 0) & (room != (cells - 1) * rooms // length)
        first = -(-room * length // rooms) + 1
        end = -(-(room + 1) * length // rooms) - (room == rooms - 1)
        return computed_once(
            (room, wall.astype(jnp.int32), first, jnp.maximum(end - first, 1))
        )  # divisions are dear

    room_down, wall_down, first_down, doors_down = along(rows, jnp.maximum(down, 1), size[0])
    room_across, wall_across, first_across, doors_across = along(columns, jnp.maximum(across, 1), size[1])
    bits = numbered(seed, room_down * 64 + room_across)
    chosen = lambda bits, choices: (fraction(bits) * choices.astype(jnp.float32)).astype(jnp.int32)
    in_row = columns == first_across + chosen(bits, doors_across)
    in_column = rows == first_down + chosen(bits << jnp.uint32(12), doors_down)
    return ((wall_down != 0) & ~in_row) | ((wall_across != 0) & ~in_column)


def _smooth(side: int, seed: jax.Array, scale: jax.Array) -> jax.Array:
    """Random values every ``scale`` cells, from 0 to 1, and smooth between them, float32 ``[S, S]``."""
    places = jnp.arange(side, dtype=jnp.float32) / jnp.maximum(scale, 1.0)
    first = jnp.floor(places).astype(jnp.int32)
    part = places - first
    part = part * part * (3.0 - 2.0 * part)
    points = jnp.arange(side + 1, dtype=jnp.int32)
    # Stored, since the compiler would write a hash anew wherever one is read.
    lattice = computed_once(fraction(numbered(seed, points[:, None], points)))
    down = computed_once(lattice[first] * (1.0 - part[:, None]) + lattice[first + 1] * part[:, None])
    return down[:, first] * (1.0 - part) + down[:, first + 1] * part
