"""Own games of the project: each a file of PuzzleScript with one level, with moves that win it and moves that do not."""

from __future__ import annotations

import functools
import json
from importlib.resources import files
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.specs.arrays import GridParams
from jaxrl_envs.specs.encoding import encode
from jaxrl_envs.specs.model import GridSpec
from jaxrl_envs.specs.puzzles.translation import translate

SIZE = "small"
"""The preset that every game fits."""
MOVES = "urdl"
"""Letters of moves, in the order of the environment's actions 1 to 4: up, right, down, left."""


class Puzzle(NamedTuple):
    """A game: its name, its text, its spec, and moves, letters of `MOVES`, that win it and that do not."""

    name: str
    text: str
    spec: GridSpec
    wins: str
    fails: str


@functools.cache
def collection() -> tuple[Puzzle, ...]:
    """All games, in the order of their names."""
    folder = files("jaxrl_envs.specs.puzzles") / "games"
    known = json.loads((folder / "solutions.json").read_text(encoding="utf-8"))
    found = []
    for name, moves in sorted(known.items()):
        text = (folder / f"{name}.txt").read_text(encoding="utf-8")
        found.append(Puzzle(name, text, translate(text)[0], moves["wins"], moves["fails"]))
    return tuple(found)


@functools.cache
def _stacked() -> Any:
    encoded = [encode(puzzle.spec, SIZE) for puzzle in collection()]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *encoded)


def of_number(key: jax.Array, number: jax.Array) -> GridParams:
    """Parameters of one game.

    Args:
        key: goes unread; a game has no randomness.
        number: int32, its place in `collection`.
    """
    del key
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[number], _stacked())


def drawn(key: jax.Array) -> GridParams:
    """Parameters of a game, drawn uniformly."""
    return of_number(key, jax.random.randint(key, (), 0, len(collection()), jnp.int32))
