"""What makes a game won, as predicates of a grid spec that must hold together."""

from __future__ import annotations

from typing import Any

from jaxrl_envs.specs.puzzles.objects import PLAYER, World
from jaxrl_envs.specs.puzzles.source import Line, wrong

_SHAPES = "it must be No X, Some X, All X on Y, Some X on Y or No X on Y"


def conditions_of(lines: list[Line], world: World) -> list[dict[str, Any]]:
    """Predicates without names.

    Raises:
        SpecError: a condition is none of those that can be told, or there is none.
    """
    found = [predicate for line in lines if line.text for predicate in _condition(line, world)]
    if not found:
        wrong(Line(lines[0].number - 1 if lines else 1, "WINCONDITIONS"), "there must be a condition")
    return found


def _condition(line: Line, world: World) -> list[dict[str, Any]]:
    words = line.text.lower().split()
    how = "some" if words[0] == "any" else words[0]
    if how not in ("no", "some", "all") or len(words) not in (2, 4) or (len(words) == 4 and words[2] != "on"):
        wrong(line, _SHAPES)
    if len(words) == 2 and how == "all":
        wrong(line, _SHAPES)
    first = world.meant(words[1], line)
    second = world.meant(words[3], line) if len(words) == 4 else (None,)
    if (len(first) > 1 and how == "some") or (len(second) > 1 and how != "no"):
        wrong(line, "a name for several objects may stand after No, and after All on the left")
    return [_predicate(line, how, x, y, world) for x in first for y in second]


def _predicate(line: Line, how: str, x: str, y: str | None, world: World) -> dict[str, Any]:
    number = {"compare": ">=", "number": 1} if how == "some" else {"compare": "==", "number": 0}
    for name in (x, y):
        if name is not None and name not in world.things | world.grounds:
            wrong(line, f"{name!r} must be in the player's layer or the ground's")
    if y is None:
        if x == PLAYER:
            wrong(line, "a condition about the player must say on what it is")
        return {"kind": "with", "of": x, "by": x, **number}
    if (x in world.things) == (y in world.things):
        wrong(
            line, "the two objects of a condition must be in different layers, the player's and the ground's"
        )
    if x == PLAYER:
        wants = {"compare": ">=", "number": 1} if how == "all" else number
        return {"kind": "with", "of": y, "by": None, **wants}
    kind = "without" if how == "all" else "with"
    return {"kind": kind, "of": x, "by": None if y == PLAYER else y, **number}
