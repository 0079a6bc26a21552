"""Transformations of rows in plain Python: the three demonstrations are explained by them, and so is the answer."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_envs.token import find_task
from jaxrl_envs.token.arc_rules import RULES

MANY = 40


def blocks(row):
    """``(first cell, colours)`` of each stretch of coloured cells."""
    found = []
    for coloured, group in itertools.groupby(enumerate(row), key=lambda pair: pair[1] > 0):
        group = list(group)
        if coloured:
            found.append((group[0][0], [c for _, c in group]))
    return found


def painted(length, pieces):
    row = [0] * length
    for first, colours in pieces:
        row[first : first + len(colours)] = colours
    return row


def move(row, far, *_):
    return ([0] * far + row)[: len(row)]


def rotate(row, far, *_):
    return row[-far:] + row[:-far]


def mirror(row, *_):
    return row[::-1]


def flip(row, *_):
    return painted(len(row), [(at, colours[::-1]) for at, colours in blocks(row)])


def fill(row, *_):
    row, coloured = list(row), [i for i, c in enumerate(row) if c]
    for left, right in zip(coloured[::2], coloured[1::2], strict=True):
        row[left:right] = [row[left]] * (right - left)
    return row


def hollow(row, *_):
    keep = lambda colours: [c if i in (0, len(colours) - 1) else 0 for i, c in enumerate(colours)]
    return painted(len(row), [(at, keep(colours)) for at, colours in blocks(row)])


def denoise(row, *_):
    return painted(len(row), [block for block in blocks(row) if len(block[1]) > 1])


def recolour_parity(row, far, first, second):
    size = lambda colours: [first if len(colours) % 2 else second] * len(colours)
    return painted(len(row), [(at, size(colours)) for at, colours in blocks(row)])


def recolour_largest(row, far, first, second):
    largest = max(len(colours) for _, colours in blocks(row))
    paint = lambda colours: [first] * largest if len(colours) == largest else colours
    return painted(len(row), [(at, paint(colours)) for at, colours in blocks(row)])


def gather(row, *_):
    coloured = [c for c in row if c]
    return coloured + [0] * (len(row) - len(coloured))


def spread(row, *_):
    return list(itertools.accumulate(row, lambda last, c: c or last))


def swap(row, far, first, second):
    return [{first: second, second: first}.get(c, c) for c in row]


def touch(row, far, first, second):
    if row.count(first) != 1:
        raise ValueError("the marker is one cell")
    marker, others = row.index(first), [c for c in row if c and c != first]
    return painted(len(row), [(marker - len(others), others), (marker, [first])])


ORACLES = {name: globals()[name.replace("-", "_")] for name in RULES}


@functools.cache
def drawn():
    """Prompts and answers ``[rules, lengths, MANY]``."""
    task = find_task("arc-1d")
    lengths = jnp.asarray([10, 20, 30, 40, 13], jnp.int32)

    def one(rule, cells, key):
        return task.draw(key, task.knobs.replace(rule=rule, cells=cells))

    over = jax.vmap(one, (None, None, 0))
    over = jax.vmap(jax.vmap(over, (None, 0, None)), (0, None, None))
    keys = jax.random.split(jax.random.key(0), MANY)
    return jax.device_get(jax.jit(over)(jnp.arange(len(RULES), dtype=jnp.int32), lengths, keys))


def rows(tokens, length):
    text = find_task("arc-1d").vocabulary.text(tokens[:length])
    assert text.startswith("<bos> ") and text.endswith(" >")
    *demonstrations, last = text[6:-2].split(" ; ")
    digits = lambda row: [int(c) for c in row.split()]
    return [tuple(map(digits, pair.split(" > "))) for pair in demonstrations], digits(last)


def explanations(oracle, demonstrations, last):
    found = set()
    for far, (first, second) in itertools.product((1, 2, 3), itertools.permutations(range(1, 10), 2)):
        try:
            if all(oracle(list(row), far, first, second) == became for row, became in demonstrations):
                found.add(tuple(oracle(list(last), far, first, second)))
        except (ValueError, TypeError, IndexError):
            continue
    return found


@pytest.mark.parametrize("name", RULES)
def test_a_rule_does_what_it_says(name):
    prompts, answers = drawn()
    number, alone, changed = list(RULES).index(name), 0, 0
    for i, cells in enumerate((10, 20, 30, 40, 13)):
        for j in range(MANY if cells < 30 else 4):
            at = (number, i, j)
            demonstrations, last = rows(prompts.tokens[at], prompts.length[at])
            answer = [int(t) - 3 for t in answers.tokens[at][: answers.length[at]]]
            assert len(answer) == len(last) == cells and len(demonstrations) == 3
            assert all(len(row) == len(became) == cells for row, became in demonstrations)
            told = explanations(ORACLES[name], demonstrations, last)
            assert tuple(answer) in told
            alone += len(told) == 1
            changed += last != answer
    many = 3 * MANY + 8
    assert alone > 0.9 * many and changed > 0.6 * many


def test_rows_are_not_all_the_same():
    prompts, _ = drawn()
    for of_rule in prompts.tokens[:, 1]:
        assert len(np.unique(of_rule, axis=0)) == MANY


@pytest.mark.parametrize("shown", [0, 2])
def test_fewer_rows_may_be_shown(shown):
    """The last row and its answer are the same, and so is what is still shown."""
    task = find_task("arc-1d")
    keys = jax.random.split(jax.random.key(1), 64)
    both = [
        jax.device_get(jax.jit(jax.vmap(task.draw, (0, None)))(keys, task.knobs.replace(shown=n)))
        for n in (jnp.int32(3), jnp.int32(shown))
    ]
    (whole, right), (some, also) = both
    np.testing.assert_array_equal(right.tokens, also.tokens)
    assert (some.length == (2 * shown + 1) * 11 + 1).all() and (whole.length == 78).all()
    assert task.longest(task.knobs.replace(shown=np.int32(shown))) == some.length[0]
    for more, less in zip(whole.tokens, some.tokens, strict=True):
        (three, asked), (few, last) = rows(more, 78), rows(less, some.length[0])
        assert few == three[:shown] and last == asked
