"""Arithmetic expressions read token by token, with exact fractions.

The grammar: sums of products of factors, a factor is a number or a sum in parentheses; ``* /`` bind more tightly than ``+ -``,
and both associate to the left. Numbers have no leading zero and no sign. Parentheses nest at most `DEPTH` deep.

A value is a fraction of whole numbers, each known by its remainders modulo four primes just below 2^16. For an expression of
six numbers up to 100, numerator and denominator are at most 2^5 * 100^6, so their difference with a target up to 1000 times the
other is below 2^56; as the primes' product is above 2^63, remainders of 0 mean 0 (the Chinese remainder theorem). Whether two
fractions are equal, or a divisor is 0, is so decided exactly in 32 bits. Expressions of more or larger numbers are read as
well, but their values mean nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.token.vocabulary import DIGITS, ZERO, vocabulary

PRIMES = (65521, 65519, 65497, 65479)
DEPTH = 8
LARGEST = 1000
"""Numbers from here on are all the same number: none of those that are given."""
WORDS = vocabulary(*DIGITS, "+", "-", "*", "/", "(", ")", ",", "=", ":")
PLUS, MINUS, TIMES, OVER, OPEN, CLOSE = (WORDS.token(name) for name in "+-*/()")


class Reading(NamedTuple):
    """What is known of the tokens so far. At each depth of parentheses, a sum waits for the product that is being read.

    Attributes:
        sums: uint32 ``[DEPTH + 1, 2, 4]``, numerators and denominators of what has been added up.
        products: likewise, of the product that comes next, with its sign.
        divides: bool ``[DEPTH + 1]``, whether the product is to be divided by its next factor.
        depth: int32, parentheses that are open.
        number: int32, the number whose digits are being read; -1 where none is.
        expects: bool, whether a factor has to come next.
        unused: bool ``[N]``, which of the given numbers have not come yet.
        foreign: bool, whether a number came that was not given, or too often.
        broken: bool, whether this is no beginning of an expression.
        undefined: bool, whether something was divided by 0.
    """

    sums: jax.Array
    products: jax.Array
    divides: jax.Array
    depth: jax.Array
    number: jax.Array
    expects: jax.Array
    unused: jax.Array
    foreign: jax.Array
    broken: jax.Array
    undefined: jax.Array


class Outcome(NamedTuple):
    """What an expression is: bool scalars.

    Attributes:
        well_formed: it is one.
        uses_all: each given number is in it once, and no other.
        defined: nothing is divided by 0.
        equal: its value is the target; only means something where the others are True.
    """

    well_formed: jax.Array
    uses_all: jax.Array
    defined: jax.Array
    equal: jax.Array


def begin_reading(there: jax.Array) -> Reading:
    """Nothing read, with the given numbers (bool ``[N]``: which there are) unused."""
    levels = jnp.zeros((DEPTH + 1, 2, len(PRIMES)), jnp.uint32)
    false, none = jnp.zeros((), bool), jnp.zeros((), jnp.int32)
    return Reading(
        sums=levels.at[:, 1].set(1),
        products=levels.at[:].set(1),
        divides=jnp.zeros((DEPTH + 1,), bool),
        depth=none,
        number=none - 1,
        expects=~false,
        unused=there,
        foreign=false,
        broken=false,
        undefined=false,
    )


def read_token(reading: Reading, token: jax.Array, numbers: jax.Array) -> Reading:
    """One token more (int32), where ``numbers`` (int32 ``[N]``) are those that are given."""
    digit = token - ZERO
    is_digit = (digit >= 0) & (digit < 10)
    reading = _with_number(reading, numbers, ~is_digit)
    expects, depth, begun = reading.expects, reading.depth, reading.number >= 0
    is_sign, is_times = (token == PLUS) | (token == MINUS), (token == TIMES) | (token == OVER)
    opens = (token == OPEN) & expects & (depth < DEPTH)
    closes = (token == CLOSE) & ~expects & (depth > 0)
    joins = (is_sign | is_times) & ~expects
    spells = is_digit & (expects | (reading.number > 0))  # no digit follows a leading 0, or a parenthesis

    here = jnp.arange(DEPTH + 1) == depth
    inside = _sum(_at(reading.sums, depth), _at(reading.products, depth))
    sums = jnp.where((here & joins & is_sign)[:, None, None], inside, reading.sums)
    one = _whole(jnp.where(token == MINUS, -1, 1))
    products = jnp.where((here & joins & is_sign)[:, None, None], one, reading.products)
    divides = jnp.where(here & joins, token == OVER, reading.divides)
    above = (jnp.arange(DEPTH + 1) == depth + 1) & opens
    sums = jnp.where(above[:, None, None], _whole(jnp.zeros((), jnp.int32)), sums)
    products = jnp.where(above[:, None, None], _whole(jnp.ones((), jnp.int32)), products)
    longer = jnp.where(begun, jnp.minimum(10 * reading.number + digit, LARGEST), digit)
    reading = reading._replace(
        sums=sums,
        products=products,
        divides=divides & ~above,
        depth=depth + opens - closes,
        number=jnp.where(spells, longer, reading.number),
        expects=jnp.where(spells, False, expects | joins),
        broken=reading.broken | ~(opens | closes | joins | spells),
    )
    return _with_factor(reading, inside, closes)


def outcome(reading: Reading, numbers: jax.Array, target: jax.Array) -> Outcome:
    """What has been read, if nothing comes any more, beside a target (int32)."""
    reading = _with_number(reading, numbers, jnp.ones((), bool))
    numerator, denominator = _sum(reading.sums[0], reading.products[0])
    return Outcome(
        well_formed=~reading.broken & ~reading.expects & (reading.depth == 0),
        uses_all=~reading.foreign & ~reading.unused.any(),
        defined=~reading.undefined,
        equal=(numerator == _whole(target)[0] * denominator % _primes()).all(),
    )


def _with_number(reading: Reading, numbers: jax.Array, over: jax.Array) -> Reading:
    """The number whose digits are over is a factor, and one of those that are given."""
    over = over & (reading.number >= 0)
    same = reading.unused & (numbers == reading.number)
    first = same & (jnp.cumsum(same) == 1) & over
    taken = reading._replace(
        unused=reading.unused & ~first,
        foreign=reading.foreign | (over & ~same.any()),
        number=jnp.where(over, -1, reading.number),
    )
    return _with_factor(taken, _whole(jnp.maximum(reading.number, 0)), over)


def _with_factor(reading: Reading, factor: jax.Array, comes: jax.Array) -> Reading:
    """The innermost product times a fraction uint32 ``[2, 4]``, or divided by it, where it comes at all."""
    divides = _at(reading.divides, reading.depth)
    product = _at(reading.products, reading.depth) * jnp.where(divides, factor[::-1], factor) % _primes()
    here = (jnp.arange(DEPTH + 1) == reading.depth) & comes
    return reading._replace(
        products=jnp.where(here[:, None, None], product, reading.products),
        undefined=reading.undefined | (comes & divides & (factor[0] == 0).all()),
    )


def _primes() -> np.ndarray:
    return np.asarray(PRIMES, np.uint32)


def _whole(value: jax.Array) -> jax.Array:
    """A whole number as a fraction, uint32 ``[2, 4]``."""
    remainders = value % np.asarray(PRIMES, np.int32)  # from 0 to below the prime, of negative numbers too
    return jnp.stack([remainders.astype(jnp.uint32), jnp.ones(len(PRIMES), jnp.uint32)])


def _sum(a: jax.Array, b: jax.Array) -> jax.Array:
    """The sum of two fractions."""
    crossed = a[0] * b[1] % _primes() + b[0] * a[1] % _primes()
    return jnp.stack([crossed % _primes(), a[1] * b[1] % _primes()])


def _at(levels: jax.Array, depth: jax.Array) -> jax.Array:
    """What is at one depth: a sum over a mask, which fuses where a gather does not."""
    here = (jnp.arange(DEPTH + 1) == depth).reshape((-1,) + (1,) * (levels.ndim - 1))
    picked = jnp.where(here, levels, jnp.zeros_like(levels))
    return picked.any(0) if levels.dtype == bool else picked.sum(0, dtype=levels.dtype)
