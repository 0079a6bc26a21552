"""Whether names refer to what is there, numbers to what the map holds, and lists to what the caps allow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel

from jaxrl_envs.specs import bodies, metadata
from jaxrl_envs.specs.caps import BUILT_IN, PRESETS
from jaxrl_envs.specs.fields import allowed, bounds, ranged, whole
from jaxrl_envs.specs.instructions import Band, Cells, Span, Step, ends, told
from jaxrl_envs.specs.language import Fault
from jaxrl_envs.specs.lookup import known
from jaxrl_envs.specs.model import Agent, Clause, GridSpec, Predicate, Region, Rule
from jaxrl_envs.specs.text import shown


def faults(spec: GridSpec) -> list[Fault]:
    """All faults of this kind, in the order of the fields."""
    every = [
        *metadata.faults(spec),
        *_caps(spec),
        *_numbers(spec, ""),
        *_names(spec),
        *_ground(spec),
        *_terrain(spec),
        *_agent(spec.agent, spec),
        *(f for i, rule in enumerate(spec.rules) for f in _rule(rule, f"rules[{i}]", spec)),
        *(f for i, p in enumerate(spec.predicates) for f in _predicate(p, f"predicates[{i}]", spec)),
        *_clauses(spec),
        *bodies.faults(spec),
    ]
    # One at each place: what is out of all bounds is beyond the map as well.
    return list({fault.path: fault for fault in reversed(every)}.values())[::-1]


def _types(spec: GridSpec) -> list[str]:
    return [*BUILT_IN, *(t.name for t in spec.types)]


def _caps(spec: GridSpec) -> Iterator[Fault]:
    caps, size = PRESETS[spec.size], spec.size
    for field, cap in (("height", caps.side), ("width", caps.side)):
        if getattr(spec, field) > cap:
            yield Fault(field, str(getattr(spec, field)), f"it must be at most {cap} where size is {size!r}")
    for field, cap in (
        ("types", caps.types - len(BUILT_IN)),
        ("terrain", caps.instructions),
        ("rules", caps.rules),
        ("predicates", caps.predicates),
        ("success", caps.clauses),
        ("failure", caps.clauses),
    ):
        rows = len(getattr(spec, field))
        if rows > cap:
            yield Fault(field, f"a list of {rows}", f"it must have at most {cap} where size is {size!r}")
    if not spec.success:
        yield Fault("success", "empty", "it must have at least one clause")


def _as_written(number: float) -> str:
    """Of a range, whose ends are floats, a whole number is told as one."""
    return shown(int(number) if float(number).is_integer() else number)


def _numbers(part: BaseModel, path: str) -> Iterator[Fault]:
    """Ranges: within bounds, low before high, whole where they must be."""
    for name, field in type(part).model_fields.items():
        value, here = getattr(part, name), f"{path}.{name}" if path else name
        if name in ranged(type(part)) and value is not None:
            limits = bounds(field) or (0, 0)
            named = (
                ((".low", value.low), (".high", value.high)) if isinstance(value, Span) else (("", value),)
            )
            outside = [
                Fault(here + end, _as_written(number), allowed(field, end=bool(end)))
                for end, number in named
                if not limits[0] <= number <= limits[1] or (whole(field) and number != int(number))
            ]
            yield from outside
            if not outside and isinstance(value, Span) and value.low > value.high:
                yield Fault(
                    f"{here}.low", _as_written(value.low), f"it must be at most high, which is {value.high:g}"
                )
        elif isinstance(value, BaseModel):
            yield from _numbers(value, here)
        elif isinstance(value, tuple):
            for i, row in enumerate(value):
                if isinstance(row, BaseModel):
                    yield from _numbers(row, f"{here}[{i}]")


def _names(spec: GridSpec) -> Iterator[Fault]:
    for field in ("types", "predicates"):
        seen = set(BUILT_IN) if field == "types" else set[str]()
        for i, row in enumerate(getattr(spec, field)):
            if row.name in seen:
                why = (
                    "every spec has it already"
                    if row.name in BUILT_IN and field == "types"
                    else "another has that name"
                )
                yield Fault(f"{field}[{i}].name", shown(row.name), f"{why}; names must differ")
            seen.add(row.name)


def _terrain(spec: GridSpec) -> Iterator[Fault]:
    for i, step in enumerate(spec.terrain):
        yield from _drawing(step, f"terrain[{i}]", spec)
        for field in ("type", "on", "to"):
            yield from known(f"terrain[{i}].{field}", getattr(step, field, None), _types(spec), "type")
        if isinstance(step, Band) and ends(step.nearest)[0] > ends(step.farthest)[1]:
            yield Fault(f"terrain[{i}].nearest", told(step.nearest), "it must be at most farthest")
        if step.type == "void":
            yield Fault(
                f"terrain[{i}].type", "'void'", "it lies beyond the map only; it must be another type"
            )
        for field, size in (
            ("row", "height"),
            ("to_row", "height"),
            ("column", "width"),
            ("to_column", "width"),
        ):
            number: Any = getattr(step, field, None)
            if number is not None and ends(number)[1] >= getattr(spec, size):
                most = getattr(spec, size)
                yield Fault(
                    f"terrain[{i}].{field}",
                    f"{ends(number)[1]:g}",
                    f"it must be less than {size}, which is {most}",
                )


def _drawing(step: Step, path: str, spec: GridSpec) -> Iterator[Fault]:
    rows = step.map if isinstance(step, Cells) else ()
    if len(rows) > spec.height:
        yield Fault(
            f"{path}.map",
            f"a list of {len(rows)}",
            f"it must have at most height rows, which is {spec.height}",
        )
    for i, row in enumerate(rows):
        if len(row) > spec.width:
            yield Fault(
                f"{path}.map[{i}]", shown(row), f"it must have at most width letters, which is {spec.width}"
            )


def _ground(spec: GridSpec) -> Iterator[Fault]:
    for i, kind in enumerate(spec.types):
        if kind.ground and (kind.pushable or kind.motion != "still"):
            yield Fault(
                f"types[{i}].ground", "true", "what is pushed or moves cannot be ground; it must be false"
            )


def _region(region: Region | None, path: str, spec: GridSpec) -> Iterator[Fault]:
    for field, size in (("row", "height"), ("column", "width")) if region else ():
        if getattr(region, field) >= getattr(spec, size):
            yield Fault(
                f"{path}.{field}",
                str(getattr(region, field)),
                f"it must be less than {size}, which is {getattr(spec, size)}",
            )


def _items(rows: Iterable[Any], path: str, types: list[str]) -> Iterator[Fault]:
    seen = set[str]()
    for i, row in enumerate(rows):
        yield from known(f"{path}[{i}].item", row.item, types, "type")
        if row.item in BUILT_IN:
            yield Fault(f"{path}[{i}].item", shown(row.item), "that cannot be held")
        if row.item in seen:
            yield Fault(f"{path}[{i}].item", shown(row.item), "it stands there twice")
        seen.add(row.item)


def _agent(agent: Agent, spec: GridSpec) -> Iterator[Fault]:
    yield from _region(agent.region, "agent.region", spec)
    yield from _items(agent.inventory, "agent.inventory", _types(spec))


def _rule(rule: Rule, path: str, spec: GridSpec) -> Iterator[Fault]:
    types, carrier = _types(spec), spec.agent.body == "carrier"
    for field in ("of", "by", "near", "becomes", "spawns"):
        yield from known(f"{path}.{field}", getattr(rule, field), types, "type")
    for field in ("needs", "at_most", "changes"):
        yield from _items(getattr(rule, field), f"{path}.{field}", types)
    if rule.of is None and rule.when not in ("timer", "on"):
        yield Fault(f"{path}.of", "null", f"it must be a type where when is {rule.when!r}")
    if rule.when == "on":
        yield from _on(rule, path, spec)
    elif (
        rule.by is not None
        and rule.when != "adjacent"
        and not (carrier and rule.when in ("meets", "interact"))
    ):
        yield Fault(f"{path}.by", shown(rule.by), f"it must be null where when is {rule.when!r}")
    if rule.every != 1 and rule.when != "timer":
        yield Fault(f"{path}.every", told(rule.every), f"it must be 1 where when is {rule.when!r}")
    for field in ("of", "becomes", "spawns"):
        if getattr(rule, field) == "void":
            yield Fault(f"{path}.{field}", "'void'", "it lies beyond the map only; it must be another type")
    if rule.of == "floor" and rule.when in ("held", "pick_up") and not carrier:
        yield Fault(f"{path}.of", "'floor'", "that cannot be held")
    if rule.becomes is not None and (
        (rule.when == "held" and not carrier) or (rule.of is None and rule.when != "on")
    ):
        yield Fault(
            f"{path}.becomes", shown(rule.becomes), "it must be null where the rule is not about a cell"
        )
    if rule.spawns is not None and rule.most is None:
        yield Fault(
            f"{path}.most",
            "null",
            "a rule that spawns must say how many there may be, or it does so without bound; it must be a whole number from 1 to 64",
        )
    if rule.spawns is None and rule.most is not None:
        yield Fault(f"{path}.most", told(rule.most), "it must be null where nothing is spawned")
    if rule.spawns == "floor":
        yield Fault(f"{path}.spawns", "'floor'", "it comes to be on floor; it must be another type")
    if (
        rule.becomes is None
        and rule.spawns is None
        and ends(rule.health) == (0, 0)
        and all(ends(c.count) == (0, 0) for c in rule.changes)
    ):
        yield Fault(path, "", "nothing comes of it; becomes, spawns, changes or health must say what")


def _on(rule: Rule, path: str, spec: GridSpec) -> Iterator[Fault]:
    grounds = ["floor", *(t.name for t in spec.types if t.ground)]
    if rule.by not in grounds:
        yield Fault(
            f"{path}.by",
            shown(rule.by),
            f"it must be a type that is ground where when is 'on', one of {', '.join(grounds)}",
        )
    if rule.of in grounds:
        yield Fault(
            f"{path}.of", shown(rule.of), "it is ground itself; it must be what lies on ground, or null"
        )


_READS = {
    "count": ("of", "number"),
    "with": ("of", "by", "number"),
    "without": ("of", "by", "number"),
    "holds": ("of", "number"),
    "near": ("of", "number"),
    "beside": ("of", "by"),
    "at": ("region",),
    "achieved": ("of",),
    "survived": ("number",),
    "health": ("number",),
    "meets": ("of", "by"),
}
"""Fields that a kind of predicate reads, beside ``compare``, which goes with a number but for ``near``."""


def _predicate(predicate: Predicate, path: str, spec: GridSpec) -> Iterator[Fault]:
    kind, carrier = predicate.kind, spec.agent.body == "carrier"
    reads = (bodies.READS if carrier else _READS).get(predicate.kind, _READS[predicate.kind])
    may = ("of",) if carrier and kind == "at" else ()
    for field in ("of", "by", "region"):
        value = getattr(predicate, field)
        if field in reads and value is None and (field, kind) not in (("by", "with"), ("by", "without")):
            yield Fault(f"{path}.{field}", "null", f"it must be given where kind is {kind!r}")
        if field not in (*reads, *may) and value is not None:
            yield Fault(
                f"{path}.{field}",
                shown(value) if isinstance(value, str) else "given",
                f"it must be null where kind is {kind!r}",
            )
    if "of" in (*reads, *may):
        names, what = (
            (_types(spec), "type") if kind != "achieved" else ([p.name for p in spec.predicates], "predicate")
        )
        yield from known(f"{path}.of", predicate.of, names, what)
    if "by" in reads:
        yield from known(f"{path}.by", predicate.by, _types(spec), "type")
    if kind == "achieved" and any(p.name == predicate.of and p.kind == "achieved" for p in spec.predicates):
        yield Fault(
            f"{path}.of", shown(predicate.of), "it must be a predicate of another kind than 'achieved'"
        )
    # How much void there is depends on the arrays, not on the map; only its edge can be asked for.
    for field in () if carrier else ("of",) if kind == "beside" else ("of", "by"):
        if getattr(predicate, field) == "void":
            yield Fault(f"{path}.{field}", "'void'", "it lies beyond the map only; it must be another type")
    if kind == "holds" and predicate.of in BUILT_IN and not carrier:
        yield Fault(f"{path}.of", shown(predicate.of), "that cannot be held")
    yield from _region(predicate.region, f"{path}.region", spec)


def _clauses(spec: GridSpec) -> Iterator[Fault]:
    names = [p.name for p in spec.predicates]
    for field in ("success", "failure"):
        for i, clause in enumerate(getattr(spec, field)):
            yield from _clause(clause, f"{field}[{i}]", names)
    seen = set[str]()
    for i, weight in enumerate(spec.reward.weights):
        path = f"reward.weights[{i}].predicate"
        yield from known(path, weight.predicate, names, "predicate")
        if weight.predicate in seen:
            yield Fault(path, shown(weight.predicate), "it stands there twice")
        seen.add(weight.predicate)
    for i, name in enumerate(spec.targets):
        yield from known(f"targets[{i}]", name, names, "predicate")


def _clause(clause: Clause, path: str, names: list[str]) -> Iterator[Fault]:
    if not clause.all and not clause.none:
        yield Fault(path, "", "it has no predicates, so it would always hold; it must have at least one")
    for field in ("all", "none"):
        for i, name in enumerate(getattr(clause, field)):
            yield from known(f"{path}.{field}[{i}]", name, names, "predicate")
