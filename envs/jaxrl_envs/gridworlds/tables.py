"""Grid worlds as data: the hand-made levels and the distributions that levels are drawn from.

Numbers follow Oh et al. (2020), "Discovering Reinforcement Learning Algorithms", and Jackson et al. (2023),
"Discovering General Reinforcement Learning Algorithms with Adversarial Environment Design". They publish no
cells for the starts and for the objects of the tabular levels; those here are ours.
"""

from __future__ import annotations

from typing import NamedTuple

from jaxrl_envs.gridworlds.layouts import LAYOUTS

Cell = tuple[int, int]
Range = tuple[float, float]


class Object(NamedTuple):
    """Something to collect.

    Attributes:
        reward: for collecting it.
        p_terminate: chance that collecting it ends the episode.
        p_respawn: chance, at each step while it is absent, that it comes back.
        cell: ``(row, column)``, or None where cells are drawn in each episode.
    """

    reward: float
    p_terminate: float
    p_respawn: float
    cell: Cell | None = None


class HandMade(NamedTuple):
    """One level. Lifetimes are counted in updates of 1,280 steps (64 environments, 20 steps each)."""

    height: int
    width: int
    start: Cell
    objects: tuple[Object, ...]
    max_steps: int
    lifetime: int
    walls: tuple[Cell, ...] = ()


class Family(NamedTuple):
    """A distribution over levels; ranges are inclusive. Sampled by `families.sample_level`.

    Attributes:
        shape: rows and columns of the arrays that hold every level of the family.
        size: of height and of width, drawn uniformly and apart.
        objects: how many there are, drawn uniformly.
        walls: cells of the whole ``shape`` drawn as walls; those outside a smaller level are lost.
        steps: the time limit, drawn log-uniformly.
        lifetime: an agent's updates of 1,280 steps each, drawn log-uniformly.
        reward: of all objects but the first, whose reward is uniform in 0..1, drawn uniformly.
        layouts: names of mazes of `layouts.LAYOUTS`, one of which is drawn, in place of drawn walls.
    """

    shape: tuple[int, int]
    size: tuple[int, int]
    objects: tuple[int, int]
    walls: int
    steps: tuple[int, int]
    lifetime: tuple[int, int]
    reward: Range = (-1.0, 1.0)
    layouts: tuple[str, ...] = ()


P_TERMINATE: Range = (0.01, 1.0)
"""Log-uniform, in every family."""
P_RESPAWN: Range = (0.001, 0.1)
"""Log-uniform, in every family."""


def _column(column: int, height: int, *doors: int) -> tuple[Cell, ...]:
    return tuple((row, column) for row in range(height) if row not in doors)


def _row(row: int, width: int, *doors: int) -> tuple[Cell, ...]:
    return tuple((row, column) for column in range(width) if column not in doors)


_TABULAR, _RANDOM = 2_500, 25_000

# Objects with a cell make a tabular level; objects without one are redrawn.
LEVELS: dict[str, HandMade] = {
    "dense": HandMade(
        11,
        11,
        (5, 5),
        (
            Object(1.0, 0.0, 0.05, (2, 2)),
            Object(1.0, 0.0, 0.05, (8, 8)),
            Object(-1.0, 0.5, 0.1, (2, 8)),
            Object(-1.0, 0.0, 0.5, (8, 2)),
        ),
        500,
        _TABULAR,
    ),
    "sparse": HandMade(
        13, 13, (6, 6), (Object(1.0, 1.0, 0.0, (1, 11)), Object(-1.0, 1.0, 0.0, (11, 1))), 50, _TABULAR
    ),
    "long": HandMade(
        11,
        11,
        (5, 5),
        (
            Object(1.0, 0.0, 0.01, (1, 1)),
            Object(1.0, 0.0, 0.01, (9, 9)),
            Object(-1.0, 0.5, 1.0, (3, 3)),
            Object(-1.0, 0.5, 1.0, (7, 7)),
        ),
        1000,
        _TABULAR,
    ),
    "longer": HandMade(
        9,
        9,
        (4, 2),
        (
            Object(1.0, 0.1, 0.01, (7, 0)),
            Object(1.0, 0.1, 0.01, (4, 7)),
            Object(-1.0, 0.8, 1.0, (1, 3)),
            Object(-1.0, 0.8, 1.0, (6, 2)),
            Object(-1.0, 0.8, 1.0, (4, 6)),
        ),
        2000,
        _TABULAR,
        _column(4, 9, 1, 7),
    ),
    "long-dense": HandMade(
        11,
        11,
        (7, 5),
        tuple(Object(1.0, 0.0, 0.005, cell) for cell in ((1, 1), (1, 9), (9, 1), (9, 9))),
        2000,
        _TABULAR,
        tuple(dict.fromkeys(_column(5, 11, 0, 7) + _row(4, 11, 2, 8))),
    ),
    "rand-dense": HandMade(
        11,
        11,
        (5, 5),
        (Object(1.0, 0.0, 0.05),) * 2 + (Object(-1.0, 0.5, 0.1), Object(-1.0, 0.0, 0.5)),
        500,
        _RANDOM,
    ),
    "rand-long": HandMade(
        11,
        11,
        (5, 5),
        (Object(1.0, 0.0, 0.01),) * 2 + (Object(-1.0, 0.5, 1.0),) * 2,
        1000,
        _RANDOM,
    ),
    "rand-small": HandMade(
        7,
        7,
        (3, 3),
        (Object(1.0, 0.0, 0.05),) * 2 + (Object(-1.0, 0.5, 0.1),) * 2,
        500,
        _RANDOM,
        ((1, 2), (3, 4)),
    ),
    "rand-sparse": HandMade(
        7, 7, (3, 3), (Object(1.0, 1.0, 1.0),) + (Object(-1.0, 1.0, 1.0),) * 2, 50, _RANDOM
    ),
    "rand-very-dense": HandMade(11, 11, (5, 5), (Object(1.0, 0.0, 1.0),), 2000, _RANDOM),
}
"""Levels made by hand, by name."""

_ALL = Family((10, 10), (4, 10), (1, 5), 15, (20, 750), (1_000, 1_000))
_MAZE = Family((13, 13), (13, 13), (3, 3), 0, (25, 50), (2_500, 2_500), reward=(0.0, 1.0))

FAMILIES: dict[str, Family] = {
    "small": Family((6, 6), (4, 6), (1, 3), 7, (20, 100), (250, 250)),
    "medium": Family((8, 8), (6, 8), (2, 4), 10, (100, 250), (1_000, 1_000)),
    "large": Family((10, 10), (8, 10), (2, 5), 15, (250, 750), (2_500, 2_500)),
    "all": _ALL,
    "all-shortlife": _ALL._replace(lifetime=(250, 250)),
    "randlife": _ALL._replace(lifetime=(50, 250)),
    "vrandlife": _ALL._replace(lifetime=(10, 250)),
    "mazes": _MAZE._replace(layouts=tuple(LAYOUTS)),
} | {f"maze-{name}": _MAZE._replace(layouts=(name,)) for name in LAYOUTS}
"""Families that levels are drawn from, by name."""
