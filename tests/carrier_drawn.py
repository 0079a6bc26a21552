"""Specs of agents that carry, drawn at random: with everything that the language has for them, and translations of random rulesets."""

from __future__ import annotations

import numpy as np

from jaxrl_envs.specs import SpecError, language, xland
from jaxrl_envs.specs.model import COLOURS, DEEDS, SIDES

GRID = language("grid")
_THINGS = [(3, 1), (4, 2), (6, 3), (7, 5), (12, 11), (1, 7)]
_STRANGE = [(2, 6), (9, 1), (0, 0), (1, 2), (12, 12), (200, 1)]


def drawn(rng, rules=8, types=5):
    """A spec that `read` takes. ``rng`` is a NumPy generator."""
    while True:
        try:
            return GRID.read(data(rng, rules, types))
        except SpecError:  # a contradiction that chance has made
            continue


def data(rng, rules=8, types=5):
    """As JSON data."""
    size = [int(rng.integers(4, 8)) for _ in range(2)]
    names = [f"t{i}" for i in range(types)]
    some = lambda options: options[int(rng.integers(len(options)))]
    flag = lambda share=0.4: bool(rng.random() < share)
    after = lambda: [deed for deed in DEEDS if flag(0.3)] if flag(0.7) else []
    cell = lambda: {"row": int(rng.integers(size[0])), "column": int(rng.integers(size[1]))}
    predicates = [_predicate(i, some, flag, names, after, cell) for i in range(5)]
    chosen = lambda: [p["name"] for p in predicates if flag(0.25)] or [predicates[0]["name"]]
    return {
        "size": "small", "height": size[0], "width": size[1], "difficulty": float(rng.random()),
        "types": [{"name": name, "walkable": flag(), "pickable": flag(0.6), "colour": some(COLOURS)} for name in names],
        "terrain": [{"op": "scatter", "type": name, "count": {"low": 0, "high": int(rng.integers(1, 4))}} for name in names],
        "agent": {"body": "carrier", "inventory": [{"item": names[0], "count": {"low": 0, "high": 1}}] if flag() else []},
        "rules": [_rule(some, flag, names, after) for _ in range(rules)],
        "predicates": predicates,
        "success": [{"all": chosen(), "none": []}],
        "failure": [{"all": chosen(), "none": chosen()[:1]}] if flag(0.3) else [],
        "reward": {"weights": [{"predicate": p["name"], "first": 1, "each": -1, "potential": 2} for p in predicates],
                   "step": -0.01, "success": 2, "clip": 4, "fade": round(float(rng.random()), 3)},
        "ends_on_success": flag(0.2), "time_limit": int(rng.integers(20, 200)),
    }  # fmt: skip


def _rule(some, flag, names, after):
    when = some(("adjacent", "held", "interact", "meets"))
    by = some([*names, "floor"]) if when == "meets" else some([None, *names]) if when == "interact" else None
    towards = some([None, *SIDES]) if when in ("adjacent", "meets") else None
    return {"when": when, "of": some([*names, "floor"]), "by": by, "becomes": some([*names, "floor"]), "after": after(), "towards": towards}  # fmt: skip


def _predicate(i, some, flag, names, after, cell):
    kind = some(("holds", "near", "beside", "meets", "at", "achieved")) if i else "holds"
    of = "p0" if kind == "achieved" else some(names)
    of = some([None, of]) if kind == "at" else of
    return {
        "name": f"p{i}", "kind": kind, "of": of, "by": some(names) if kind == "meets" else None,
        "number": 0 if kind == "near" else 1, "region": cell() if kind == "at" else None,
        "after": after(), "towards": some([None, *SIDES]) if kind in ("beside", "meets") else None,
    }  # fmt: skip


def translated(rng):
    """The data of a random ruleset of XLand-MiniGrid, or None where it is refused: some have tiles, kinds or rules that no spec can say."""
    side = int(rng.integers(4, 10))
    odd = rng.random() < 0.3
    thing = lambda: (_STRANGE if odd and rng.random() < 0.2 else _THINGS)[int(rng.integers(6))]
    number = lambda most: int(rng.integers(1, most + 2 * odd))
    rows = []
    for _ in range(int(rng.integers(0, 16))):
        kind = number(12)
        two = 3 <= kind <= 7
        rows.append([kind, *thing(), *thing(), *(thing() if two else (0, 0))])
    goal = number(15)
    cell = [int(x) for x in rng.integers(1, side - 1, 2)]
    asked = {5: [*thing(), *cell], 6: [*cell, 0, 0]}.get(goal, [*thing(), *thing()])
    inside = [thing() for _ in range(int(rng.integers(0, min(9, (side - 2) ** 2))))]
    try:
        spec = xland.translate(
            [goal, *asked], np.reshape(np.asarray(rows, int), (-1, 7)), inside, height=side, width=side
        )
    except SpecError:
        return None
    return GRID.write(spec)
