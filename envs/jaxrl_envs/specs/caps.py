"""How large specs may be: sizes that shapes depend on, so a program is compiled for each of three presets."""

from __future__ import annotations

from typing import NamedTuple


class Caps(NamedTuple):
    """Sizes of the arrays. Rows that a spec does not use cost time all the same, so the smallest that fits is best.

    Attributes:
        side: rows and columns of the map.
        types: of cells and items, `BUILT_IN` among them.
        rules: rules.
        predicates: predicates.
        clauses: clauses of success, and of failure.
        instructions: of the terrain.
        view: cells that the agent sees a side unless another number is asked for.
    """

    side: int
    types: int
    rules: int
    predicates: int
    clauses: int
    instructions: int
    view: int


PRESETS = {
    "small": Caps(9, 16, 16, 12, 4, 12, 7),
    "medium": Caps(13, 16, 24, 16, 6, 24, 9),
    "large": Caps(21, 24, 48, 24, 8, 32, 9),
}
"""By name, the smallest first; each holds the ones before it."""


def fitting(**needed: int) -> str:
    """The smallest preset that has room for so many of each (by names of `Caps`), or the largest, of which `read` says that it has not."""
    fits = lambda caps: all(number <= getattr(caps, name) for name, number in needed.items())
    return next((name for name, caps in PRESETS.items() if fits(caps)), [*PRESETS][-1])


BUILT_IN = ("void", "floor")
"""Types that every spec has: what lies beyond the map, and an empty cell."""
VOID, FLOOR = range(2)
MOST_HELD = 9
"""Of one thing, in the agent's inventory."""
MOST_HEALTH = 9
MOST_STEPS = 10_000
"""The longest time limit."""
