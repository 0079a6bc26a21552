"""Rows of colours as in the one-dimensional ARC: three rows with what became of them, then one more; the answer is its row.

``<bos> 0 5 5 0 … > 0 0 5 5 … ; … > … ; … > … ; 0 0 7 0 … >``, and the answer ``0 0 0 7 …``, of the same length. A rule of
`arc_rules` is drawn for a prompt, and what its rows share. Nothing checks that the three rows leave no other rule.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxrl_envs.token.arc_rules import LONGEST, RULES, Puzzle
from jaxrl_envs.token.task import Difficulty, Task, begin_match, judge_match, read_match
from jaxrl_envs.token.vocabulary import BOS, DIGITS, PAD, ZERO, vocabulary
from jaxrl_envs.token.writing import Written, packed, tokens_of

DEMONSTRATIONS = 3
WORDS = vocabulary(*DIGITS, ">", ";")


@struct.dataclass
class Arc:
    """Knobs.

    Attributes:
        cells: int32, how long the rows are.
        rule: int32, which of `arc_rules.RULES` it is; -1 for any.
    """

    cells: jax.Array
    rule: jax.Array


def draw(key: jax.Array, knobs: Arc) -> tuple[Written, Written]:
    """Four rows and what becomes of them, by one rule."""
    key_rule, key_far, key_colours, key_rows = jax.random.split(key, 4)
    rule = jnp.where(knobs.rule < 0, jax.random.randint(key_rule, (), 0, len(RULES)), knobs.rule)
    far = jax.random.randint(key_far, (), 1, 4, jnp.int32)
    colours = jax.random.permutation(key_colours, jnp.arange(1, 10, dtype=jnp.int32))[:3]
    puzzle = Puzzle(knobs.cells, far, colours)

    def pair(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """A row and what becomes of it, ``[40]`` each."""

        def by(name: str) -> tuple[jax.Array, jax.Array]:
            row = RULES[name].draw(key, puzzle)
            return row, RULES[name].apply(row, puzzle)

        return jax.lax.switch(rule, [lambda name=name: by(name) for name in RULES])

    rows, became = jax.vmap(pair)(jax.random.split(key_rows, DEMONSTRATIONS + 1))
    there = jnp.arange(LONGEST) < knobs.cells
    spelled = lambda row: jnp.where(there, row + ZERO, PAD)
    written = [tokens_of(BOS)]
    for i in range(DEMONSTRATIONS):
        written += [
            spelled(rows[i]),
            tokens_of(WORDS.token(">")),
            spelled(became[i]),
            tokens_of(WORDS.token(";")),
        ]
    written += [spelled(rows[-1]), tokens_of(WORDS.token(">"))]
    return packed(jnp.concatenate(written)), Written(spelled(became[-1]), knobs.cells)


TASK = Task(
    WORDS,
    answer_limit=LONGEST + 1,
    knobs=Arc(np.int32(10), np.int32(-1)),
    ranges={"cells": (10, LONGEST), "rule": (-1, len(RULES) - 1)},
    difficulty=Difficulty("cells", (10, 20, 30), LONGEST),
    draw=draw,
    begin=begin_match,
    read=read_match,
    judge=judge_match,
    solution=lambda secret: secret,
)
