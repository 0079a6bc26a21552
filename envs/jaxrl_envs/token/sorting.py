"""Digits to be put in order: ``<bos> 5 0 5 2 =``, and the answer ``0 2 5 5``."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl_envs.token.task import Difficulty, Task, begin_match, defaults, judge_match, read_match
from jaxrl_envs.token.vocabulary import BOS, DIGITS, PAD, ZERO, vocabulary
from jaxrl_envs.token.writing import Written, packed, tokens_of, whole

MOST = 16
WORDS = vocabulary(*DIGITS, "=")


@struct.dataclass
class Sorting:
    """Knobs.

    Attributes:
        digits: int32, how many there are, each uniform and by itself.
    """

    digits: jax.Array


def draw(key: jax.Array, knobs: Sorting) -> tuple[Written, Written]:
    """Digits, and the same in order."""
    there = jnp.arange(MOST, dtype=jnp.int32) < knobs.digits
    values = whole(jax.random.uniform(key, (MOST,), jnp.float32), 0, 9)
    # What is not there is larger than any digit, so it comes last.
    in_order = jnp.sort(jnp.where(there, values, 10))
    shown = jnp.where(there, values + ZERO, PAD)
    prompt = packed(jnp.concatenate([tokens_of(BOS), shown, tokens_of(WORDS.token("="))]))
    return prompt, Written(jnp.where(there, in_order + ZERO, PAD), knobs.digits)


TASK = Task(
    WORDS,
    answer_limit=MOST + 1,
    knobs=defaults(Sorting, digits=4),
    ranges={"digits": (2, MOST)},
    difficulty=Difficulty("digits", (4, 8, 12), MOST),
    draw=draw,
    longest=lambda knobs: knobs.digits + 2,
    begin=begin_match,
    read=read_match,
    judge=judge_match,
    solution=lambda secret: secret,
)
