"""Sets of cells as bits, against flags in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_envs.specs import bits

MOST = 24  # types


def beside(flags):
    """Flags next to flags, NumPy, ``[..., S, S]``; nothing beyond the map."""
    wide = np.pad(flags, [(0, 0)] * (flags.ndim - 2) + [(1, 1), (1, 1)])
    return wide[..., :-2, 1:-1] | wide[..., 2:, 1:-1] | wide[..., 1:-1, :-2] | wide[..., 1:-1, 2:]


@pytest.mark.parametrize("side", [1, 9, 21])
def test_sets_are_the_flags_they_stand_for(side):
    rng = np.random.default_rng(side)
    grid = rng.integers(0, MOST, (side, side)).astype(np.int8)
    types = np.asarray([-1, *range(MOST)], np.int32)
    row, column = (int(x) for x in rng.integers(0, side, 2))
    steps = np.asarray([-3, 0, 1, 5, 3 * side], np.int32)

    @jax.jit
    def told(grid):
        digits = bits.digits(grid)
        whole = lambda number: jnp.asarray(number, jnp.int32)
        cells = bits.cells_of(digits, whole(types))
        far = bits.within(side, whole(row), whole(column), whole(steps))
        one = bits.cell(side, whole(row), whole(column))
        beyond = bits.cell(side, whole([-1, side, 0, 0]), whole([0, 0, -1, side]))
        return [
            *map(
                bits.flags_of,
                (cells, bits.beside(cells), bits.beside_types(digits, whole(types)), far, one, beyond),
            ),
            *(bits.anywhere(cells), bits.number(cells), bits.packed(bits.flags_of(cells)) == cells),
        ]

    cells, next_to, next_to_types, far, one, beyond, some, number, again = map(np.asarray, told(grid))
    expected = grid == types[:, None, None]
    np.testing.assert_array_equal(cells, expected)
    np.testing.assert_array_equal(next_to, beside(expected))
    with_void = np.pad(grid, 1) == types[:, None, None]  # beyond the map lies type 0
    np.testing.assert_array_equal(next_to_types, beside(with_void)[:, 1:-1, 1:-1])
    rows, columns = np.mgrid[:side, :side]
    away = np.abs(rows - row) + np.abs(columns - column)
    np.testing.assert_array_equal(far, away <= steps[:, None, None])
    np.testing.assert_array_equal(one, away == 0)
    assert not beyond.any() and again.all()
    np.testing.assert_array_equal(some, expected.any((1, 2)))
    np.testing.assert_array_equal(number, expected.sum((1, 2)))
