"""Numbers to be added modulo another: ``<bos> 3 + 7 + 9 % 1 0 =``, and the answer ``9``."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl_envs.token.task import Difficulty, Task, begin_match, defaults, judge_match, read_match
from jaxrl_envs.token.vocabulary import BOS, DIGITS, PAD, vocabulary
from jaxrl_envs.token.writing import Written, decimal, digits, packed, tokens_of, whole

MOST = 8
WORDS = vocabulary(*DIGITS, "+", "%", "=")


@struct.dataclass
class SumMod:
    """Knobs.

    Attributes:
        numbers: int32, how many are added.
        modulus: int32; the numbers are uniform below it.
    """

    numbers: jax.Array
    modulus: jax.Array


def draw(key: jax.Array, knobs: SumMod) -> tuple[Written, Written]:
    """A sum, and the digits of its remainder."""
    there = jnp.arange(MOST, dtype=jnp.int32) < knobs.numbers
    values = whole(jax.random.uniform(key, (MOST,), jnp.float32), 0, knobs.modulus - 1)
    plus = jnp.where(jnp.arange(MOST) > 0, WORDS.token("+"), PAD).astype(jnp.int32)
    terms = jnp.concatenate([plus[:, None], decimal(values, 2)], axis=1)
    rest = jnp.where(there, values, 0).sum(dtype=jnp.int32) % knobs.modulus
    prompt = [
        tokens_of(BOS),
        jnp.where(there[:, None], terms, PAD).reshape(-1),
        tokens_of(WORDS.token("%")),
        decimal(knobs.modulus, 3),
        tokens_of(WORDS.token("=")),
    ]
    return packed(jnp.concatenate(prompt)), packed(decimal(rest, 2))


def longest(knobs: SumMod) -> int:
    """Tokens of a prompt at most."""
    each = digits(knobs.modulus - 1) + 1
    return int(knobs.numbers) * each + digits(knobs.modulus) + 2


TASK = Task(
    WORDS,
    answer_limit=3,
    knobs=defaults(SumMod, numbers=3, modulus=10),
    ranges={"numbers": (2, MOST), "modulus": (2, 100)},
    difficulty=Difficulty("numbers", (2, 3, 4, 6), MOST),
    draw=draw,
    longest=longest,
    begin=begin_match,
    read=read_match,
    judge=judge_match,
    solution=lambda secret: secret,
)
