"""Rows of colours as in the one-dimensional ARC: three rows (or fewer, or none) with what became of them, then one more; the answer is its row.

``<bos> 0 5 5 0 … > 0 0 5 5 … ; … > … ; … > … ; 0 0 7 0 … >``, and the answer ``0 0 0 7 …``, of the same length. A rule of
`arc_rules` is drawn for a prompt, and what its rows share. Nothing checks that the three rows leave no other rule.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl_envs.token.arc_rules import DRAWS, LONGEST, RULES, Puzzle, shown
from jaxrl_envs.token.task import Difficulty, Task, begin_match, defaults, judge_match, read_match
from jaxrl_envs.token.vocabulary import BOS, DIGITS, PAD, ZERO, vocabulary
from jaxrl_envs.token.writing import Written, packed, tokens_of, whole

DEMONSTRATIONS = 3
WORDS = vocabulary(*DIGITS, ">", ";")


@struct.dataclass
class Arc:
    """Knobs.

    Attributes:
        cells: int32, how long the rows are.
        rule: int32, which of `arc_rules.RULES` it is; -1 for any.
        shown: int32, how many rows are shown with what became of them.
    """

    cells: jax.Array
    rule: jax.Array
    shown: jax.Array


def draw(key: jax.Array, knobs: Arc) -> tuple[Written, Written]:
    """Rows and what becomes of them, by one rule."""
    rows = (DEMONSTRATIONS + 1, DRAWS)
    u = jax.random.uniform(key, (2 + 9 + rows[0] * rows[1],), jnp.float32)
    rule = jnp.where(knobs.rule < 0, whole(u[0], 0, len(RULES) - 1), knobs.rule)
    far, colours = whole(u[1], 1, 3), jnp.argsort(u[2:11])[:3].astype(jnp.int32) + 1
    puzzle = Puzzle(knobs.cells, far, colours)
    rows, became = jax.vmap(lambda u: shown(u, puzzle, rule))(u[11:].reshape(rows))
    there = jnp.arange(LONGEST) < knobs.cells
    spelled = lambda row: jnp.where(there, row + ZERO, PAD)
    written = [tokens_of(BOS)]
    for i in range(DEMONSTRATIONS):
        turned, after = tokens_of(WORDS.token(">")), tokens_of(WORDS.token(";"))
        whole_row = jnp.concatenate([spelled(rows[i]), turned, spelled(became[i]), after])
        written.append(jnp.where(i < knobs.shown, whole_row, PAD))
    written += [spelled(rows[-1]), tokens_of(WORDS.token(">"))]
    return packed(jnp.concatenate(written)), Written(spelled(became[-1]), knobs.cells)


TASK = Task(
    WORDS,
    answer_limit=LONGEST + 1,
    knobs=defaults(Arc, cells=10, rule=-1, shown=DEMONSTRATIONS),
    ranges={"cells": (10, LONGEST), "rule": (-1, len(RULES) - 1), "shown": (0, DEMONSTRATIONS)},
    difficulty=Difficulty("cells", (10, 20, 30), LONGEST),
    draw=draw,
    longest=lambda knobs: (2 * knobs.shown + 1) * (knobs.cells + 1) + 1,
    begin=begin_match,
    read=read_match,
    judge=judge_match,
    solution=lambda secret: secret,
)
