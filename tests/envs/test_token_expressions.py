"""Expressions read token by token, against Python's own parser and fractions: right ones, near misses, broken ones."""

import ast
import operator
import re
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.token.expressions import DEPTH, PRIMES, WORDS, begin_reading, outcome, read_token

OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
WIDTH, MANY = 40, 4096


@jax.jit
@jax.vmap
def judged(tokens, length, numbers, target):
    def one(reading, given):
        at, token = given
        new = read_token(reading, token, numbers)
        return jax.tree.map(lambda a, b: jnp.where(at < length, a, b), new, reading), None

    places = jnp.arange(tokens.shape[0])
    reading, _ = jax.lax.scan(one, begin_reading(numbers > 0), (places, tokens))
    return outcome(reading, numbers, target)


def judge(cases):
    """``(text, numbers, target)`` of each, padded to one batch of one size."""
    size = -len(cases) % MANY + len(cases)
    tokens, numbers = np.zeros((size, WIDTH), np.int32), np.zeros((size, 6), np.int32)
    lengths, targets = np.zeros(size, np.int32), np.zeros(size, np.int32)
    for i, (text, given, target) in enumerate(cases):
        read = WORDS.tokens(text)
        tokens[i, : len(read)], lengths[i], targets[i] = read, len(read), target
        numbers[i, : len(given)] = given
    found = [
        judged(*(x[i : i + MANY] for x in (tokens, lengths, numbers, targets))) for i in range(0, size, MANY)
    ]
    return [np.concatenate(field)[: len(cases)] for field in zip(*jax.device_get(found), strict=True)]


def evaluated(node, used):
    if isinstance(node, ast.BinOp):
        left, right = evaluated(node.left, used), evaluated(node.right, used)
        if left is None or right is None or (isinstance(node.op, ast.Div) and right == 0):
            return None
        return OPERATORS[type(node.op)](left, right)
    if not isinstance(node, ast.Constant):
        raise SyntaxError
    used.append(node.value)
    return Fraction(node.value)


def oracle(text, given, target):
    """``(well formed, all used, value)`` by Python's parser; no value where something is divided by 0."""
    depth = np.cumsum([(c == "(") - (c == ")") for c in text] or [0]).max()
    if re.search(r"(?<!\d)0\d|\*\*|//|\)\d|\d\(|\)\(|[^\d+\-*/()]", text) or depth > DEPTH:
        return False, False, None
    used = []
    try:
        value = evaluated(ast.parse(text, mode="eval").body, used)
    except SyntaxError:
        return False, False, None
    return True, sorted(used) == sorted(given), value


def expression(rng, numbers):
    """A random tree over the numbers in this order, with parentheses where needed and some where not."""
    if len(numbers) == 1:
        return f"({numbers[0]})" if rng.random() < 0.05 else str(numbers[0])
    cut = int(rng.integers(1, len(numbers)))
    left, right = expression(rng, numbers[:cut]), expression(rng, numbers[cut:])
    text = f"{left}{rng.choice(list('+-*/'))}{right}"
    return f"({text})" if rng.random() < 0.6 else text


def broken(rng, text):
    for _ in range(int(rng.integers(1, 3))):
        at = int(rng.integers(0, len(text) + 1))
        mark = rng.choice(list("0123456789+-*/()*(),="))
        text = [text[:at] + mark + text[at:], text[:at] + text[at + 1 :], text[:at] + mark + text[at + 1 :]][
            int(rng.integers(3))
        ]
    return text


def cases(seed, count):
    rng = np.random.default_rng(seed)
    made = []
    while len(made) < count:
        given = rng.integers(1, 101 if rng.random() < 0.7 else 8, int(rng.integers(1, 7))).tolist()
        text = expression(rng, rng.permutation(given).tolist())
        if rng.random() < 0.4:
            text = broken(rng, text)
        if len(text) > WIDTH:
            continue
        _, _, value = oracle(text, given, 0)
        near = value is not None and value.denominator == 1 and abs(value) < 10**6 and rng.random() < 0.7
        made.append((text, given, int(value) if near else int(rng.integers(1, 1001))))
    return made


def test_thousands_of_expressions_are_judged_as_python_judges_them():
    made = cases(0, 2 * MANY)
    well_formed, uses_all, defined, equal = judge(made)
    told = [oracle(*case) for case in made]
    expected = np.asarray([t[0] for t in told])
    np.testing.assert_array_equal(well_formed, expected)
    np.testing.assert_array_equal(uses_all[expected], [t[1] for t in told if t[0]])
    within = expected & uses_all  # elsewhere a value means nothing
    values = [t[2] for t, inside in zip(told, within, strict=True) if inside]
    targets = [case[2] for case, inside in zip(made, within, strict=True) if inside]
    np.testing.assert_array_equal(defined[within], [value is not None for value in values])
    same = [value == target for value, target in zip(values, targets, strict=True)]
    has_value = np.asarray([value is not None for value in values])
    np.testing.assert_array_equal(equal[within][has_value], np.asarray(same)[has_value])
    # Each outcome is there often enough to be told from the others.
    fractions = sum(value is not None and value.denominator > 1 for value in values)
    assert min(expected.sum(), (~expected).sum(), sum(same), len(same) - sum(same), fractions) > 500
    assert (~has_value).sum() > 10 and within.sum() > 3000


def test_expressions_by_hand():
    made = [
        ("1-5/7", [1, 5, 7], 0, False),
        ("8/(3-8/3)", [8, 8, 3, 3], 24, True),  # a fraction on the way
        ("1/3*3", [1, 3, 3], 1, True),
        ("5/(3-3)", [5, 3, 3], 5, False),
        ("5-3-2", [5, 3, 2], 0, True),  # to the left
        ("12/6/2", [12, 6, 2], 1, True),
        ("2-3*4", [2, 3, 4], -10, True),
        ("100*100*100*100*100*100", [100] * 6, 0, False),
        ("100*100*100*100/(100*100)", [100] * 6, 10_000, True),
        (
            "100-99/(100*100*100*100)",
            [100, 99, 100, 100, 100, 100],
            100,
            False,
        ),  # too near for floats of 32 bits
        ("7", [7], 7, True),
        ("07", [7], 7, False),
        ("0+7", [7], 7, False),
        ("-7+9", [7, 9], 2, False),  # no signs
        ("7+", [7], 7, False),
        ("", [], 0, False),
        ("()7", [7], 7, False),
        ("7(8)", [7, 8], 56, False),
        ("(((((((7)))))))+1", [7, 1], 8, True),
        ("(((((((((7)))))))))", [7], 7, False),  # deeper than 8
        ("(7))", [7], 7, False),
        ("1000", [100], 1000, False),
        ("1100+1", [100, 1], 101, False),
        ("3+3", [3, 4], 6, False),
        ("3+3", [3, 3, 3], 6, False),
        ("3=3", [3, 3], 3, False),
        ("5/(3-9/3)", [5, 3, 9, 3], 5, False),  # by a 0 that is made of a fraction
        ("3*0", [3], 0, False),
    ]
    found = np.all(judge([case[:3] for case in made]), axis=0)
    assert [text for (text, *_, right), is_right in zip(made, found, strict=True) if right != is_right] == []


def test_the_primes_are_large_enough():
    assert all(all(p % d for d in range(2, 257)) and p < 2**16 for p in PRIMES) and len({*PRIMES}) == 4
    # Sum of crossed products at most doubles with each of five operations; the target is at most 1000.
    bound = 2**5 * 100**6 * (1000 + 1)
    assert 2 * bound < np.prod([int(p) for p in PRIMES], dtype=object)
    assert all((p - 1) ** 2 < 2**32 for p in PRIMES)
