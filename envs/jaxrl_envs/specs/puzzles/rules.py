"""Rules of a game, and what makes it won, as rules and predicates of a grid spec.

PuzzleScript applies late rules one after the other, each until nothing changes; a grid spec all at once. Where that could differ, a
rule is refused.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from jaxrl_envs.specs.puzzles.objects import PLAYER, World
from jaxrl_envs.specs.puzzles.source import Line, wrong

_SHAPES = (
    "it must be a push, [ > Player | X ] -> [ > Player | > X ], or late and about one cell, as in late [ X Y ] -> [ Z ], "
    "or about two of which one changes, as in late [ X | Y ] -> [ Z | Y ]"
)
Cell = tuple[tuple[str, str], ...]


class Late(NamedTuple):
    """A late rule: the rule of a spec, None where it takes the player away; names that it reads, makes and removes; whether about one cell."""

    line: Line
    rule: dict[str, Any] | None
    reads: frozenset[str]
    makes: frozenset[str]
    removes: frozenset[str]
    single: bool


class Rules(NamedTuple):
    """What the rules come to: objects that are pushed, rules of a spec, ground on which the player is lost."""

    pushed: set[str]
    rules: list[dict[str, Any]]
    deadly: list[str]


def rules_of(lines: list[Line], world: World) -> Rules:
    """The rules of a game.

    Raises:
        SpecError: a rule is none of those that can be told.
    """
    pushed, late, deadly = set[str](), list[Late](), list[str]()
    for line in lines:
        if not line.text:
            continue
        is_late, before, after = _parts(line)
        if not is_late:
            pushed |= _push(line, before, after, world)
            continue
        told = (
            _single(line, before[0], after[0], world)
            if len(before) == 1
            else _pair(line, before, after, world)
        )
        for earlier in [*late, told]:
            _apart(earlier, told, world)
        late.append(told)
        if told.rule is None:
            deadly += sorted(told.reads - {PLAYER})
    return Rules(pushed, [told.rule for told in late if told.rule is not None], deadly)


def _parts(line: Line) -> tuple[bool, list[Cell], list[Cell]]:
    """Whether a rule is late, and the cells of its two sides, each cell as pairs of a mark and a word."""
    match = re.match(
        r"^(late )?\s*\[([^\[\]]*)\]\s*->\s*\[([^\[\]]*)\]\s*(sfx\d+)?$", line.text, re.IGNORECASE
    )
    if match is None or "..." in line.text:
        wrong(line, _SHAPES)
    sides = []
    for side in (match[2], match[3]):
        cells = []
        for cell in side.split("|"):
            words = re.findall(r"[<>^v](?=\s)|[^\s<>^]+", cell)
            marked = list[tuple[str, str]]()
            mark = ""
            for word in words:
                if word in ("<", ">", "^", "v"):
                    mark = word
                else:
                    marked.append((mark, word.lower()))
                    mark = ""
            cells.append(tuple(marked))
        sides.append(cells)
    if len(sides[0]) != len(sides[1]) or len(sides[0]) > 2:
        wrong(line, _SHAPES)
    return match[1] is not None, sides[0], sides[1]


def _push(line: Line, before: list[Cell], after: list[Cell], world: World) -> set[str]:
    player = ((">", PLAYER),)
    shape = len(before) == 2 and before[0] == after[0] == player and len(before[1]) == 1
    if not shape or before[1][0][0] or after[1] != ((">", before[1][0][1]),):
        wrong(line, _SHAPES)
    moved = {*world.meant(before[1][0][1], line)}
    if PLAYER in moved or not moved <= world.things:
        wrong(line, "what is pushed must be in the player's layer, and not the player")
    return moved


def _named(line: Line, cell: Cell, world: World) -> frozenset[str]:
    """The objects of a cell of a late rule."""
    names = list[str]()
    for mark, word in cell:
        meant = world.meant(word, line)
        if mark or len(meant) > 1:
            wrong(line, "a late rule must name single objects, without marks of movement")
        names += meant
    if len({*names}) < len(names) or not {*names} <= world.things | world.grounds:
        wrong(line, "a late rule must name each object once in a cell, and not the background")
    return frozenset(names)


def _single(line: Line, before: Cell, after: Cell, world: World) -> Late:
    here, then = _named(line, before, world), _named(line, after, world)
    things, grounds = here & world.things, here & world.grounds
    if len(things) != 1 or len(grounds) != 1:
        wrong(line, "a rule about one cell must have a thing and the ground below it on the left")
    told = Late(line, None, here, then - here, here - then, True)
    if PLAYER in here and PLAYER not in then:
        if then - grounds:
            wrong(line, "where the player goes away the ground may stay, and nothing else may come")
        return told
    left = then - {PLAYER}
    if (
        len(left) > 1
        or here == then
        or (PLAYER in here and left & world.things)
        or (PLAYER in then) - (PLAYER in here)
    ):
        wrong(line, "a rule about one cell must change it, and leave at most one object beside the player")
    of = next(iter(things - {PLAYER}), None)
    rule = {"when": "on", "of": of, "by": next(iter(grounds)), "becomes": next(iter(left), "floor")}
    return told._replace(rule=rule)


def _pair(line: Line, before: list[Cell], after: list[Cell], world: World) -> Late:
    cells = [(_named(line, a, world), _named(line, b, world)) for a, b in zip(before, after, strict=True)]
    changed = [cell for cell in cells if cell[0] != cell[1]]
    same = [cell for cell in cells if cell[0] == cell[1]]
    if len(changed) != 1 or len(changed[0][0]) != 1 or len(changed[0][1]) > 1 or len(same[0][0]) != 1:
        wrong(line, "a rule about two cells must have one object in each on the left, and change one of them")
    (of,), (by,), new = changed[0][0], same[0][0], changed[0][1]
    if of in (PLAYER, by) or PLAYER in new or not {of, by, *new} <= world.things:
        wrong(
            line,
            "a rule about two cells must be about two objects of the player's layer, and not change the player",
        )
    rule = {
        "when": "adjacent",
        "of": of,
        "by": None if by == PLAYER else by,
        "becomes": next(iter(new), "floor"),
    }
    return Late(line, rule, frozenset({of, by}), new, frozenset({of}), False)


def _apart(earlier: Late, later: Late, world: World) -> None:
    """Whether it is the same if both read what was there before either, and whether the player is lost what is there after both.

    Of things that fill a cell only the player is where it is lost, so only a rule about itself can change the ground there.
    """
    touched = earlier.makes & later.reads
    if earlier is not later and not (
        earlier.single and later.single and earlier.reads & world.things != later.reads & world.things
    ):
        touched |= (earlier.removes - {PLAYER}) & later.reads
    if touched:
        name = sorted(touched)[0]
        wrong(
            later.line,
            f"it reads {name!r}, which the rule of line {earlier.line.number} has changed in the same turn; a late rule must not",
        )
    deadly = earlier.reads - {PLAYER} if earlier.rule is None else frozenset[str]()
    if later.rule is not None and PLAYER in later.reads and (under := (later.makes | later.removes) & deadly):
        name = sorted(under)[0]
        wrong(
            later.line,
            f"it changes {name!r} under the player, which is lost there by the rule of line {earlier.line.number}; a late rule after that must not",
        )
