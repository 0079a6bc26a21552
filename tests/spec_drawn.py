"""Grid specs drawn at random: sound ones that use everything, and what hostile hands make of them."""

from __future__ import annotations

import copy

from jaxrl_envs.specs import SpecError, language
from jaxrl_envs.specs.model import COLOURS, MOTIONS
from jaxrl_envs.specs.model import KINDS as ALL_KINDS
from jaxrl_envs.specs.model import WHENS as ALL_WHENS

GRID = language("grid")
KINDS, WHENS = ([word for word in words if word != "meets"] for words in (ALL_KINDS, ALL_WHENS))
HOSTILE = (
    None,
    True,
    -1,
    0,
    1e308,
    2**70,
    0.5,
    "",
    "‮evil",
    "void",
    "x" * 5_000,
    [],
    {},
    [[[]]],
    {"low": 3, "high": 1},
    float("nan"),
)


def drawn(rng, rules=8, types=5, ranged=False):
    """A spec that `read` takes: small, crowded, with everything in it. ``rng`` is a NumPy generator; ``ranged`` is with ranges in rules."""
    while True:
        try:
            made = data(rng, rules, types)
            return GRID.read(with_ranges(rng, made) if ranged else made)
        except SpecError:  # a contradiction that chance has made
            continue


def data(rng, rules=8, types=5):
    size = [int(rng.integers(4, 8)), int(rng.integers(4, 8))]
    names = [f"t{i}" for i in range(types)]
    some = lambda options: options[int(rng.integers(len(options)))]
    maybe = lambda options: some([None, *options])
    whole = lambda low, high: int(rng.integers(low, high + 1))
    flag = lambda share=0.4: bool(rng.random() < share)
    place = lambda: {"row": whole(0, size[0] - 1), "column": whole(0, size[1] - 1)}
    region = lambda: {**place(), "height": whole(1, 4), "width": whole(1, 4)}
    amounts = lambda low: [{"item": name, "count": whole(low, 2)} for name in names if rng.random() < 0.25]
    grounds = [name for name in names if flag(0.25)]
    predicates = [_predicate(i, some, whole, names, region) for i in range(6)]
    chosen = lambda: [p["name"] for p in predicates if rng.random() < 0.25] or [predicates[0]["name"]]
    return {
        "size": "small", "height": size[0], "width": size[1], "difficulty": float(rng.random()),
        "types": [
            {"name": name, **{f: flag() for f in ("walkable", "pickable", "pushable", "opaque", "consumable")},
             "hazard": int(flag(0.2)), "heals": whole(0, 2), "health": whole(1, 2), "motion": some(MOTIONS),
             "speed": round(float(rng.random()), 3), "colour": some(COLOURS),
             **({"ground": True, "pushable": False, "motion": "still"} if name in grounds else {})}
            for name in names
        ],
        "terrain": [{"op": "scatter", "type": name, "count": {"low": 1, "high": whole(1, 4)}, "on": some(["floor", None])} for name in names],
        "agent": {"region": some([None, region()]), "health": {"low": 3, "high": 9},
                  "inventory": [{"item": name, "count": {"low": 0, "high": 2}} for name in names[:2]]},
        "rules": [_rule(some, maybe, whole, flag, names, grounds, amounts) for _ in range(rules)],
        "predicates": predicates,
        "success": [{"all": chosen(), "none": []} for _ in range(2)],
        "failure": [{"all": chosen(), "none": chosen()[:1]}] if flag() else [],
        "reward": {"weights": [{"predicate": p["name"], "first": whole(-1, 2), "each": whole(-1, 1), "potential": whole(0, 2)}
                               for p in predicates], "step": -0.01, "success": 2, "clip": 4},
        "ends_on_success": flag(0.2), "time_limit": whole(20, 200),
    }  # fmt: skip


def with_ranges(rng, sound):
    """The same with ranges in place of most numbers of rules and predicates."""
    span = lambda number, most: {"low": number, "high": min(number + int(rng.integers(0, 4)), most)}
    changed = copy.deepcopy(sound)
    for rule in changed["rules"]:
        for row in (*rule["needs"], *rule["changes"]):
            row["count"] = span(row["count"], 4)
        for row in rule["at_most"]:
            row["count"] = span(4, 8)
        rule["health"] = span(rule["health"], 3)
        rule["chance"] = {"low": rule["chance"] / 2, "high": rule["chance"]}
        rule["every"] = span(rule["every"], 6) if rule["when"] == "timer" else 1
        rule["most"] = rule["most"] and span(rule["most"], 8)
    for predicate in changed["predicates"][1:]:
        predicate["number"] = span(predicate["number"], 6)
    return changed


def _rule(some, maybe, whole, flag, names, grounds, amounts):
    when = some(WHENS)
    of = some([*names, "floor"]) if when not in ("held", "pick_up") else some(names)
    of = None if when == "timer" and flag() else of
    if when == "on":
        of = maybe([name for name in names if name not in grounds] or [None])
    spawns = some([None, None, *names])
    about_cell = when != "held" and (of is not None or when == "on")
    return {
        "when": when, "of": of, "by": maybe(names) if when == "adjacent" else some(["floor", *grounds]) if when == "on" else None,
        "every": whole(1, 4) if when == "timer" else 1, "needs": amounts(0), "at_most": [] if flag(0.7) else amounts(2),
        "near": maybe(names) if flag(0.3) else None, "becomes": some([*names, "floor"]) if about_cell else None,
        "spawns": spawns, "where": some(("beside", "anywhere")), "most": 6 if spawns else None, "changes": amounts(-2),
        "health": whole(-1, 2) or 1, "chance": some((1.0, 0.7, 0.3)),
    }  # fmt: skip


def _predicate(i, some, whole, names, region):
    kind = some(KINDS) if i else "survived"
    needs_type = kind in ("count", "holds", "near", "beside", "with", "without")
    return {
        "name": f"p{i}", "kind": kind, "of": some(names) if needs_type else "p0" if kind == "achieved" else None,
        "by": some(names) if kind == "beside" else some([None, "floor", *names]) if kind.startswith("with") else None, "compare": some((">=", "<=", "==")) if i else ">=",
        "number": whole(0, 4) if i else 10, "region": region() if kind == "at" else None,
    }  # fmt: skip


def spoiled(rng, sound):
    """Data of a sound spec with one to three places changed for the worse."""
    spoilt = copy.deepcopy(sound)
    for _ in range(int(rng.integers(1, 4))):
        part = spoilt
        while True:
            keys = [*part] if isinstance(part, dict) else [*range(len(part))]
            if not keys:
                break
            key = keys[int(rng.integers(len(keys)))]
            inside = part[key]
            if isinstance(inside, dict | list) and inside and rng.random() < 0.8:
                part = inside
                continue
            kind = rng.random()
            if kind < 0.15:
                del part[key]
            elif kind < 0.3 and isinstance(part, dict):
                part[f"{key}x"] = part.pop(key)
            else:
                part[key] = copy.deepcopy(HOSTILE[int(rng.integers(len(HOSTILE)))])
            break
    return spoilt
