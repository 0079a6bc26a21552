"""From a game of a part of PuzzleScript to grid specs, one for each of its levels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from jaxrl_envs.specs.caps import PRESETS
from jaxrl_envs.specs.grid import GRID
from jaxrl_envs.specs.model import GridSpec
from jaxrl_envs.specs.puzzles.conditions import conditions_of
from jaxrl_envs.specs.puzzles.objects import BACKGROUND, PLAYER, World, world_of
from jaxrl_envs.specs.puzzles.rules import rules_of
from jaxrl_envs.specs.puzzles.source import Line, blocks, sections_of, wrong

ENDINGS = (".txt", ".puzzle")
"""Of files that hold a game; all others hold a spec as JSON."""


def translate(text: str | bytes, time_limit: int = 100) -> list[GridSpec]:
    """The levels of a game. Moves of the game are up, right, down and left of the environment; its action key does nothing.

    Args:
        text: of the game.
        time_limit: of each level, in steps; the game itself has none.

    Raises:
        SpecError: with the line, what stands there, and what may.
    """
    title, sections = sections_of(text)
    world = world_of(sections)
    rules = rules_of(sections["rules"], world)
    predicates = [
        {"name": f"win{i + 1}", **predicate}
        for i, predicate in enumerate(conditions_of(sections["winconditions"], world))
    ]
    won = [predicate["name"] for predicate in predicates]
    lost = [
        {"name": f"lost{i + 1}", "kind": "with", "of": ground, "by": None}
        for i, ground in enumerate(rules.deadly)
    ]
    game = {
        "types": [
            _type(name, world, rules.pushed) for name in world.colours if name not in (BACKGROUND, PLAYER)
        ],
        "rules": rules.rules,
        "predicates": predicates + lost,
        "success": [{"all": won}],
        "failure": [{"all": [predicate["name"]]} for predicate in lost],
        "time_limit": time_limit,
    }
    levels = blocks([_without_message(line) for line in sections["levels"]])
    if not levels:
        wrong(Line(0, "LEVELS"), "there must be a level")
    named = lambda i: f"{title} {i + 1}".strip() if len(levels) > 1 else title
    return [
        GRID.read({"name": named(i)[:60], **game, **_level(block, world)}) for i, block in enumerate(levels)
    ]


def _without_message(line: Line) -> Line:
    """A line of the levels; a message parts them as a blank one does."""
    return line._replace(text="") if re.match(r"message\b", line.text, re.IGNORECASE) else line


def _type(name: str, world: World, pushed: set[str]) -> dict[str, Any]:
    ground = name in world.grounds
    return {
        "name": name,
        "walkable": ground,
        "ground": ground,
        "pushable": name in pushed,
        "colour": world.colours[name],
    }


def _level(block: Sequence[Line], world: World) -> dict[str, Any]:
    height, width = len(block), len(block[0].text)
    most = PRESETS["large"].side
    if not (3 <= height <= most and 3 <= width <= most):
        wrong(
            block[0],
            f"a level must have from 3 to {most} rows and columns, and this has {height} and {width}",
        )
    drawings: dict[str, list[list[str]]] = {
        name: [["."] * width for _ in range(height)] for name in world.colours
    }
    for row, line in enumerate(block):
        if len(line.text) != width:
            wrong(line, f"it must have {width} letters, as the first row of the level has")
        for column, letter in enumerate(line.text.lower()):
            if letter not in world.glyphs:
                wrong(
                    line, f"{letter!r} stands for nothing; it must be one of {' '.join(sorted(world.glyphs))}"
                )
            here = world.glyphs[letter]
            if any(len({*here} & layer) > 1 for layer in (world.things, world.grounds)):
                wrong(
                    line,
                    f"{letter!r} puts two objects of one layer into a cell; it must be one of each layer",
                )
            for name in here:
                drawings[name][row][column] = "#"
    places = [(r, c) for r in range(height) for c in range(width) if drawings[PLAYER][r][c] == "#"]
    if len(places) != 1:
        wrong(block[0], f"a level must have one player, and this has {len(places)}")
    order = [*sorted(world.grounds), *sorted(world.things - {PLAYER})]
    rows = {name: ["".join(row) for row in drawings[name]] for name in order}
    size = next(name for name, caps in PRESETS.items() if max(height, width) <= caps.side)
    return {
        "size": size,
        "height": height,
        "width": width,
        "terrain": [
            {"op": "cells", "type": name, "map": rows[name]} for name in order if "#" in "".join(rows[name])
        ],
        "agent": {"region": {"row": places[0][0], "column": places[0][1]}},
    }
