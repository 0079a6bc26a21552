"""Rulesets of XLand-MiniGrid (Nikulin et al. 2023, arXiv 2312.12044) as grid specs of a carrier, step by step the same in one room.

A ruleset is a goal, uint8 ``[5]``, rules, uint8 ``[R, 7]``, and things on the map, uint8 ``[I, 2]``: numbers of kinds, then pairs of a
tile and a colour. Actions have the numbers that they have there. What cannot be said is refused in one sentence.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxrl_envs.specs.caps import BUILT_IN, fitting
from jaxrl_envs.specs.grid import GRID
from jaxrl_envs.specs.language import Fault, SpecError
from jaxrl_envs.specs.model import SIDES, GridSpec
from jaxrl_envs.specs.text import whole

TILES = (
    "empty", "floor", "wall", "ball", "square", "pyramid", "goal", "key", "door-locked", "door-closed", "door-open", "hex", "star",
)  # fmt: skip
"""By number; what lies beyond the map is ``empty``."""
COLOURS = (
    "", "red", "green", "blue", "purple", "yellow", "grey", "black", "orange", "white", "brown", "pink",
)  # fmt: skip
_WALKABLE, _PICKABLE = ("goal", "door-open"), ("ball", "square", "pyramid", "key", "hex", "star")
_FLOOR, _WALL = (1, 7), (2, 6)
_FADE = 0.9
_GOALS = {
    1: 1,
    2: 1,
    3: 1,
    4: 2,
    **dict.fromkeys(range(7, 11), 2),
    **dict.fromkeys(range(11, 15), 1),
    5: 1,
    6: 0,
}
"""Kinds of goals, and how many tiles they name."""
_RULES = {1: 1, 2: 1, 3: 2, **dict.fromkeys(range(4, 8), 2), **dict.fromkeys(range(8, 12), 1)}
"""Kinds of rules, and how many tiles they ask for; one more is what they make."""


def translate(
    goal: Any,
    rules: Any,
    init_tiles: Any,
    height: int = 9,
    width: int = 9,
    time_limit: int | None = None,
    name: str = "",
) -> GridSpec:
    """The spec of a ruleset in one room (``R1``).

    Args:
        goal: uint8 ``[5]``.
        rules: uint8 ``[R, 7]``.
        init_tiles: uint8 ``[I, 2]``.
        height: rows of the map with its walls.
        width: columns.
        time_limit: in steps; three times the cells of the map if None, as there.
        name: of the spec.

    Raises:
        SpecError: it is no ruleset, or one that a spec cannot say; one sentence names the rule or goal and why.
    """
    table = [
        _numbers("goal", goal, (5,)),
        _numbers("rules", rules, (None, 7)),
        _numbers("init_tiles", init_tiles, (None, 2)),
    ]
    height, width = whole(height, "height"), whole(width, "width")
    limit = 3 * height * width if time_limit is None else whole(time_limit, "time_limit")
    things = [(i, (int(t), int(c))) for i, (t, c) in enumerate(table[2]) if (t, c) != (0, 0)]
    strewn = [_tile(f"init_tiles[{i}]", *pair) for i, pair in things]
    _without_doors("init_tiles", "given", strewn)
    if len(table[2]) >= max(0, height - 2) * max(0, width - 2):
        raise _refused(
            "init_tiles",
            f"a list of {len(table[2])}",
            f"a room of {height} x {width} has too few cells for them and the agent",
        )
    said = [rule for i, row in enumerate(table[1]) if row[0] for rule in _rule(f"rules[{i}]", row)]
    aim = _goal(table[0], height, width)
    mentioned = {
        name for row in (*said, aim) for name in (row.get("of"), row.get("by"), row.get("becomes")) if name
    }
    names = sorted(({*strewn, "wall-grey"} | mentioned) - {*BUILT_IN})
    return GRID.read(
        {
            "name": name,
            "size": fitting(
                side=max(height, width), types=len(names) + len(BUILT_IN), rules=len(said), instructions=len(names) + 1
            ),
            "height": height,
            "width": width,
            "types": [_type(name) for name in names],
            "terrain": [
                {"op": "border", "type": "wall-grey"},
                *({"op": "scatter", "type": thing, "count": strewn.count(thing)} for thing in sorted({*strewn})),
            ],
            "agent": {
                "body": "carrier",
                "region": {"row": 1, "column": 1, "height": height - 2, "width": width - 2},
            },
            "rules": said,
            "predicates": [{"name": "goal", **aim}],
            "success": [{"all": ["goal"]}],
            "reward": {"success": 1, "fade": _FADE},
            "time_limit": limit,
        }
    )  # fmt: skip


def tiles_of(spec: GridSpec) -> np.ndarray:
    """The tile and colour of each type of a translated spec, by its number, uint8 ``[types, 2]``."""
    pairs = {_name(t, c): (t, c) for t in range(2, len(TILES)) for c in range(1, len(COLOURS))}
    if foreign := [kind.name for kind in spec.types if kind.name not in pairs]:
        raise ValueError(
            f"spec has a type {foreign[0]!r}, which is no tile and colour; it must come of a translation"
        )
    return np.asarray([(0, 0), _FLOOR, *(pairs[kind.name] for kind in spec.types)], np.uint8)


def _refused(path: str, value: str, why: str) -> SpecError:
    return SpecError(Fault(path, value, why))


def _numbers(name: str, rows: Any, shape: tuple[int | None, ...]) -> np.ndarray:
    try:
        found = np.asarray(rows)
    except ValueError:  # rows of different lengths
        raise _refused(name, "no table", "its rows must be of one length") from None
    if found.size == 0 and found.ndim == 1 and len(shape) == 2:
        found = np.zeros((0, shape[1] or 0), int)
    fits = found.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, found.shape, strict=True))
    if not fits or not np.issubdtype(found.dtype, np.integer):
        said = ", ".join("any" if n is None else str(n) for n in shape)
        raise _refused(
            name, f"{found.dtype} {list(found.shape)}", f"it must be whole numbers of shape [{said}]"
        )
    return found.astype(int)


def _name(tile: int, colour: int) -> str:
    return "floor" if (tile, colour) == _FLOOR else f"{TILES[tile]}-{COLOURS[colour]}"


def _tile(path: str, tile: int, colour: int) -> str:
    """The name of a type."""
    pair = f"({tile}, {colour})"
    if not 2 <= tile < len(TILES) and (tile, colour) != _FLOOR:
        why = "the only floor of a spec is black" if tile == 1 else "there is no such tile to name"
        raise _refused(path, pair, why)
    if not 1 <= colour < len(COLOURS):
        raise _refused(path, pair, "there is no such colour")
    return _name(tile, colour)


def _without_doors(path: str, value: str, names: list[str]) -> None:
    if any(name.startswith("door-") for name in names):
        raise _refused(path, value, "it has a door, which the sixth action would open")


def _type(name: str) -> dict[str, Any]:
    tile, colour = name.rsplit("-", 1)
    return {"name": name, "walkable": tile in _WALKABLE, "pickable": tile in _PICKABLE, "colour": colour}


def _pairs(path: str, row: np.ndarray, count: int) -> list[str]:
    return [_tile(path, int(row[1 + 2 * i]), int(row[2 + 2 * i])) for i in range(count)]


def _rule(path: str, row: np.ndarray) -> list[dict[str, Any]]:
    kind = int(row[0])
    if kind not in _RULES:
        raise _refused(path, f"of kind {kind}", f"kinds of rules are 0 to {max(_RULES)}")
    asked = _RULES[kind]
    *of, made = _pairs(path, row, asked + 1)
    if "wall-grey" in of and kind != 1:
        raise _refused(
            path,
            f"of kind {kind}",
            "it may open the grey walls around the room, behind which the agent would leave the map",
        )
    _without_doors(path, f"of kind {kind}", [*of, made])
    if kind == 1:
        return [{"when": "held", "of": of[0], "becomes": made, "after": ["pick_up"]}]
    if asked == 2:
        towards = None if kind == 3 else SIDES[kind - 4]
        after = ["put_down"]
        return [
            {"when": "meets", "of": of[0], "by": of[1], "becomes": made, "after": after, "towards": towards}
        ]
    towards = None if kind == 2 else SIDES[kind - 8]
    after = ["ahead"] if kind == 2 else ["ahead", "put_down"]
    return [{"when": "adjacent", "of": of[0], "becomes": made, "after": after, "towards": towards}]


def _goal(row: np.ndarray, height: int, width: int) -> dict[str, Any]:
    kind = int(row[0])
    if kind not in _GOALS:
        why = (
            "it asks for nothing, so it is never won"
            if kind == 0
            else f"kinds of goals are 0 to {max(_GOALS)}"
        )
        raise _refused("goal", f"of kind {kind}", why)
    of = _pairs("goal", row, _GOALS[kind])
    _without_doors("goal", f"of kind {kind}", of)
    if kind in (5, 6):
        at = tuple(int(number) for number in (row[3:5] if kind == 5 else row[1:3]))
        if at[0] >= height or at[1] >= width:
            raise _refused("goal", f"of kind {kind}", f"cell {at} lies beyond the map of {height} x {width}")
        return {"kind": "at", "region": {"row": at[0], "column": at[1]}, **({"of": of[0]} if of else {})}
    if kind == 1:
        return {"kind": "holds", "of": of[0], "after": ["pick_up"]}
    if kind == 2:
        return {"kind": "near", "of": of[0], "number": 0, "after": ["ahead"]}
    if len(of) == 2:
        towards = None if kind == 4 else SIDES[kind - 7]
        return {"kind": "meets", "of": of[0], "by": of[1], "after": ["put_down"], "towards": towards}
    towards = None if kind == 3 else SIDES[kind - 11]
    after = ["ahead"] if kind == 3 else ["ahead", "put_down"]
    return {"kind": "beside", "of": of[0], "after": after, "towards": towards}
