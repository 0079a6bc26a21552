"""What of the language goes with which body of the agent; the rest is a fault."""

from __future__ import annotations

from collections.abc import Iterator

from jaxrl_envs.specs.instructions import Span, ends, told
from jaxrl_envs.specs.language import Fault
from jaxrl_envs.specs.model import GridSpec, Predicate, Rule, Type
from jaxrl_envs.specs.text import shown

WHENS = ("adjacent", "held", "interact", "meets")
"""Of a carrier's rules."""
READS = {
    "holds": ("of",),
    "near": ("of",),
    "beside": ("of",),
    "meets": ("of", "by"),
    "at": ("region",),
    "achieved": ("of",),
}
"""Fields that a kind of a carrier's predicate reads; `at` may name ``of``, too."""
_NUMBERS = {"holds": 1, "near": 0}
_TYPE = ("pushable", "opaque", "consumable", "ground", "hazard", "heals", "health", "motion")
_RULE = ("needs", "at_most", "near", "spawns", "changes", "health", "chance")


def faults(spec: GridSpec) -> list[Fault]:
    """All faults of this kind, in the order of the fields."""
    return [*(_carrier(spec) if spec.agent.body == "carrier" else _walker(spec))]


def _only(path: str, value: object, allowed: str) -> Fault:
    said = told(value) if isinstance(value, Span) else shown(value)
    return Fault(path, said, f"{allowed} where agent.body is 'carrier'")


def _walker(spec: GridSpec) -> Iterator[Fault]:
    rows = [(f"rules[{i}]", rule.when, rule) for i, rule in enumerate(spec.rules)]
    rows += [(f"predicates[{i}]", p.kind, p) for i, p in enumerate(spec.predicates)]
    for path, word, row in rows:
        if word == "meets":
            field = "when" if isinstance(row, Rule) else "kind"
            yield Fault(f"{path}.{field}", "'meets'", "it goes with agent.body 'carrier' only")
        if row.after:
            yield Fault(f"{path}.after", "given", "it must be empty unless agent.body is 'carrier'")
        if row.towards:
            yield Fault(
                f"{path}.towards", shown(row.towards), "it must be null unless agent.body is 'carrier'"
            )
    if spec.reward.fade:
        yield Fault("reward.fade", shown(spec.reward.fade), "it must be 0 unless agent.body is 'carrier'")


def _carrier(spec: GridSpec) -> Iterator[Fault]:
    usual = Type(name="usual")
    for i, kind in enumerate(spec.types):
        for field in _TYPE:
            if (value := getattr(kind, field)) != (wanted := getattr(usual, field)):
                yield _only(f"types[{i}].{field}", value, f"it must be {shown(wanted)}")
    held = spec.agent.inventory
    if len(held) > 1 or any(ends(stock.count)[1] > 1 for stock in held):
        yield Fault("agent.inventory", "given", "it must be one thing at most where agent.body is 'carrier'")
    for i, rule in enumerate(spec.rules):
        yield from _rule(rule, f"rules[{i}]")
    for i, predicate in enumerate(spec.predicates):
        yield from _predicate(predicate, f"predicates[{i}]")


def _rule(rule: Rule, path: str) -> Iterator[Fault]:
    if rule.when not in WHENS:
        yield _only(f"{path}.when", rule.when, f"it must be one of {', '.join(WHENS)}")
        return
    usual = Rule(when=rule.when)
    for field in _RULE:
        if getattr(rule, field) != getattr(usual, field):
            given = getattr(rule, field)
            yield _only(
                f"{path}.{field}",
                "given" if isinstance(given, tuple) else given,
                "it must be left out",
            )
    if rule.becomes is None:
        yield _only(f"{path}.becomes", None, "it must be a type")
    if rule.when == "meets" and rule.by in (None, "void"):
        yield _only(f"{path}.by", rule.by, "it must be a type that lies on the map, where when is 'meets',")
    if rule.when == "adjacent" and rule.by is not None:
        yield _only(f"{path}.by", rule.by, "it must be null, which is the agent,")
    if rule.towards and rule.when not in ("adjacent", "meets"):
        yield _only(f"{path}.towards", rule.towards, f"it must be null, where when is {rule.when!r},")


def _predicate(predicate: Predicate, path: str) -> Iterator[Fault]:
    kind = predicate.kind
    if kind not in READS:
        yield _only(f"{path}.kind", kind, f"it must be one of {', '.join(READS)}")
        return
    wanted = _NUMBERS.get(kind, predicate.number)
    if predicate.number != wanted:
        yield _only(f"{path}.number", predicate.number, f"it must be {wanted}, where kind is {kind!r},")
    if kind == "holds" and predicate.compare != ">=":
        yield _only(f"{path}.compare", predicate.compare, "it must be >=")
    region = predicate.region
    if kind == "at" and predicate.of and region and (region.height, region.width) != (1, 1):
        yield _only(f"{path}.region", "given", "it must be one cell, where of is given,")
    if predicate.towards and kind not in ("beside", "meets"):
        yield _only(f"{path}.towards", predicate.towards, f"it must be null, where kind is {kind!r},")
