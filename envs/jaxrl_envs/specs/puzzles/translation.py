"""From a game of a part of PuzzleScript to grid specs, one for each of its levels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from jaxrl_envs.specs.caps import BUILT_IN, PRESETS, fitting
from jaxrl_envs.specs.grid import GRID
from jaxrl_envs.specs.model import GridSpec
from jaxrl_envs.specs.puzzles.conditions import conditions_of
from jaxrl_envs.specs.puzzles.objects import BACKGROUND, PLAYER, World, world_of
from jaxrl_envs.specs.puzzles.rules import rules_of
from jaxrl_envs.specs.puzzles.source import Game, Line, bar, blocks, sections_of, wrong
from jaxrl_envs.specs.text import whole

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
    time_limit, told = whole(time_limit, "time_limit"), sections_of(text)
    title, sections, heads = told
    world = world_of(told)
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
    _within_bounds(game, told)
    levels = _blocks_of(sections["levels"], world)
    if not levels:
        wrong(heads["levels"], "there must be a level")
    named = lambda i: f"{title} {i + 1}".strip() if len(levels) > 1 else title
    return [
        GRID.read({"name": named(i)[:60], **game, **_sized(_level(block, world), game)})
        for i, block in enumerate(levels)
    ]


def _within_bounds(game: dict[str, Any], told: Game) -> None:
    """Refuse what no preset has room for, where it stands in the text."""
    most, lost = PRESETS["large"], len(game["failure"])
    for section, number, cap, what in (
        ("objects", len(game["types"]), most.types - len(BUILT_IN), "objects beside background and player"),
        ("rules", len(game["rules"]), most.rules, "late rules once names of several objects are spelt out"),
        ("rules", lost, most.clauses, "kinds of ground on which the player is lost"),
        ("winconditions", len(game["predicates"]) - lost, most.predicates - lost, "conditions"),
    ):
        if number > cap:
            wrong(told.heads[section], f"there may be at most {cap} {what}, and there are {number}")


def _blocks_of(lines: Sequence[Line], world: World) -> list[list[Line]]:
    """The rows of each level, parted by blank lines, messages and bars. Where ``=`` stands for something a row of it alone is a row
    of a level, unless it is by itself, since no level has one row.
    """
    message = lambda line: re.match(r"message\b", line.text, re.IGNORECASE)
    parts = lambda line: message(line) or (bar(line) and "=" not in world.glyphs)
    found = blocks([line._replace(text="") if parts(line) else line for line in lines])
    return [block for block in found if len(block) > 1 or not bar(block[0])]


def _sized(level: dict[str, Any], game: dict[str, Any]) -> dict[str, Any]:
    """A level with the smallest preset that has room for it and for its game."""
    size = fitting(
        side=max(level["height"], level["width"]),
        types=len(game["types"]) + len(BUILT_IN),
        rules=len(game["rules"]),
        predicates=len(game["predicates"]),
        clauses=max(1, len(game["failure"])),
        instructions=len(level["terrain"]),
    )
    return {"size": size, **level}


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
    return {
        "height": height,
        "width": width,
        "terrain": [
            {"op": "cells", "type": name, "map": rows[name]} for name in order if "#" in "".join(rows[name])
        ],
        "agent": {"region": {"row": places[0][0], "column": places[0][1]}},
    }
