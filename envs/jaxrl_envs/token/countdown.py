"""The Countdown numbers game: ``<bos> 2 5 , 3 , 7 = 8 2 :``, and an answer ``2 5 * 3 + 7``.

The answer is an expression in which each number is used exactly once; fractions on the way are allowed. Targets are made from
the numbers: again and again two of what there is are put together by an operation of which the result is a whole number from
1 to 1000, drawn from those that do so. There is always one: the difference of two different numbers, the quotient of equal ones.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl_envs.token.expressions import (
    CLOSE,
    MINUS,
    OPEN,
    OVER,
    PLUS,
    TIMES,
    WORDS,
    Reading,
    begin_reading,
    outcome,
    read_token,
)
from jaxrl_envs.token.task import Difficulty, Task, Verdict, defaults
from jaxrl_envs.token.vocabulary import BOS, PAD
from jaxrl_envs.token.writing import Written, decimal, packed, tokens_of, whole

MOST = 6
HIGHEST_NUMBER, HIGHEST_TARGET = 100, 1000
ANSWER = 31
"""The longest solution: six numbers of three digits, five operations, four pairs of parentheses."""


@struct.dataclass
class Countdown:
    """Knobs.

    Attributes:
        numbers: int32, how many there are.
        highest: int32, the highest that is drawn.
        well_formed: float32, the reward for an expression that is not right.
    """

    numbers: jax.Array
    highest: jax.Array
    well_formed: jax.Array


class Game(NamedTuple):
    """What is asked, and how it was made.

    Attributes:
        numbers: int32 ``[6]``, 0 where there is none.
        target: int32.
        steps: int32 ``[5, 3]``: the place of the left number, that of the right one, the operation's token. The result
            takes the left one's place. Without meaning from one step less than there are numbers on.
    """

    numbers: jax.Array
    target: jax.Array
    steps: jax.Array


def draw(key: jax.Array, knobs: Countdown) -> tuple[Written, Game]:
    """Numbers from 1 to the highest, and a target that they make."""
    u = jax.random.uniform(key, (MOST, MOST + 4), jnp.float32)
    places = jnp.arange(MOST, dtype=jnp.int32)
    there = places < knobs.numbers
    numbers = jnp.where(there, whole(u[-1, :MOST], 1, knobs.highest), 0)

    def join(carry: tuple[jax.Array, ...], given: tuple[jax.Array, ...]) -> tuple[Any, jax.Array]:
        (values, left), (u_places, u_kinds, happens) = carry, given
        one = jnp.argmax(jnp.where(left, u_places, -1.0)).astype(jnp.int32)
        other = jnp.argmax(jnp.where(left & (places != one), u_places, -1.0)).astype(jnp.int32)
        larger = jnp.where(values[one] < values[other], other, one)
        smaller = one + other - larger
        x, y = values[larger], jnp.maximum(values[smaller], 1)
        results = jnp.stack([x + y, x - y, x * y, x // y])
        allowed = jnp.stack([x + y <= HIGHEST_TARGET, x > y, x * y <= HIGHEST_TARGET, x % y == 0])
        kind = jnp.argmax(jnp.where(allowed, u_kinds, -1.0))
        values = jnp.where((places == larger) & happens, results[kind], values)
        left = left & ~((places == smaller) & happens)
        return (values, left), jnp.stack([larger, smaller, tokens_of(PLUS, MINUS, TIMES, OVER)[kind]])

    happen = jnp.arange(MOST - 1) < knobs.numbers - 1
    given = (u[:-1, :MOST], u[:-1, MOST:], happen)
    (values, left), steps = jax.lax.scan(join, (numbers, there), given)
    target = jnp.where(left, values, 0).sum(dtype=jnp.int32)
    return _prompt(numbers, target, there), Game(numbers, target, steps)


def _prompt(numbers: jax.Array, target: jax.Array, there: jax.Array) -> Written:
    commas = jnp.where(jnp.arange(MOST) > 0, WORDS.token(","), PAD).astype(jnp.int32)
    listed = jnp.concatenate([commas[:, None], decimal(numbers, 3)], axis=1)
    listed = jnp.where(there[:, None], listed, PAD).reshape(-1)
    equals, colon = tokens_of(WORDS.token("=")), tokens_of(WORDS.token(":"))
    return packed(jnp.concatenate([tokens_of(BOS), listed, equals, decimal(target, 4), colon]))


def begin(secret: Game) -> Reading:
    """Nothing read."""
    return begin_reading(secret.numbers > 0)


def read(memory: Reading, token: jax.Array, secret: Game) -> Reading:
    """One token of the expression."""
    return read_token(memory, token, secret.numbers)


def judge(memory: Reading, length: jax.Array, secret: Game, knobs: Countdown) -> Verdict:
    """1 if the expression makes the target of the numbers, ``well_formed`` for any other expression, 0 for what is none."""
    del length
    found = outcome(memory, secret.numbers, secret.target)
    success = found.well_formed & found.uses_all & found.defined & found.equal
    lesser = jnp.where(found.well_formed, knobs.well_formed, jnp.float32(0))
    reward = jnp.where(success, jnp.float32(1), lesser)
    return Verdict(reward, success, {"well_formed": found.well_formed})


def solution(secret: Game) -> Written:
    """The expression that the target was made by; every step but the last in parentheses."""
    spelled = jnp.zeros((MOST, ANSWER), jnp.int32).at[:, :3].set(decimal(secret.numbers, 3))
    steps = (secret.numbers > 0).sum() - 1
    places = jnp.arange(MOST)

    def join(carry: tuple[jax.Array, jax.Array], i: jax.Array) -> tuple[Any, None]:
        spelled, _ = carry
        first, second, kind = secret.steps[i]
        opens, closes = (jnp.where(i < steps - 1, tokens_of(mark), PAD) for mark in (OPEN, CLOSE))
        joined = packed(jnp.concatenate([opens, spelled[first], kind[None], spelled[second], closes]))
        here = (places == first)[:, None] & (i < steps)
        spelled = jnp.where(here, joined.tokens[:ANSWER], spelled)
        return (spelled, jnp.where(i < steps, first, carry[1])), None

    start = (spelled, secret.steps[0, 0])
    (spelled, last), _ = jax.lax.scan(join, start, jnp.arange(MOST - 1, dtype=jnp.int32))
    return packed(spelled[last])


TASK = Task(
    WORDS,
    answer_limit=ANSWER + 1,
    knobs=defaults(Countdown, numbers=3, highest=HIGHEST_NUMBER, well_formed=0.0),
    ranges={"numbers": (3, MOST), "highest": (1, HIGHEST_NUMBER), "well_formed": (0.0, 1.0)},
    difficulty=Difficulty("numbers", (3, 4, 5), MOST),
    draw=draw,
    longest=lambda knobs: 4 * knobs.numbers + 6,  # numbers of three digits, a target of four
    begin=begin,
    read=read,
    judge=judge,
    solution=solution,
    told=("well_formed",),
)
