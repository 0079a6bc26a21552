"""Symmetric games of preference, and their Minimax Winners in closed form.

``advantage[i, j]`` in [-1, 1] is by how much option ``i`` is preferred to ``j``, ``2 P(i > j) - 1``. A Minimax Winner (von
Neumann winner, maximal lottery) is a distribution that no option beats: the symmetric Nash equilibrium, of value 0.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxrl_evolve.preferences.check import check_table
from jaxrl_evolve.settings.names import suggestion


class Game(NamedTuple):
    """A game.

    Attributes:
        name: what it is called.
        advantage: float64 ``[n, n]``, antisymmetric.
        winner: float64 ``[n]``, a Minimax Winner in closed form; None where only `minimax.minimax_winner` has one.
        sequence: ``(vocabulary, length)`` of options that are sequences of tokens, in lexicographic order; None of plain ones.
    """

    name: str
    advantage: np.ndarray
    winner: np.ndarray | None = None
    sequence: tuple[int, int] | None = None


def biased_rps(a: float = 0.2, b: float = 0.6, c: float = 0.9) -> Game:
    """Rock, paper, scissors: 1 beats 0 by ``a``, 0 beats 2 by ``b``, 2 beats 1 by ``c``; the winner is ``(c, b, a)``, scaled."""
    for name, value in (("a", a), ("b", b), ("c", c)):
        if not 0 < value <= 1:
            raise ValueError(f"{name} is {value!r}; it must be a number above 0 and at most 1")
    beats = np.array([[0, -a, b], [a, 0, -c], [-b, c, 0]])
    return Game("biased_rps", beats, np.array([c, b, a]) / (a + b + c))


def populations(weights: Sequence[float] = (0.4, 0.35, 0.25), name: str = "populations") -> Game:
    """Three groups who rank three options 0 > 1 > 2, 1 > 2 > 0 and 2 > 0 > 1, each consistently, together in a circle.

    With shares ``w`` all below 1/2 the winner is ``(1 - 2 w[2], 1 - 2 w[0], 1 - 2 w[1])``; else a majority's first choice.
    """
    w = np.asarray(weights, np.float64)
    if w.shape != (3,) or (w < 0).any() or not math.isclose(w.sum(), 1.0):
        raise ValueError(f"weights is {weights!r}; it must be three shares of at least 0 that add up to 1")
    first, second, third = 1 - 2 * w[1], 1 - 2 * w[2], 1 - 2 * w[0]  # 0 over 1, 1 over 2, 2 over 0
    beats = np.array([[0, first, -third], [-first, 0, second], [third, -second, 0]])
    winner = np.array([second, third, first]) if (w < 0.5).all() else np.eye(3)[int(w.argmax())]
    return Game(name, beats, winner)


def random_game(n: int = 10, seed: int = 0) -> Game:
    """Independent uniform advantages in [-1, 1]; its winner has no closed form."""
    return Game(f"random{n}", _uniform(n, seed))


def condorcet(n: int = 10, seed: int = 0, margin: float = 0.2) -> Game:
    """A random game in which option 0 beats every other by ``margin``: it is the only winner."""
    if not 0 < margin <= 1:
        raise ValueError(f"margin is {margin!r}; it must be a number above 0 and at most 1")
    beats = _uniform(n, seed)
    beats[0, 1:], beats[1:, 0] = margin, -margin
    return Game("condorcet", beats, np.eye(n)[0])


def mixed(tiers: int = 3, gap: float = 0.3, cycle: tuple[float, float, float] = (0.2, 0.6, 0.9)) -> Game:
    """Transitive between tiers, cyclic inside: each tier is a `biased_rps`, and beats the ``k``-th below by ``k gap``, up to 1.

    The winner is that of the first tier. Neither a score nor circles alone describe it.
    """
    if tiers < 2 or not 0 < gap <= 1:
        raise ValueError(
            f"tiers is {tiers!r} and gap {gap!r}; there must be 2 tiers at least, and a gap above 0, at most 1"
        )
    inside = biased_rps(*cycle)
    tier = np.repeat(np.arange(tiers), 3)
    between = np.clip(gap * (tier[None, :] - tier[:, None]), -1, 1)
    beats = between + np.kron(np.eye(tiers), inside.advantage)
    assert inside.winner is not None
    return Game("mixed", beats, np.concatenate([inside.winner, np.zeros(3 * tiers - 3)]))


def sequences(weights: Sequence[float] = (0.4, 0.35, 0.25), length: int = 4, name: str = "sequences") -> Game:
    """Sequences of three tokens, of which only the sum modulo 3 is judged, by `populations`.

    The winner in closed form spreads each class's share evenly; every other spread wins as well.
    """
    classes = np.array([sum(s) % 3 for s in itertools.product(range(3), repeat=length)])
    small = populations(weights)
    assert small.winner is not None
    winner = (small.winner / np.bincount(classes, minlength=3))[classes]
    return Game(name, small.advantage[np.ix_(classes, classes)], winner, (3, length))


def from_table(advantage: ArrayLike, name: str = "mine") -> Game:
    """A game of one's own.

    Raises:
        ValueError: the matrix is not antisymmetric or leaves [-1, 1]; of its probabilities ``(1 + A) / 2`` the pair is named.
    """
    matrix = np.asarray(advantage, np.float64)
    probs = check_table((1 + matrix) / 2, f"(1 + {name}) / 2")
    return Game(name, probs - probs.T)


def _uniform(n: int, seed: int) -> np.ndarray:
    if n < 2:
        raise ValueError(f"n is {n}; a game has at least 2 options")
    upper = np.triu(np.random.default_rng(seed).uniform(-1, 1, (n, n)), 1)
    return upper - upper.T


GAMES: dict[str, Callable[[], Game]] = {
    "biased_rps": biased_rps,
    "populations": populations,
    "random10": random_game,
    "condorcet": condorcet,
    "mixed": mixed,
    "sequences": sequences,
    "sequences_uneven": lambda: sequences((0.45, 0.45, 0.10), name="sequences_uneven"),
}
"""Games by name."""


def find_game(name: str) -> Game:
    """The game called ``name``.

    Raises:
        ValueError: none is called so; with near matches.
    """
    if name not in GAMES:
        raise ValueError(f"games has {name!r}, which is not known: {suggestion(name, GAMES)}")
    return GAMES[name]()
