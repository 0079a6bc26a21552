"""Transformations of a row of colours: for each, how rows are drawn that show it, and the transformation, a pure function.

A row is int32 ``[40]``, 0 where it is blank and beyond its length, and 1 to 9 where it is coloured. A block is a longest stretch of
coloured cells. Rows are at least 10 long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl_envs.token.writing import packed, whole

LONGEST = 40
PARTS = 3


class Puzzle(NamedTuple):
    """What all rows of one puzzle share.

    Attributes:
        length: int32, of its rows.
        far: int32, 1 to 3.
        colours: int32 ``[3]``, different ones.
    """

    length: jax.Array
    far: jax.Array
    colours: jax.Array


class Layout(NamedTuple):
    """How rows are strewn with blocks: in each of equal parts there is one, with a blank cell after it.

    Attributes:
        parts: how many, 1 to 3.
        fewest: cells of a block at least.
        most: cells of a block at most, if there is room for them.
        room: cells at the end of each part, besides one, that stay blank.
        colours: of the blocks: which of the puzzle's colours any of them may have, none for all nine colours.
    """

    parts: int
    fewest: int = 1
    most: int = LONGEST
    room: int = 0
    colours: tuple[int, ...] = ()


class Rule(NamedTuple):
    """A transformation, and which rows show it.

    Attributes:
        layout: of rows.
        apply: ``(row, puzzle) -> row``.
        finish: ``(row, u, puzzle) -> row``, what is done to the row of the layout before it is shown; ``u`` are three uniform numbers.
    """

    layout: Layout
    apply: Callable[[jax.Array, Puzzle], jax.Array]
    finish: Callable[[jax.Array, jax.Array, Puzzle], jax.Array] = lambda row, u, puzzle: row


DRAWS = 3 * PARTS + 3
"""Uniform numbers that a row takes."""


def strewn(u: jax.Array, puzzle: Puzzle, rule: jax.Array) -> jax.Array:
    """A row of the layout of the rule of that number, from uniform numbers ``[9]``."""
    layouts = [made.layout for made in RULES.values()]
    table = jnp.asarray([layout[:4] for layout in layouts], jnp.int32)
    parts, fewest, most, room = table[rule]
    u_size, u_start, u_colour = u.reshape(3, PARTS)
    width = puzzle.length // parts
    space = width - 1 - room
    size = whole(u_size, fewest, jnp.minimum(most, space))
    start = whole(u_start, 0, space - size)
    palette = jnp.asarray([[*layout.colours, 0, 0, 0][:3] for layout in layouts], jnp.int32)[rule]
    number = jnp.asarray([len(layout.colours) for layout in layouts], jnp.int32)[rule]
    chosen = puzzle.colours[palette[whole(u_colour, 0, jnp.maximum(number, 1) - 1)]]
    colours = jnp.where(number > 0, chosen, whole(u_colour, 1, 9))
    cell = _cells()
    part, at = jnp.minimum(cell // width, parts - 1), cell % width
    there = (cell < parts * width) & (at >= start[part]) & (at < (start + size)[part])
    return jnp.where(there, colours[part], 0)


def _cells() -> jax.Array:
    return jnp.arange(LONGEST, dtype=jnp.int32)


def _bounds(row: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The first and the last cell of the block that each coloured cell is in, int32 ``[40]`` each."""
    blank, cells = row == 0, _cells()
    before = jax.lax.cummax(jnp.where(blank, cells, -1))
    after = jax.lax.cummin(jnp.where(blank, cells, LONGEST), reverse=True)
    return before + 1, after - 1


def _sizes(row: jax.Array) -> jax.Array:
    """How large the block is that each cell is in, int32 ``[40]``; 0 where it is blank."""
    first, last = _bounds(row)
    return jnp.where(row > 0, last - first + 1, 0)


def _latest(row: jax.Array) -> jax.Array:
    """The colour of the nearest coloured cell that is not to the right, 0 where there is none."""
    nearest = jax.lax.cummax(jnp.where(row > 0, _cells(), -1))
    return jnp.where(nearest >= 0, row[jnp.maximum(nearest, 0)], 0)


def _within(row: jax.Array, puzzle: Puzzle) -> jax.Array:
    return jnp.where(_cells() < puzzle.length, row, 0)


def move(row: jax.Array, puzzle: Puzzle) -> jax.Array:
    """Everything goes ``far`` cells to the right; what leaves the row is gone."""
    came = _cells() - puzzle.far
    return _within(jnp.where(came >= 0, row[jnp.maximum(came, 0)], 0), puzzle)


def rotate(row: jax.Array, puzzle: Puzzle) -> jax.Array:
    """Everything goes ``far`` cells to the right, and from the right end to the left one."""
    return _within(row[(_cells() - puzzle.far) % puzzle.length], puzzle)


def mirror(row: jax.Array, puzzle: Puzzle) -> jax.Array:
    """The row backwards."""
    return _within(row[(puzzle.length - 1 - _cells()) % LONGEST], puzzle)


def flip(row: jax.Array, puzzle: Puzzle) -> jax.Array:
    """Each block backwards, where it is."""
    del puzzle
    first, last = _bounds(row)
    return jnp.where(row > 0, row[jnp.clip(first + last - _cells(), 0, LONGEST - 1)], 0)


def fill(row: jax.Array, puzzle: Puzzle) -> jax.Array:
    """What is between the first and the second coloured cell, the third and the fourth, ... takes the colour of the left one."""
    del puzzle
    between = (row == 0) & (jnp.cumsum(row > 0) % 2 == 1)
    return jnp.where(between, _latest(row), row)


def hollow(row: jax.Array, puzzle: Puzzle) -> jax.Array:
    """Of each block the ends stay."""
    del puzzle
    first, last = _bounds(row)
    return jnp.where((_cells() == first) | (_cells() == last), row, 0)


def denoise(row: jax.Array, puzzle: Puzzle) -> jax.Array:
    """Blocks of one cell vanish."""
    del puzzle
    return jnp.where(_sizes(row) == 1, 0, row)


def recolour_parity(row: jax.Array, puzzle: Puzzle) -> jax.Array:
    """Blocks of an odd size take the first colour, those of an even size the second."""
    odd = _sizes(row) % 2 == 1
    return jnp.where(row > 0, jnp.where(odd, puzzle.colours[0], puzzle.colours[1]), 0)


def recolour_largest(row: jax.Array, puzzle: Puzzle) -> jax.Array:
    """The largest blocks (several, if of one size) take the first colour."""
    sizes = _sizes(row)
    return jnp.where((row > 0) & (sizes == sizes.max()), puzzle.colours[0], row)


def gather(row: jax.Array, puzzle: Puzzle) -> jax.Array:
    """Coloured cells move to the left border, in their order."""
    del puzzle
    return packed(row).tokens


def spread(row: jax.Array, puzzle: Puzzle) -> jax.Array:
    """Each colour goes on to the right until another begins, the last to the end."""
    return _within(_latest(row), puzzle)


def swap(row: jax.Array, puzzle: Puzzle) -> jax.Array:
    """The first colour becomes the second, the second the first."""
    first, second, _ = puzzle.colours
    return jnp.where(row == first, second, jnp.where(row == second, first, row))


def touch(row: jax.Array, puzzle: Puzzle) -> jax.Array:
    """The block moves right until it touches the cell of the first colour."""
    marker = row == puzzle.colours[0]
    block = jnp.where(marker, 0, row)
    last = jnp.where(block > 0, _cells(), -1).max()
    came = _cells() - (jnp.argmax(marker) - 1 - last)
    moved = jnp.where(came >= 0, block[jnp.clip(came, 0, LONGEST - 1)], 0)
    return jnp.where(marker, row, moved)


def _noisy(row: jax.Array, u: jax.Array, puzzle: Puzzle) -> jax.Array:
    """One block stays, of the others a cell."""
    part = jnp.minimum(_cells() // (puzzle.length // PARTS), PARTS - 1)
    return jnp.where((part == whole(u[0], 0, PARTS - 1)) | (_cells() == _bounds(row)[0]), row, 0)


def _swappable(row: jax.Array, u: jax.Array, puzzle: Puzzle) -> jax.Array:
    """The first block has the first colour, so that no row stays as it is."""
    del u
    return jnp.where(_bounds(row)[0] == _bounds(row)[0][jnp.argmax(row > 0)], puzzle.colours[0], row) * (
        row > 0
    )


def _headed(row: jax.Array, u: jax.Array, puzzle: Puzzle) -> jax.Array:
    """The first cell has another colour."""
    del u
    return jnp.where(_cells() == jnp.argmax(row > 0), puzzle.colours[1], row)


def _marked(row: jax.Array, u: jax.Array, puzzle: Puzzle) -> jax.Array:
    """A block in the left half, one cell in the right."""
    half = puzzle.length // 2
    marker = _cells() == whole(u[0], half, puzzle.length - 1)
    return jnp.where(marker, puzzle.colours[0], jnp.where(_cells() < half, row, 0))


def _ends(row: jax.Array, u: jax.Array, puzzle: Puzzle) -> jax.Array:
    """Two cells of each block."""
    del u
    return hollow(row, puzzle)


RULES = {
    "move": Rule(Layout(1, room=3), move),
    "rotate": Rule(Layout(2), rotate),
    "mirror": Rule(Layout(3), mirror),
    "flip": Rule(Layout(1, fewest=2, colours=(0,)), flip, _headed),
    "fill": Rule(Layout(2, fewest=3), fill, _ends),
    "hollow": Rule(Layout(2, fewest=3), hollow),
    "denoise": Rule(Layout(3, fewest=2), denoise, _noisy),
    "recolour-parity": Rule(Layout(3, colours=(2,)), recolour_parity),
    "recolour-largest": Rule(Layout(3, colours=(2,)), recolour_largest),
    "gather": Rule(Layout(3), gather),
    "spread": Rule(Layout(3, most=1), spread),
    "swap": Rule(Layout(3, colours=(0, 1, 2)), swap, _swappable),
    "touch": Rule(Layout(2, colours=(1,)), touch, _marked),
}
"""Transformations by name; their numbers are their places."""


def shown(u: jax.Array, puzzle: Puzzle, rule: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A row that shows the rule of that number, and what becomes of it, from `DRAWS` uniform numbers: int32 ``[40]`` each."""
    row, more = strewn(u[: 3 * PARTS], puzzle, rule), u[3 * PARTS :]
    row = jnp.stack([made.finish(row, more, puzzle) for made in RULES.values()])[rule]
    return row, jnp.stack([made.apply(row, puzzle) for made in RULES.values()])[rule]
