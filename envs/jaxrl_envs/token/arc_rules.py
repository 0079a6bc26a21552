"""Transformations of a row of colours: for each, how rows are drawn that show it, and the transformation, a pure function.

A row is int32 ``[40]``, 0 where it is blank and beyond its length, and 1 to 9 where it is coloured. A block is a longest stretch of
coloured cells. Rows are at least 10 long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl_envs.token.writing import packed

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


class Rule(NamedTuple):
    """A transformation.

    Attributes:
        draw: ``(key, puzzle) -> row``.
        apply: ``(row, puzzle) -> row``.
    """

    draw: Callable[[jax.Array, Puzzle], jax.Array]
    apply: Callable[[jax.Array, Puzzle], jax.Array]


def strewn(
    key: jax.Array, puzzle: Puzzle, colours: jax.Array | None, fewest: Sequence[int], most: int, room: int = 0
) -> jax.Array:
    """A row of as many equal parts as ``fewest`` has numbers, in each of which there is one block with a blank cell after it.

    Args:
        key: of the draws.
        puzzle: of the row.
        colours: of the blocks, int32 ``[parts]``; None for any.
        fewest: cells of each block at least.
        most: cells of a block at most, if there is room for them.
        room: cells at the end of each part, besides one, that stay blank.
    """
    key_size, key_place, key_colour = jax.random.split(key, 3)
    parts, low = len(fewest), jnp.asarray(fewest, jnp.int32)
    width = puzzle.length // parts
    space = width - 1 - room
    size = jax.random.randint(key_size, (parts,), low, jnp.maximum(jnp.minimum(most, space), low) + 1)
    start = jax.random.randint(key_place, (parts,), 0, space - size + 1)
    if colours is None:
        colours = jax.random.randint(key_colour, (parts,), 1, 10, jnp.int32)
    cell = jnp.arange(LONGEST, dtype=jnp.int32)
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


def _rows(fewest: Sequence[int], most: int, room: int = 0, of: Sequence[int] | None = None) -> Callable:
    """Rows of `strewn`, with blocks of the puzzle's colours of these numbers, or of any."""

    def draw(key: jax.Array, puzzle: Puzzle) -> jax.Array:
        colours = None if of is None else puzzle.colours[jnp.asarray(of)]
        return strewn(key, puzzle, colours, fewest, most, room)

    return draw


def _pairs(key: jax.Array, puzzle: Puzzle) -> jax.Array:
    return hollow(strewn(key, puzzle, None, (3, 3), LONGEST), puzzle)


def _noisy(key: jax.Array, puzzle: Puzzle) -> jax.Array:
    """Two single cells and a block, in any order."""
    key_blocks, key_place, key_shorten = jax.random.split(key, 3)
    row = strewn(key_blocks, puzzle, None, (2, 2, 2), LONGEST)
    block = jax.random.randint(key_place, (), 0, PARTS)
    cell = jnp.minimum(_cells() // (puzzle.length // PARTS), PARTS - 1)
    first, last = _bounds(row)
    end = jnp.where(jax.random.bernoulli(key_shorten), first, last)
    return jnp.where((cell == block) | (_cells() == end), row, 0)


def _swapped(key: jax.Array, puzzle: Puzzle) -> jax.Array:
    key_blocks, key_colours = jax.random.split(key)
    drawn = puzzle.colours[jax.random.randint(key_colours, (PARTS,), 0, 3)]
    # The first colour is in each row, so that no demonstration shows nothing.
    return strewn(key_blocks, puzzle, drawn.at[0].set(puzzle.colours[0]), (1,) * PARTS, LONGEST)


def _headed(key: jax.Array, puzzle: Puzzle) -> jax.Array:
    row = strewn(key, puzzle, puzzle.colours[:1], (2,), LONGEST)
    return row.at[jnp.argmax(row > 0)].set(puzzle.colours[1])


def _marked(key: jax.Array, puzzle: Puzzle) -> jax.Array:
    key_row, key_marker = jax.random.split(key)
    row = strewn(key_row, puzzle, puzzle.colours[jnp.asarray([1, 1])], (1, 1), LONGEST)
    half = puzzle.length // 2
    marker = jax.random.randint(key_marker, (), half, puzzle.length)
    left = jnp.where(_cells() < half, row, 0)
    return left.at[marker].set(puzzle.colours[0])


RULES = {
    "move": Rule(_rows((1,), LONGEST, room=3), move),
    "rotate": Rule(_rows((1, 1), LONGEST), rotate),
    "mirror": Rule(_rows((1, 1, 1), LONGEST), mirror),
    "flip": Rule(_headed, flip),
    "fill": Rule(_pairs, fill),
    "hollow": Rule(_rows((3, 3), LONGEST), hollow),
    "denoise": Rule(_noisy, denoise),
    "recolour-parity": Rule(_rows((1, 1, 1), LONGEST, of=(2, 2, 2)), recolour_parity),
    "recolour-largest": Rule(_rows((1, 1, 1), LONGEST, of=(2, 2, 2)), recolour_largest),
    "gather": Rule(_rows((1, 1, 1), LONGEST), gather),
    "spread": Rule(_rows((1, 1, 1), 1), spread),
    "swap": Rule(_swapped, swap),
    "touch": Rule(_marked, touch),
}
"""Transformations by name; their numbers are their places."""
