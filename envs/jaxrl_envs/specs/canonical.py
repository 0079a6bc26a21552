"""One form for all ways to write the same environment: rows sorted, rows without effect left out, floats rounded."""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from jaxrl_envs.specs.caps import MOST_HELD
from jaxrl_envs.specs.fields import counts
from jaxrl_envs.specs.instructions import Cells, Span, Step, ends
from jaxrl_envs.specs.model import DEEDS, Clause, GridSpec, Predicate, Region, Reward, Rule

DIGITS = 4
"""Decimals that are kept: float32 holds them exactly enough to be read back the same."""
_TOLD = ("name", "purpose", "parent", "targets")
_LATER = {"body": "walker", "after": [], "towards": None, "fade": 0}
"""Fields that came later: as usual they are no part of a hash, or those of older specs would be others."""
P = TypeVar("P", bound=BaseModel)


def data_of(part: BaseModel) -> dict[str, Any]:
    """A part of a spec as JSON data."""
    return {name: _data(getattr(part, name)) for name in type(part).model_fields}


def _data(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return data_of(value)
    if isinstance(value, tuple):
        return [_data(row) for row in value]
    if isinstance(value, float):
        return int(value) if value == int(value) else value
    return value


def _text(data: Any) -> str:
    return json.dumps(data, sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def rounded(part: P) -> P:
    """The same with floats rounded, ranges of one number as that number, everywhere inside."""

    def inside(value: Any) -> Any:
        if isinstance(value, BaseModel):
            return rounded(value)
        if isinstance(value, tuple):
            rows = tuple(map(inside, value))
            return value if all(map(operator.is_, rows, value)) else rows
        if isinstance(value, float):
            kept = round(value, DIGITS) + 0.0  # without a minus before zero
            return value if value and kept == value else kept
        return value

    def single(value: Any, field: FieldInfo) -> Any:
        if isinstance(value, Span) and value.low == value.high:
            return int(value.low) if counts(field) else value.low
        return value

    old = {name: getattr(part, name) for name in type(part).model_fields}
    new = {name: single(inside(old[name]), field) for name, field in type(part).model_fields.items()}
    changed = {name: value for name, value in new.items() if value is not old[name]}
    return part.model_copy(update=changed) if changed else part


def _sorted(rows: Iterable[P]) -> tuple[P, ...]:
    return tuple(sorted(rows, key=lambda row: _text(data_of(row))))


def canonical(spec: GridSpec) -> GridSpec:
    """The form in which two specs of one environment are equal. The terrain keeps its order, which matters, as do
    the rules of a carrier.
    """
    spec = rounded(spec)
    rules = [_rule(rule) for rule in spec.rules if ends(rule.chance)[1] > 0]
    held = [stock for stock in spec.agent.inventory if ends(stock.count) != (0, 0)]
    return spec.model_copy(
        update={
            "targets": tuple(sorted({*spec.targets})),
            "types": tuple(sorted(spec.types, key=lambda t: t.name)),
            "terrain": tuple(_step(s) for s in spec.terrain if ends(getattr(s, "count", 1.0)) != (0, 0)),
            "agent": spec.agent.model_copy(update={"region": _start(spec), "inventory": _sorted(held)}),
            "rules": tuple(rules) if spec.agent.body == "carrier" else _sorted(rules),
            "predicates": tuple(sorted((_predicate(p, spec) for p in spec.predicates), key=lambda p: p.name)),
            "success": _clauses(spec.success),
            "failure": _clauses(spec.failure),
            "reward": _reward(spec.reward),
        }
    )


def _start(spec: GridSpec) -> Region | None:
    region = _on_map(spec.agent.region, spec)
    whole = Region(row=0, column=0, height=spec.height, width=spec.width)
    return None if region == whole else region


def _on_map(region: Region | None, spec: GridSpec) -> Region | None:
    """Without what lies beyond the map, of which nothing is read."""
    if region is None:
        return None
    height, width = (
        min(region.height, spec.height - region.row),
        min(region.width, spec.width - region.column),
    )
    return region.model_copy(update={"height": height, "width": width})


def _step(step: Step) -> Step:
    """A drawing ends, in each row and as a whole, where its last cell does."""
    if not isinstance(step, Cells):
        return step
    rows = [row.rstrip(".") for row in step.map]
    while rows and not rows[-1]:
        rows.pop()
    return step.model_copy(update={"map": tuple(rows)})


def _rule(rule: Rule) -> Rule:
    return rule.model_copy(
        update={
            "needs": _sorted(row for row in rule.needs if ends(row.count) != (0, 0)),
            "at_most": _sorted(row for row in rule.at_most if ends(row.count)[0] < MOST_HELD),
            "changes": _sorted(row for row in rule.changes if ends(row.count) != (0, 0)),
            "where": rule.where if rule.spawns else "beside",
            # All are none: a rule is only read after a deed. A predicate is read at the start as well.
            "after": deeds if len(deeds := _deeds(rule.after)) < len(DEEDS) else (),
        }
    )


def _deeds(deeds: Iterable[str]) -> tuple[str, ...]:
    """In their order."""
    return tuple(deed for deed in DEEDS if deed in {*deeds})


def _predicate(predicate: Predicate, spec: GridSpec) -> Predicate:
    """What its kind doesn't read has the default."""
    kind = predicate.kind
    compares, counts = (
        kind in ("count", "holds", "survived", "health", "with", "without"),
        kind not in ("beside", "at", "achieved", "meets"),
    )
    return predicate.model_copy(
        update={
            "compare": predicate.compare if compares else ">=",
            "number": predicate.number if counts else 1,
            "region": _on_map(predicate.region, spec),
            "after": _deeds(predicate.after),
        }
    )


def _clauses(clauses: Iterable[Clause]) -> tuple[Clause, ...]:
    tidy = {(tuple(sorted({*c.all})), tuple(sorted({*c.none}))) for c in clauses}
    return tuple(Clause(all=holds, none=fails) for holds, fails in sorted(tidy))


def _reward(reward: Reward) -> Reward:
    paid = [w for w in reward.weights if w.first or w.each or w.potential]
    return reward.model_copy(update={"weights": tuple(sorted(paid, key=lambda w: w.predicate))})


def identity(spec: BaseModel) -> str:
    """Hash of a canonical form without what is only told of it, 32 hexadecimal digits."""
    data = data_of(spec)
    for field in _TOLD:
        del data[field]
    return hashlib.sha256(_text(_as_before(data)).encode()).hexdigest()[:32]


def _as_before(data: Any) -> Any:
    if isinstance(data, dict):
        kept = {name: _as_before(value) for name, value in data.items()}
        return {name: value for name, value in kept.items() if name not in _LATER or value != _LATER[name]}
    return [_as_before(row) for row in data] if isinstance(data, list) else data
