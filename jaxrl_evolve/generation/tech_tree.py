"""The tech tree as a setting: grid specs whose goal, gifts, dangers and riches are changed one at a time.

Operators read and write any grid spec by the names that the tech tree has; in one that lacks them they find nothing to change.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxrl_envs.specs import ladder
from jaxrl_envs.specs import tech_tree as tree
from jaxrl_envs.specs.encoding import encode
from jaxrl_envs.specs.environments import make
from jaxrl_envs.specs.grid import GRID
from jaxrl_envs.specs.ranges import has_ranges
from jaxrl_evolve.generation.canvas import Canvas
from jaxrl_evolve.generation.domain import Descriptor, Domain, Operator, Skill
from jaxrl_evolve.generation.proposal import Proposal
from jaxrl_evolve.generation.setting import Setting, Validated, Verdict

Data = dict[str, Any]
_GIFTS = {item: (tree.SKILLS[skill], count) for item, skill, count in tree.GRANTS}
_BOUNDS = {kind: (low, high) for kind, low, high in tree.STREWN}
_RICHES, _DANGERS = ("tree", "rock", "ore", "chest"), ("lava", "zombie")
_SIZE = "small"
_THICKETS = 2
_EDITED = {(kind, "count"): bounds for kind, bounds in _BOUNDS.items() if kind != "table"} | {
    ("tree", name): bounds
    for name, bounds in {"row": (0, 8), "column": (0, 8), "height": (1, 5), "width": (1, 5)}.items()
}
RULES = (
    "A grid of 9 by 9 cells. The agent walks, interacts with the cell that it faces, or picks up. A tree gives wood. Two wood on free floor make a "
    "table. A table and one wood give a pickaxe. With a pickaxe rocks give stone; with a stone besides, ore gives iron. A table, one iron and one "
    "stone give a key, and a key opens a chest of gold. Lava hurts who stands on it; zombies follow the agent and hurt who is beside them. Easier "
    "specs hand out items at the start (agent.inventory), put a table there, strew more of what is needed, or ask for an earlier skill."
)


def tech_tree(max_steps: int = 160, view: int | None = None) -> Setting:
    """The setting of `specs/tech-tree`.

    Args:
        max_steps: of an episode in the original.
        view: cells that the agent sees a side, odd; the preset's own if None.

    Raises:
        ValueError: a value that is not allowed.
    """
    env = make("tech-tree", max_steps=max_steps, view=view)
    canvas = Canvas(_EDITED, _with_thickets)
    return Setting(domain(max_steps), env, _encode, _columns, _validate, _granted, canvas, _witness)


def domain(max_steps: int = 160) -> Domain:
    """Language, skills and operators."""
    names = tree.SKILLS
    handed_out = {skill for skill, _ in _GIFTS.values()} | {"place_table"}
    skills = tuple(
        Skill(name, names[i - 1 : i] if i else (), name in handed_out) for i, name in enumerate(names)
    )
    operators = (
        Operator("hand out", "grant", _grant),
        Operator("take away", "fade", _fade),
        Operator("ask for another", "expand", _expand),
        Operator("add danger", "threaten", _threaten),
        Operator("strew otherwise", "relocate", _relocate),
        Operator("strew as another", "cross", _cross, parents=2),
        Operator("begin anew", "reset", _relocate),
    )
    descriptors = (
        Descriptor("gifts", 4, lambda data: len(gifts(data))),
        Descriptor("danger", 3, lambda data: sum(strewn(data, kind) for kind in _DANGERS)),
        Descriptor("riches", 3, lambda data: sum(strewn(data, kind) for kind in _RICHES) // 9),
    )
    return Domain(GRID, GRID.write(tree.original(max_steps)), skills, operators, descriptors, RULES, goal)


def _low(number: Any) -> float:
    return number["low"] if isinstance(number, Mapping) else number


def _row(data: Mapping[str, Any], kind: str) -> Any:
    return next((row for row in data["terrain"] if row["op"] == "scatter" and row["type"] == kind), None)


def strewn(data: Mapping[str, Any], kind: str) -> int:
    """How many of a type lie around, at least."""
    row = _row(data, kind)
    return int(_low(row["count"])) if row else 0


def with_strewn(data: Data, kind: str, count: int) -> Data:
    """The same with so many of a type; types that it lacks are those of the original."""
    row = _row(data, kind)
    if row:
        row["count"] = count
    else:
        usual = tree.spec_data()
        data["terrain"].append(copy.deepcopy(_row(usual, kind)) | {"count": count})
        if kind not in [each["name"] for each in data["types"]]:
            data["types"].append(next(each for each in usual["types"] if each["name"] == kind))
    return data


def gifts(data: Mapping[str, Any]) -> dict[str, int]:
    """What is handed out, with the table."""
    held = {row["item"]: int(_low(row["count"])) for row in (data.get("agent") or {}).get("inventory", [])}
    found = {item: count for item, count in held.items() if count and item in _GIFTS}
    return found | ({"table": 1} if strewn(data, "table") else {})


def _granted(data: Mapping[str, Any]) -> list[str]:
    return [_GIFTS[item][0] if item in _GIFTS else "place_table" for item in gifts(data)]


def _with_gift(data: Data, item: str, count: int) -> Data:
    if item == "table":
        return with_strewn(data, "table", count)
    agent = data["agent"]
    rows = [row for row in agent.get("inventory", []) if row["item"] != item]
    agent["inventory"] = [*rows, {"item": item, "count": count}] if count else rows
    return data


def goal(data: Mapping[str, Any]) -> str:
    """The skill that is asked for, the last of several."""
    asked = {name for clause in data["success"] for name in clause.get("all", ())}
    return next((name for name in reversed(tree.SKILLS) if name in asked), "")


def _possible(asked: str) -> list[str]:
    """What may be handed out below a goal."""
    place = tree.SKILLS.index(asked) if asked else 0
    below = [item for item, (skill, _) in _GIFTS.items() if tree.SKILLS.index(skill) < place]
    return below + (["table"] if place > tree.SKILLS.index("place_table") else [])


def _grant(rng: np.random.Generator, parents: tuple[Data, ...], target: str) -> Data | None:
    (data,) = parents
    missing = [item for item in _possible(goal(data)) if item not in gifts(data)]
    if not missing:
        return None
    item = missing[int(rng.integers(len(missing)))]
    return _with_gift(data, item, 1 if item == "table" else _GIFTS[item][1])


def _fade(rng: np.random.Generator, parents: tuple[Data, ...], target: str) -> Data | None:
    (data,) = parents
    there = gifts(data)
    if there:
        item = sorted(there)[int(rng.integers(len(there)))]
        return _with_gift(data, item, there[item] - 1)
    plenty = [kind for kind in _RICHES if strewn(data, kind) > _BOUNDS[kind][0]]
    if not plenty:
        return None
    kind = plenty[int(rng.integers(len(plenty)))]
    return with_strewn(data, kind, strewn(data, kind) - 1)


def _expand(rng: np.random.Generator, parents: tuple[Data, ...], target: str) -> Data | None:
    """Ask for the target, or if that is asked for, for what comes after it. What would hand it out goes."""
    (data,) = parents
    asked = goal(data)
    after: dict[str, str] = dict(zip(tree.SKILLS, tree.SKILLS[1:], strict=False))
    wanted = target if target != asked else after.get(asked, "")
    if wanted not in [p["name"] for p in data["predicates"]]:
        return None
    data["success"], data["targets"] = [{"all": [wanted], "none": []}], [wanted]
    for item in gifts(data):
        if item not in _possible(wanted):
            data = _with_gift(data, item, 0)
    return data


def _moved(rng: np.random.Generator, data: Data, kinds: Sequence[str], steps: Sequence[int]) -> Data | None:
    """One type more or less, as far as its bounds allow; None where they allow nothing."""
    low_high = {kind: _BOUNDS[kind] for kind in kinds}
    moves = [
        (kind, strewn(data, kind) + step)
        for kind, (low, high) in low_high.items()
        for step in steps
        if low <= strewn(data, kind) + step <= high
    ]
    return with_strewn(data, *moves[int(rng.integers(len(moves)))]) if moves else None


def _threaten(rng: np.random.Generator, parents: tuple[Data, ...], target: str) -> Data | None:
    return _moved(rng, parents[0], _DANGERS, (1,))


def _relocate(rng: np.random.Generator, parents: tuple[Data, ...], target: str) -> Data | None:
    return _moved(rng, parents[0], _RICHES, (-2, -1, 1, 2))


def _cross(rng: np.random.Generator, parents: tuple[Data, ...], target: str) -> Data | None:
    data, other = parents
    for kind in (*_RICHES, *_DANGERS):
        data = with_strewn(data, kind, strewn(other, kind))
    return data


def _with_thickets(data: Data) -> Data:
    """With rectangles of trees, which nobody passes, before all that is strewn."""
    missing = _THICKETS - sum(row["op"] == "rectangle" for row in data["terrain"])
    place = lambda i: {"row": 4 * i, "column": 8 - 4 * i, "height": 1, "width": 1}
    data["terrain"] = [
        *({"op": "rectangle", "type": "tree", **place(i)} for i in range(missing)),
        *data["terrain"],
    ]
    return data


def _encode(data: Mapping[str, Any]) -> Any:
    return encode(GRID.read(dict(data)), _SIZE)


def _columns(data: Mapping[str, Any]) -> list[str]:
    return [predicate["name"] for predicate in data["predicates"]]


def _validate(proposals: Sequence[Proposal], seed: int) -> Validated:
    """The ladder of grid specs; a spec of another size or body, or with ranges in its rules, is another program, and refused."""
    config = ladder.LadderConfig()
    walks = lambda p: p.data["agent"]["body"] == "walker"
    plain = lambda p: not has_ranges(GRID.read(p.data))
    fits = [p for p in proposals if p.data["size"] == _SIZE and walks(p) and plain(p)]
    said = dict(
        zip(
            [p.identity for p in fits],
            ladder.validate([dict(p.data) for p in fits], seed, config),
            strict=True,
        )
    )
    size = lambda p: ("size", f"its size is {p.data['size']}; it must be {_SIZE}")
    body = lambda p: ("body", f"its agent.body is {p.data['agent']['body']!r}; it must be 'walker'")
    ranges = ("ranges", "numbers of its rules and predicates are ranges; in a loop they must be numbers")
    other = lambda p: Verdict(size(p) if p.data["size"] != _SIZE else ranges if walks(p) else body(p))
    verdicts = [
        Verdict((v.rung, *v.reasons) if v.rung else ()) if (v := said.get(p.identity)) else other(p)
        for p in proposals
    ]
    steps = [config.steps + ladder.waits(v.spec, config) for v in said.values() if v.plays and v.spec]
    return Validated(verdicts, config.episodes * sum(steps))


def _witness(proposals: Sequence[Proposal], seed: int, tries: int) -> Validated:
    """The scripted player in specs that the other rungs have let pass."""
    config = ladder.LadderConfig(tries=tries)
    said = ladder.witnessed([GRID.read(dict(p.data)) for p in proposals], seed, config)
    verdicts = [Verdict((v.rung, *v.reasons) if v.rung else ()) for v in said]
    return Validated(verdicts, len(said) * tries * config.way)
