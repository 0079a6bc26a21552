"""What success needs and cannot come by is added to a spec, and what that needs in turn."""

from __future__ import annotations

from jaxrl_envs.specs.caps import BUILT_IN, MOST_HELD, PRESETS
from jaxrl_envs.specs.feasibility import Supply, clause_lacks, missing, supply
from jaxrl_envs.specs.instructions import Scatter, ends
from jaxrl_envs.specs.model import GridSpec, Rule, Stock

_MOST_CHANGES = 40


def added(spec: GridSpec) -> tuple[GridSpec, list[str]]:
    """A spec whose success is feasible, if adding can make it so.

    What a rule gives is had by giving the rule what it lacks; else a thing goes into the inventory, and a type is scattered
    on the map.

    Returns:
        The spec, and a sentence for each addition.
    """
    changes: list[str] = []
    for _ in range(_MOST_CHANGES):
        found = supply(spec)
        lacks = clause_lacks(spec, found)
        if any(not clause for clause in lacks):
            break
        clause = min(lacks, key=len)
        step = next(((lack, why) for why, lack in clause if lack[1] >= 0), None)
        if step is None:
            break
        (name, count), why = step
        mended = _given(spec, found, name, count, why, changes, frozenset())
        if mended is None:
            break
        spec = mended
    return spec, changes


def _sources(spec: GridSpec, name: str, count: int) -> list[Rule]:
    """Rules that give a thing, or put a type onto the map."""
    if spec.agent.body == "carrier":
        return [r for r in spec.rules if r.becomes == name]
    if count:
        return [
            r for r in spec.rules if any(row.item == name and ends(row.count)[0] > 0 for row in r.changes)
        ]
    return [r for r in spec.rules if name in (r.becomes, r.spawns)]


def _given(
    spec: GridSpec, found: Supply, name: str, count: int, why: str, changes: list[str], above: frozenset[str]
) -> GridSpec | None:
    """A spec with one more of what is lacking, the deepest first; None where there is no room for it."""
    for rule in _sources(spec, name, count):
        for lack in missing(rule, found, spec):
            if lack[0] not in above and lack[0] != name:
                return _given(spec, found, *lack, why, changes, above | {name})
    picked = any(t.name == name and t.pickable for t in spec.types)
    if count and not picked:
        return _stocked(spec, name, count, why, changes)
    return _scattered(spec, name, max(count, 1), why, changes)


def _stocked(spec: GridSpec, name: str, count: int, why: str, changes: list[str]) -> GridSpec | None:
    if name in BUILT_IN or count > MOST_HELD or spec.agent.body == "carrier":
        return None
    rest = tuple(stock for stock in spec.agent.inventory if stock.item != name)
    changes.append(f"agent.inventory has {count} {name!r}, which {why!r} needs")
    inventory = (*rest, Stock(item=name, count=float(count)))
    return spec.model_copy(update={"agent": spec.agent.model_copy(update={"inventory": inventory})})


def _scattered(spec: GridSpec, name: str, count: int, why: str, changes: list[str]) -> GridSpec | None:
    if name in BUILT_IN or len(spec.terrain) >= PRESETS[spec.size].instructions:
        return None
    changes.append(f"terrain scatters {count} {name!r}, which {why!r} needs")
    return spec.model_copy(
        update={"terrain": (*spec.terrain, Scatter(op="scatter", type=name, count=float(count)))}
    )
