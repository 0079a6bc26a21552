"""For how long who does nothing has to wait until what comes by itself has come: from the rules alone, no play."""

from __future__ import annotations

from jaxrl_envs.specs.caps import MOST_HEALTH
from jaxrl_envs.specs.feasibility import clause_lacks, missing, supply
from jaxrl_envs.specs.instructions import Number, Span, ends
from jaxrl_envs.specs.model import GridSpec, Predicate, Rule

_BY_ITSELF = ("timer", "adjacent", "held", "on")
_COUNTED = ("count", "with", "without", "holds")


def chained(spec: GridSpec) -> int:
    """Steps that rules which come to pass by themselves need, one after the other and as often as success asks for, to bring it about.

    Each timer is waited for once, longer the less likely its rule is, for each thing that is counted and, where rules need things, for each
    of these. Things that move, and rules that make and unmake, may take longer.

    Returns:
        0 where nothing of success can change without the agent.
    """
    if spec.agent.body == "carrier":  # whose rules wait for nothing
        return 0
    still = _unattended(spec)
    found = supply(still)
    live = [rule for rule in still.rules if ends(rule.chance)[1] > 0 and not missing(rule, found, still)]
    changing = _changing(still, live)
    named = {p.name: p for p in still.predicates}
    asked = [
        named[name]
        for clause, lacks in zip(still.success, clause_lacks(still, found), strict=True)
        if not lacks and any(_changes(named[n], changing, live, still) for n in (*clause.all, *clause.none))
        for name in (*clause.all, *clause.none)
    ]
    if not asked:
        return 0
    asked = [named[p.of or ""] if p.kind == "achieved" else p for p in asked]
    counts = [int(ends(p.number)[1]) for p in asked if p.kind in _COUNTED]
    counts += [MOST_HEALTH for p in asked if p.kind == "health"]
    needs = [int(ends(row.count)[1]) for rule in live for row in rule.needs]
    rounds = max([1, *counts]) * max([1, *needs])
    return int(rounds * sum(_period(rule) for rule in live))


def _unattended(spec: GridSpec) -> GridSpec:
    """What is left of a spec where nobody acts, with those ends of its ranges that ask for less."""
    easy = lambda p: p.number if not isinstance(p.number, Span) else int(ends(p.number)[p.compare == "<="])
    rules = [
        rule.model_copy(
            update={
                "needs": tuple(
                    row.model_copy(update={"count": int(ends(row.count)[0])}) for row in rule.needs
                ),
                "chance": _likely(rule.chance),
            }
        )
        for rule in spec.rules
        if rule.when in _BY_ITSELF
    ]
    return spec.model_copy(
        update={
            "types": tuple(kind.model_copy(update={"pickable": False}) for kind in spec.types),
            "rules": tuple(rules),
            "predicates": tuple(p.model_copy(update={"number": easy(p)}) for p in spec.predicates),
        }
    )


def _likely(chance: Number) -> float:
    """The least chance that is none; the greatest where the least is."""
    low, high = ends(chance)
    return low or high


def _period(rule: Rule) -> float:
    """Steps until a rule comes to pass, on average the most."""
    return (ends(rule.every)[1] if rule.when == "timer" else 1) / ends(rule.chance)[0]


def _changing(spec: GridSpec, live: list[Rule]) -> set[str]:
    """Types of which more or fewer may lie on the map, or elsewhere, without the agent."""
    found = {kind.name for kind in spec.types if kind.motion != "still" and kind.speed > 0}
    for rule in live:
        found |= {name for name in (rule.becomes, rule.spawns) if name}
        found |= {name for name in (rule.of, rule.by if rule.when == "on" else None) if name and rule.becomes}
    # What comes and goes covers ground and lays it bare.
    return found | {"floor", *(kind.name for kind in spec.types if kind.ground)} if found else found


def _changes(predicate: Predicate, changing: set[str], live: list[Rule], spec: GridSpec) -> bool:
    """Whether what a predicate reads may change without the agent, beside the time."""
    match predicate.kind:
        case "achieved":
            inner = next(p for p in spec.predicates if p.name == predicate.of)
            return _changes(inner, changing, live, spec)
        case "holds":
            return any(row.item == predicate.of for rule in live for row in rule.changes)
        case "health":
            return any(kind.hazard for kind in spec.types) or any(
                ends(rule.health) != (0, 0) for rule in live
            )
        case _:
            return not changing.isdisjoint({predicate.of, predicate.by})
