"""Zebra puzzles: houses in a row, each with one value of four attributes; clues, a question, one token as the answer.

``<bos> #3 ; red in #1 ; cat with red ; tea beside cat ; … ; dog in ?``, and the answer ``#3``; or ``… ; #3 pet ?``, and the answer
``dog``. ``#3`` at the beginning says how many houses there are; of each attribute there are as many values, the first of `VALUES`.
``left`` is directly left of, ``beside`` directly left or right of.

**One solution, by construction.** A solution is drawn first. Then one value after the other is placed, each where what has been
placed leaves it one house: by being in a numbered house (the first one), by a clue that ties it to a placed value (in the same
house; directly left or right of it; beside it where the other side is outside the row or taken by its own attribute), or, as the
last of its attribute, without a clue. So the clues, in this order, force every value: there is no other solution, and nothing has
to be searched. They are shown in another order. The question is about the value that was placed last, for which all the rest of
its attribute has to be known.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxrl_envs.token.task import Difficulty, Task, begin_match, defaults, judge_match, read_match
from jaxrl_envs.token.vocabulary import BOS, PAD, vocabulary
from jaxrl_envs.token.writing import Written, packed, tokens_of

MOST = 6
VALUES = {
    "colour": ("red", "green", "blue", "white", "yellow", "black"),
    "pet": ("cat", "dog", "fish", "bird", "horse", "fox"),
    "drink": ("tea", "milk", "water", "juice", "coffee", "cola"),
    "job": ("baker", "pilot", "nurse", "judge", "farmer", "tailor"),
}
"""Values of each attribute."""
HOUSES = tuple(f"#{i + 1}" for i in range(MOST))
_NAMES = [name for values in VALUES.values() for name in values]
WORDS = vocabulary(*_NAMES, *VALUES, *HOUSES, "in", "with", "left", "beside", ";", "?")
ITEMS = len(_NAMES)
DRAWS = 4 + ITEMS + 1
"""Uniform numbers that a placing takes."""
FIRST_ITEM, FIRST_ATTRIBUTE, FIRST_HOUSE = (WORDS.token(name) for name in ("red", "colour", "#1"))
_ATTRIBUTE = np.arange(ITEMS, dtype=np.int32) // MOST


@struct.dataclass
class Zebra:
    """Knobs.

    Attributes:
        houses: int32, how many.
    """

    houses: jax.Array


class Placing(NamedTuple):
    """What all placings share: the house of each value (int32 ``[24]``), which values there are (bool ``[24]``), the houses (int32)."""

    house: jax.Array
    there: jax.Array
    houses: jax.Array


def draw(key: jax.Array, knobs: Zebra) -> tuple[Written, Written]:
    """A puzzle and its answer."""
    u = jax.random.uniform(key, (ITEMS * DRAWS + 3 * ITEMS + 1,), jnp.float32)
    u_steps, u_houses, u_order, u_clues = jnp.split(u[:-1], np.cumsum([ITEMS * DRAWS, ITEMS, ITEMS]))
    number = np.arange(ITEMS) % MOST
    there = jnp.asarray(number) < knobs.houses
    placing = Placing(houses_of(u_houses, there), there, knobs.houses)
    step = lambda known, u: _place(known, u, u_order, placing)
    known = jnp.zeros((ITEMS,), bool)
    _, (clues, placed) = jax.lax.scan(step, known, u_steps.reshape(ITEMS, DRAWS))
    last = placed[len(VALUES) * knobs.houses - 1]
    shuffled = clues[jnp.argsort(u_clues)]
    by_house = u[-1] < 0.5
    its_house, its_name = placing.house[last] + FIRST_HOUSE, last + FIRST_ITEM
    attribute = jnp.asarray(_ATTRIBUTE)[last] + FIRST_ATTRIBUTE
    of_value = jnp.stack([its_name, tokens_of(WORDS.token("in"))[0]])
    asked = jnp.where(by_house, of_value, jnp.stack([its_house, attribute]))
    end, question = WORDS.token(";"), WORDS.token("?")
    header = jnp.stack([tokens_of(BOS)[0], knobs.houses - 1 + FIRST_HOUSE, tokens_of(end)[0]])
    prompt = packed(jnp.concatenate([header, shuffled.reshape(-1), asked, tokens_of(question)]))
    answer = jnp.where(by_house, its_house, its_name)
    return prompt, Written(answer[None], jnp.ones((), jnp.int32))


def houses_of(u: jax.Array, there: jax.Array) -> jax.Array:
    """A random house for each value, int32 ``[24]``: the rank of its random number among those of its attribute. Of equal numbers, which come a
    few times in a million, the first is in front.
    """
    scores = jnp.where(there, u, 2.0).reshape(-1, MOST)
    others, own = scores[:, None, :], scores[:, :, None]
    tied = (others == own) & (own < 1.0) & jnp.tri(MOST, k=-1, dtype=bool)
    return ((others < own) | tied).sum(2, dtype=jnp.int32).reshape(-1)


def _place(known: jax.Array, u: jax.Array, order: jax.Array, placing: Placing) -> tuple[jax.Array, Any]:
    """One more value is placed; what is known (bool ``[24]``), the clue that does it (int32 ``[4]``, or `PAD`), the value."""
    house, attribute = placing.house, jnp.asarray(_ATTRIBUTE)
    unknown = placing.there & ~known
    apart = house[:, None] - house
    same_kind = jnp.asarray(_ATTRIBUTE[:, None] == _ATTRIBUTE)
    tied = known & ((jnp.abs(apart) == 1) | ((apart == 0) & ~same_kind))
    alone = (same_kind & unknown).sum(1) == 1
    ready = unknown & (tied.any(1) | alone)
    # The first value is tied to none.
    item = jnp.argmax(jnp.where(jnp.where(ready.any(), ready, unknown), order, -1.0)).astype(jnp.int32)

    mine, own = house[item], attribute == attribute[item]
    off = mine - house
    other = house - off  # the house on the other side
    taken = ((house == other[:, None]) & own & known).any(1)
    outside = (other < 0) | (other >= placing.houses)
    ways = jnp.stack(
        [(off == 0) & ~own, off == -1, off == 1, (jnp.abs(off) == 1) & (outside | taken)]
    )  # with, left of, right of, beside
    score = jnp.where(ways & known, u[:4, None] + u[4 : 4 + ITEMS], -1.0)
    best = jnp.argmax(score.reshape(-1)).astype(jnp.int32)
    way, friend = best // ITEMS, best % ITEMS
    turned = (way == 2) | ((way != 1) & (u[-1] < 0.5))  # what is with or beside may come second
    me, them = item + FIRST_ITEM, friend + FIRST_ITEM
    word = tokens_of(*(WORDS.token(name) for name in ("with", "left", "left", "beside")))[way]
    end, inside = tokens_of(WORDS.token(";"), WORDS.token("in"))
    tie = jnp.stack([jnp.where(turned, them, me), word, jnp.where(turned, me, them), end])
    number = jnp.stack([me, inside, mine + FIRST_HOUSE, end])
    clue = jnp.where(known.any(), tie, number)
    needless = alone[item] | ~unknown.any()
    here = (jnp.arange(ITEMS) == item) & unknown
    return known | here, (jnp.where(needless, PAD, clue), item)


TASK = Task(
    WORDS,
    answer_limit=2,
    knobs=defaults(Zebra, houses=3),
    ranges={"houses": (3, MOST)},
    difficulty=Difficulty("houses", (3, 4, 5), MOST),
    draw=draw,
    longest=lambda knobs: 4 * len(VALUES) * (knobs.houses - 1) + 6,  # no clue for the last value of each kind
    begin=begin_match,
    read=read_match,
    judge=judge_match,
    solution=lambda secret: secret,
)
