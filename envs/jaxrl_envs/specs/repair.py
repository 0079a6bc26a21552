"""Mending of data: what can be put right without guessing at what was meant, and a sentence for each change."""

from __future__ import annotations

import copy
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from jaxrl_envs.specs import contradictions, prerequisites, references
from jaxrl_envs.specs.canonical import data_of
from jaxrl_envs.specs.caps import BUILT_IN, PRESETS, Caps
from jaxrl_envs.specs.fields import (
    bounds,
    choices,
    counts,
    is_list,
    models,
    most,
    spans,
    whole,
)
from jaxrl_envs.specs.instructions import OPERATIONS, Fill, Span
from jaxrl_envs.specs.language import Data, SpecError
from jaxrl_envs.specs.model import GridSpec
from jaxrl_envs.specs.shaping import newer, shaped
from jaxrl_envs.specs.slips import fields_meant, meant, spelt
from jaxrl_envs.specs.text import plain, shown


def repair(data: Data) -> tuple[Data, list[str]]:
    """Data with what can be mended mended: unknown keys dropped (but for slips of spelling, see `slips`), numbers rounded and clamped,
    ranges turned round, misspelt words put right, a rule that spawns without bound bounded; then whatever success needs and cannot
    come by is added, and what that needs. Of a later version nothing is mended: what it means is not known.

    Returns:
        Fresh data, and a sentence for each change, in the order of the fields.

    Raises:
        SpecError: it is no JSON data of bounded size.
    """
    data, changes, dropped = copy.deepcopy(plain(data)), list[str](), list[str]()
    if not isinstance(data, dict) or later(data, GridSpec):
        return data, changes
    _keys(data, GridSpec, "", dropped)
    size = GridSpec.model_fields["size"]
    if isinstance(data.get("size"), str):
        data["size"] = _word(data["size"], size, "size", changes)
    _fit(data, PRESETS.get(str(data.get("size", size.default))), changes)
    changes += dropped
    mend(data, GridSpec, "", changes)
    _bound_spawning(data, changes)
    try:
        spec = shaped(data, GridSpec)
    except SpecError:
        return data, changes
    if references.faults(spec) or contradictions.faults(spec):
        return data, changes
    spec, added = prerequisites.added(spec)
    return (data_of(spec) if added else data), changes + added


def later(data: Data, model: type[BaseModel]) -> bool:
    """Whether data say, however the key is spelt, that they are of a later version than is read."""
    if "version" in data:
        return newer(data, model)
    return any(newer({"version": data[key]}, model) for key in data if spelt(key, "version"))


def _fit(data: Data, caps: Caps | None, changes: list[str]) -> None:
    """Sides and lists no larger than the preset has room for, where it is one."""
    if caps is None:
        return
    for name in ("height", "width"):
        side = data.get(name)
        if isinstance(side, int | float) and not isinstance(side, bool) and side > caps.side:
            data[name] = _said(name, side, caps.side, changes)
    rooms = {"types": "types", "terrain": "instructions", "rules": "rules", "predicates": "predicates"}
    for name, cap in {**rooms, "success": "clauses", "failure": "clauses"}.items():
        most_rows = getattr(caps, cap) - (len(BUILT_IN) if name == "types" else 0)
        rows = data.get(name)
        if isinstance(rows, list) and len(rows) > most_rows:
            changes.append(f"{name} is cut to its first {most_rows} of {len(rows)}")
            data[name] = rows[:most_rows]


def mend(data: Data, model: type[BaseModel], path: str, changes: list[str]) -> None:
    """Put right in place what each field by itself allows.

    Args:
        data: of an object.
        model: of which it is.
        path: where it stands; empty for the whole.
        changes: to which a sentence for each change is added.
    """
    _keys(data, model, path, changes)
    for name, field in model.model_fields.items():
        if name in data:
            here = f"{path}.{name}" if path else name
            data[name] = _value(data[name], field, here, changes)


def _keys(data: Data, model: type[BaseModel], path: str, changes: list[str]) -> None:
    """Drop keys that are no fields; the value of a misspelt one goes to the field that is meant."""
    for key, name in fields_meant(data, model).items():
        here, value = f"{path}.{shown(key)[1:-1]}" if path else shown(key)[1:-1], data.pop(key)
        changes.append(
            f"{here} is dropped: there is no such field" + (f"; {name} has its value" if name else "")
        )
        if name:
            data[name] = value


def _value(value: Any, field: FieldInfo, path: str, changes: list[str]) -> Any:
    if is_list(field) and isinstance(value, list):
        return _rows(value, field, path, changes)
    if spans(field) and isinstance(value, dict):
        return _span(value, field, path, changes)
    if isinstance(value, dict) and (inside := models(field.annotation)):
        mend(value, inside[0], path, changes)
        return value
    if isinstance(value, str) and choices(field):
        return _word(value, field, path, changes)
    if isinstance(value, str) and field.annotation is str and (cap := most(field)) and len(value) > cap:
        return _said(path, value, value[:cap], changes)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(value, field, path, changes)
    return value


def _rows(rows: list[Any], field: FieldInfo, path: str, changes: list[str]) -> list[Any]:
    cap, inside = most(field), models(field.annotation)
    if cap is not None and len(rows) > cap:
        changes.append(f"{path} is cut to its first {cap} of {len(rows)}")
        rows = rows[:cap]
    for i, row in enumerate(rows):
        if isinstance(row, dict) and inside:
            model = inside[0]
            if len(inside) > 1:
                _operation(row, f"{path}[{i}]", changes)
                op = row.get("op")
                if isinstance(op, str) and op not in OPERATIONS and (near := meant(op, OPERATIONS)):
                    op = row["op"] = _said(f"{path}[{i}].op", op, near, changes)
                if not isinstance(op, str) or op not in OPERATIONS:
                    continue
                model = OPERATIONS[op]
            mend(row, model, f"{path}[{i}]", changes)
        elif isinstance(row, str) and choices(field):
            rows[i] = _word(row, field, f"{path}[{i}]", changes)
    return rows


def _operation(row: Data, path: str, changes: list[str]) -> None:
    """Put the value of a misspelt ``op`` there, by which all other keys are known."""
    for key, name in fields_meant(row, Fill).items():
        if name == "op":
            row["op"] = row.pop(key)
            changes.append(f"{path}.{shown(key)[1:-1]} is dropped: there is no such field; op has its value")


def _word(word: str, field: FieldInfo, path: str, changes: list[str]) -> str:
    options = [str(option) for option in choices(field)]
    near = None if word in options else meant(word, options)
    return _said(path, word, near, changes) if near else word


def _span(value: Data, field: FieldInfo, path: str, changes: list[str]) -> Data:
    _keys(value, Span, path, changes)
    for key in value:
        if isinstance(value[key], int | float) and not isinstance(value[key], bool):
            value[key] = _number(value[key], field, f"{path}.{key}", changes, True)
    low, high = value.get("low"), value.get("high")
    if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
        changes.append(f"{path} goes from {high:g} to {low:g}, not the other way")
        value["low"], value["high"] = high, low
    return value


def _number(value: float, field: FieldInfo, path: str, changes: list[str], of_range: bool = False) -> float:
    limits = bounds(field)
    if limits is None:
        return value
    kept = round(value) if whole(field) else value
    kept = min(max(kept, limits[0]), limits[1])
    if whole(field):
        kept = int(kept)
    elif kept == 0 and value < 0:
        kept = 0.0
    same = kept == value and isinstance(kept, int) == isinstance(value, int)
    free = of_range or not counts(field)  # where 5.0 will do for 5
    return value if same or (kept == value and free) else _said(path, value, kept, changes)


def _said(path: str, before: Any, after: Any, changes: list[str]) -> Any:
    changes.append(f"{path} is {shown(after)} instead of {shown(before)}")
    return after


def _bound_spawning(data: Data, changes: list[str]) -> None:
    rules = data.get("rules")
    for i, rule in enumerate(rules if isinstance(rules, list) else ()):
        if isinstance(rule, dict) and isinstance(rule.get("spawns"), str) and rule.get("most") is None:
            rule["most"] = 8
            changes.append(f"rules[{i}].most is 8 instead of null: it would spawn without bound")
