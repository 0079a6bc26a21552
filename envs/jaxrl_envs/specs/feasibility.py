"""Whether success can come about at all, by what is there and what rules make of it: a graph of types, no play.

Of ranges in rules and predicates the end that asks for more must do. Otherwise it is generous: distances, chances and how much there is of a thing on the map are not asked. So what it refuses is impossible.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from jaxrl_envs.specs.caps import MOST_HEALTH, MOST_HELD, PRESETS
from jaxrl_envs.specs.instructions import ends
from jaxrl_envs.specs.model import GridSpec, Predicate, Rule
from jaxrl_envs.specs.ranges import has_ranges

ANYWHERE = 2 * PRESETS["large"].side
"""More steps than lie between any two cells."""


class Supply(NamedTuple):
    """What there may ever be.

    Attributes:
        present: types that may lie on the map.
        held: how many of a thing the agent may have.
        apart: types of which it comes no nearer to any than so many steps; it may come to all others.
    """

    present: set[str]
    held: dict[str, int]
    apart: dict[str, int]


def on_map(spec: GridSpec) -> set[str]:
    """Types that the terrain may put there."""
    return {
        step.type
        for step in spec.terrain
        if ends(getattr(step, "count", 1.0))[1] > 0 and "#" in "".join(getattr(step, "map", "#"))
    } | {"floor"}


def supply(
    spec: GridSpec, without: str | None = None, apart: Mapping[str, int] = MappingProxyType({})
) -> Supply:
    """What there may be, if one type is missing from the terrain, or the agent comes no nearer to types of the terrain than so many steps.
    What a rule makes of them, or more of them, may come to be anywhere.
    """
    # The edge of the map is void.
    found = Supply(
        on_map(spec) - {without} | {"void"},
        {stock.item: int(ends(stock.count)[1]) for stock in spec.agent.inventory},
        dict(apart),
    )
    carries = spec.agent.body == "carrier"
    if carries:  # its hand may be empty, which is void, as is what lies ahead of it at the edge
        found.held["void"] = 1
    size = -1
    while size != (size := len(found.present) + sum(found.held.values()) - len(found.apart)):
        for kind in spec.types:
            if kind.pickable and kind.name in found.present and _come_to(kind.name, 1, found):
                found.held[kind.name] = MOST_HELD
        if carries:  # it puts down whatever it has
            found.present.update(name for name, count in found.held.items() if count)
        for rule in spec.rules:
            if ends(rule.chance)[0] > 0 and not missing(rule, found, spec):
                made = [name for name in (rule.becomes, rule.spawns) if name]
                found.present.update(made)
                for name in made:
                    found.apart.pop(name, None)
                found.held.update({row.item: MOST_HELD for row in rule.changes if ends(row.count)[0] > 0})
                found.held.update({rule.becomes: 1} if rule.when == "held" and rule.becomes else {})
    return found


def _come_to(name: str, steps: int, found: Supply) -> bool:
    """Whether the agent may come within so many steps of one."""
    return found.apart.get(name, 0) <= steps


def _cells(rule: Rule) -> Iterator[tuple[str, int]]:
    """Types that must lie on the map for a rule, and how near to the agent at most."""
    touched = rule.when in ("step", "interact", "pick_up") or (rule.when == "adjacent" and rule.by is None)
    if rule.of and rule.when != "held":
        yield rule.of, 1 if touched else ANYWHERE
    if rule.by:
        yield rule.by, 1 if rule.of is None else ANYWHERE
    if rule.near:
        yield rule.near, 2  # over a corner


def missing(rule: Rule, found: Supply, spec: GridSpec) -> list[tuple[str, int]]:
    """What a rule lacks: types on the map, with 0, and things in the inventory, with how many."""
    lacks = [
        (name, 0)
        for name, steps in _cells(rule)
        if name not in found.present or not _come_to(name, steps, found)
    ]
    needs = ((row.item, int(ends(row.count)[1])) for row in rule.needs)
    lacks += [(item, count) for item, count in needs if found.held.get(item, 0) < count]
    if rule.when == "held" and rule.of and not found.held.get(rule.of, 0):
        lacks.append((rule.of, 1))
    if rule.when == "pick_up" and not any(t.name == rule.of and t.pickable for t in spec.types):
        lacks.append((rule.of or "", 1))
    return lacks


def lacking(predicate: Predicate, found: Supply, spec: GridSpec) -> list[tuple[str, int]]:
    """What a predicate lacks to come true, as `missing`; a number that cannot be reached stands for itself with -1."""
    kind, number = predicate.kind, int(ends(predicate.number)[predicate.compare != "<="])
    wants = predicate.compare != "<=" and number > 0
    of = predicate.of or ""
    if kind == "achieved":
        inner = next(p for p in spec.predicates if p.name == of)
        return lacking(inner, found, spec)
    if kind == "holds":
        return [(of, number)] if wants and found.held.get(of, 0) < number else []
    if kind in ("near", "beside", "meets", "at") or (kind in ("count", "with", "without") and wants):
        asked = (of, predicate.by if kind != "without" else None)
        near = int(ends(predicate.number)[1]) if kind == "near" else ANYWHERE
        if kind == "with" and predicate.by is None:  # the agent is on it
            near = 1
        far = lambda name: name == of and not _come_to(name, near, found)
        return [(name, 0) for name in asked if name and (name not in found.present or far(name))]
    most = {"survived": spec.time_limit, "health": MOST_HEALTH}.get(kind)
    return [(kind, -1)] if wants and most is not None and number > most else []


def clause_lacks(spec: GridSpec, found: Supply) -> list[list[tuple[str, tuple[str, int]]]]:
    """Of every clause of success what its predicates lack: names of predicates, with what."""
    named = {p.name: p for p in spec.predicates}
    return [
        [(name, lack) for name in clause.all for lack in lacking(named[name], found, spec)]
        for clause in spec.success
    ]


def infeasible(spec: GridSpec) -> list[str]:
    """A sentence for each thing that every way to success lacks; none where there may be a way."""
    lacks = clause_lacks(spec, supply(spec))
    if any(not lack for lack in lacks):
        return []
    always = " for all numbers of its ranges" if has_ranges(spec) else ""
    return [
        f"success[{i}] cannot come about{always}: {name!r} needs {_said(lack)}"
        for i, clause in enumerate(lacks)
        for name, lack in clause
    ]


def _said(lack: tuple[str, int]) -> str:
    name, count = lack
    if count < 0:
        return f"more {name} than there can be"
    if count:
        return f"{count} {name!r} in the inventory, which neither the start nor anything picked up nor a rule can give"
    return f"{name!r} on the map, where neither the terrain nor a rule can put it"


def needed(spec: GridSpec) -> set[str]:
    """Types without which the terrain leaves no way to success."""
    return {name for name in on_map(spec) - {"floor"} if all(clause_lacks(spec, supply(spec, name)))}


def reach(spec: GridSpec, name: str) -> int:
    """How many steps the agent must come near to a type of the terrain that success needs: 1 to use it, more where `near` or a rule
    asks for less, `ANYWHERE` where it need only be there.
    """
    if spec.agent.body == "carrier":
        return 1
    asked = {int(ends(p.number)[1]) for p in spec.predicates if p.kind == "near" and p.of == name}
    for steps in sorted({ANYWHERE, 2, *(min(n, ANYWHERE) for n in asked)}, reverse=True):
        if steps > 1 and not all(clause_lacks(spec, supply(spec, apart={name: steps}))):
            return steps
    return 1


def passable(spec: GridSpec) -> set[str]:
    """Types that the agent may get past, one way or another."""
    by_rule = {rule.of for rule in spec.rules if rule.becomes not in (None, rule.of)}
    by_rule |= {rule.by for rule in spec.rules if rule.when == "meets"}
    by_rule |= {rule.by for rule in spec.rules if rule.when == "on" and rule.becomes not in (None, rule.by)}
    by_itself = {
        t.name
        for t in spec.types
        if t.walkable or t.pickable or t.pushable or t.consumable or t.motion != "still"
    }
    return {"floor", *by_itself, *(name for name in by_rule if name)}
