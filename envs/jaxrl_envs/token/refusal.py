"""Questions that may be refused: ``<bos> 3 + ? + 9 % 1 0 =``, and the answer is digits or ``<refuse>``.

A sum of 2 to ``numbers`` terms as in `sum_mod`, how many is drawn with the question; each term is hidden (``?``) with probability
``hidden``. The right answer is that with the hidden terms, so with any of them hidden it is uniform below the modulus for all
that the prompt says: then to refuse is best, unless being wrong costs little. An answer of several tokens is a refusal only
if it is ``<refuse>`` alone.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl_envs.token.task import (
    Difficulty,
    Match,
    Task,
    TokenParams,
    Verdict,
    begin_match,
    defaults,
    matched,
    read_match,
)
from jaxrl_envs.token.vocabulary import BOS, DIGITS, PAD, vocabulary
from jaxrl_envs.token.writing import Written, decimal, digits, packed, tokens_of, whole

MOST = 8
WORDS = vocabulary(*DIGITS, "+", "%", "=", "?", "<refuse>")
REFUSE = WORDS.token("<refuse>")


@struct.dataclass
class Refusal:
    """Knobs.

    Attributes:
        numbers: int32, terms at most.
        modulus: int32; the terms are uniform below it.
        hidden: float32, the probability that a term is not shown.
        right, refused, wrong: float32, the rewards.
    """

    numbers: jax.Array
    modulus: jax.Array
    hidden: jax.Array
    right: jax.Array
    refused: jax.Array
    wrong: jax.Array


class Question(NamedTuple):
    """What is asked: the right answer, and whether a term is hidden (bool)."""

    answer: Written
    hides: jax.Array


class Reply(NamedTuple):
    """What was said: how far it is the right answer, and whether the first token was a refusal (bool)."""

    match: Match
    refuses: jax.Array


def draw(key: jax.Array, knobs: Refusal) -> tuple[Written, Question]:
    """A sum with hidden terms."""
    u = jax.random.uniform(key, (2 * MOST + 1,), jnp.float32)
    count = whole(u[-1], 2, knobs.numbers)
    there = jnp.arange(MOST, dtype=jnp.int32) < count
    values = whole(u[:MOST], 0, knobs.modulus - 1)
    hidden = there & (u[MOST : 2 * MOST] < knobs.hidden)
    plus = jnp.where(jnp.arange(MOST) > 0, WORDS.token("+"), PAD).astype(jnp.int32)
    spelled = jnp.where(hidden[:, None], tokens_of(PAD, WORDS.token("?")), decimal(values, 2))
    terms = jnp.concatenate([plus[:, None], spelled], axis=1)
    rest = jnp.where(there, values, 0).sum(dtype=jnp.int32) % knobs.modulus
    prompt = [
        tokens_of(BOS),
        jnp.where(there[:, None], terms, PAD).reshape(-1),
        tokens_of(WORDS.token("%")),
        decimal(knobs.modulus, 3),
        tokens_of(WORDS.token("=")),
    ]
    return packed(jnp.concatenate(prompt)), Question(packed(decimal(rest, 2)), hidden.any())


def longest(knobs: Refusal) -> int:
    """Tokens of a prompt at most."""
    each = digits(knobs.modulus - 1) + 1
    return int(knobs.numbers) * each + digits(knobs.modulus) + 2


def begin(secret: Question) -> Reply:
    """Nothing said."""
    return Reply(begin_match(secret.answer), jnp.zeros((), bool))


def read(memory: Reply, token: jax.Array, secret: Question) -> Reply:
    """One token."""
    refuses = memory.refuses | ((memory.match.read == 0) & (token == REFUSE))
    return Reply(read_match(memory.match, token, secret.answer), refuses)


def judge(memory: Reply, length: jax.Array, secret: Question, knobs: Refusal) -> Verdict:
    """``right``, ``refused`` or ``wrong``; success is a right answer."""
    right = matched(memory.match, secret.answer)
    refused = memory.refuses & (length == 1)
    reward = jnp.where(right, knobs.right, jnp.where(refused, knobs.refused, knobs.wrong))
    return Verdict(reward, right, {"refused": refused})


def solution(secret: Question) -> Written:
    """The answer where it can be known, else a refusal."""
    refusal = tokens_of(REFUSE, PAD)
    tokens = jnp.where(secret.hides, refusal, secret.answer.tokens)
    return Written(tokens, jnp.where(secret.hides, 1, secret.answer.length))


def optimum(params: TokenParams) -> jax.Array:
    """The best expected reward of one that knows the prompt alone: of the one that is set, or over those that are drawn."""
    knobs: Refusal = params.knobs
    modulus = knobs.modulus.astype(jnp.float32)
    guessed = (knobs.right + (modulus - 1) * knobs.wrong) / modulus
    blind = jnp.maximum(jnp.maximum(knobs.refused, knobs.wrong), guessed)
    seeing = jnp.maximum(knobs.right, blind)
    counts = jnp.arange(2, MOST + 1, dtype=jnp.int32)
    shown = jnp.where(counts <= knobs.numbers, (1 - knobs.hidden) ** counts, 0.0).sum() / (knobs.numbers - 1)
    key = jax.random.wrap_key_data(params.instance, impl="threefry2x32")
    shown = jnp.where(params.fresh, shown, 1.0 - draw(key, knobs)[1].hides)
    return (shown * seeing + (1 - shown) * blind).astype(jnp.float32)


TASK = Task(
    WORDS,
    answer_limit=3,
    knobs=defaults(Refusal, numbers=3, modulus=10, hidden=0.2, right=1.0, refused=0.3, wrong=0.0),
    ranges={
        "numbers": (2, MOST),
        "modulus": (2, 100),
        "hidden": (0.0, 1.0),
        **dict.fromkeys(("right", "refused", "wrong"), (-100.0, 100.0)),
    },
    difficulty=Difficulty("numbers", (2, 3, 4, 6), MOST),
    draw=draw,
    longest=longest,
    begin=begin,
    read=read,
    judge=judge,
    solution=solution,
    told=("refused",),
    optimum=optimum,
)
