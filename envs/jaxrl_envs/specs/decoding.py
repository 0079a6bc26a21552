"""From arrays back to a spec: `decode` undoes `encoding.encode`, and reads what a curriculum made of the arrays."""

from __future__ import annotations

from typing import Any, cast

import jax
import numpy as np

from jaxrl_envs.specs.arrays import NONE, SLOTS, GridParams, Terrain
from jaxrl_envs.specs.canonical import DIGITS, canonical
from jaxrl_envs.specs.caps import BUILT_IN, MOST_HELD
from jaxrl_envs.specs.instructions import OPERATIONS, Number, Span, Whole
from jaxrl_envs.specs.model import (
    COLOURS,
    COMPARES,
    DEEDS,
    KINDS,
    MOTIONS,
    SIDES,
    WHENS,
    Agent,
    Amount,
    Change,
    Clause,
    GridSpec,
    Predicate,
    Region,
    Reward,
    Rule,
    Stock,
    Type,
    Weight,
)


def decode(params: GridParams, like: GridSpec) -> GridSpec:
    """The canonical spec of arrays.

    Args:
        params: of one spec, whatever was drawn or edited in them.
        like: a spec that has the names of types and predicates in the order of the arrays, the preset, and what is told.
    """
    params = jax.tree.map(np.asarray, params)
    types = [*BUILT_IN, *(t.name for t in like.types)]
    predicates = [p.name for p in like.predicates]
    spec = like.model_copy(
        update={
            "height": int(params.size[0]),
            "width": int(params.size[1]),
            "difficulty": _number(params.difficulty),
            "types": tuple(_type(params.types, i, types[i]) for i in range(len(BUILT_IN), len(types))),
            "terrain": _terrain(params.terrain, types),
            "agent": _agent(params, types),
            "rules": tuple(
                _rule(params, i, types) for i, when in enumerate(params.rules.when) if when != NONE
            ),
            "predicates": tuple(_predicate(params, i, types, predicates) for i in range(len(predicates))),
            "success": _clauses(params.success, predicates),
            "failure": _clauses(params.failure, predicates),
            "reward": _reward(params, predicates),
            "ends_on_success": bool(params.ends_on_success),
            "time_limit": int(params.max_steps),
        }
    )
    return canonical(spec)


def _number(value: Any) -> float:
    return round(float(value), DIGITS)


def _range(low: Any, high: Any) -> Number:
    return Span(low=_number(low), high=_number(high)) if low != high else _number(low)


def _whole(low: Any, high: Any) -> Whole:
    return Span(low=int(low), high=int(high)) if low != high else int(low)


def _name(names: list[str], index: Any) -> str | None:
    return names[int(index)] if index >= 0 else None


def _type(types: Any, i: int, name: str) -> Type:
    fields: dict[str, Any] = {
        field: bool(getattr(types, field)[i])
        for field in ("walkable", "pickable", "pushable", "opaque", "consumable", "ground")
    }
    fields |= {field: int(getattr(types, field)[i]) for field in ("hazard", "heals", "health")}
    return Type(
        name=name,
        **fields,
        motion=MOTIONS[types.motion[i]],
        speed=_number(types.speed[i]),
        colour=COLOURS[types.colour[i]],
    )


def _terrain(terrain: Terrain, names: list[str]) -> tuple[Any, ...]:
    found, ops = [], [*OPERATIONS]
    for i, index in enumerate(terrain.op):
        if index == NONE:
            continue
        model: Any = OPERATIONS[ops[index]]
        fields: dict[str, Any] = {
            slot: _range(terrain.low[i, j], terrain.high[i, j]) for j, slot in enumerate(SLOTS[ops[index]])
        }
        fields |= {"type": _name(names, terrain.type[i]), "on": _name(names, terrain.on[i])}
        if "to" in model.model_fields:
            fields["to"] = _name(names, terrain.to[i])
        if "hollow" in model.model_fields:
            fields["hollow"] = bool(terrain.hollow[i])
        if "map" in model.model_fields:
            fields["map"] = _drawing(terrain.cells[i])
        found.append(model(op=ops[index], **fields))
    return tuple(found)


def _drawing(rows: Any) -> tuple[str, ...]:
    lines = ["".join(".#"[int(row) >> column & 1] for column in range(int(row).bit_length())) for row in rows]
    while lines and not lines[-1]:
        lines.pop()
    return tuple(lines)


def _whole_map(region: Any, params: GridParams) -> Region | None:
    row, column, height, width = (int(x) for x in region)
    if [row, column, height, width] == [0, 0, *(int(x) for x in params.size)]:
        return None
    return Region(row=row, column=column, height=height, width=width)


def _agent(params: GridParams, names: list[str]) -> Agent:
    start: Any = params.start
    held = [
        Stock(item=name, count=_range(start.inventory_low[i], start.inventory_high[i]))
        for i, name in enumerate(names)
        if start.inventory_high[i]
    ]
    body = "carrier" if params.carrier is not None else "walker"
    return Agent(
        body=body,
        region=_whole_map(start.region, params),
        health=_range(*start.health),
        inventory=tuple(held),
    )


def _rule(params: GridParams, i: int, names: list[str]) -> Rule:
    rules, carrier = cast(Any, params.rules), params.carrier
    tops = cast(Any, params.ranges if params.ranges is not None else rules)
    number = lambda field: _whole(getattr(rules, field)[i], getattr(tops, field)[i])
    amounts = lambda field, kind, rest: tuple(
        kind(item=name, count=_whole(*both))
        for name, *both in zip(names, getattr(rules, field)[i], getattr(tops, field)[i], strict=False)
        if both != [rest, rest]
    )
    spawns = _name(names, rules.spawns[i])
    return Rule(
        when=WHENS[rules.when[i]],
        of=_name(names, rules.of[i]),
        by=_name(names, rules.by[i]),
        every=number("every"),
        needs=amounts("needs", Amount, 0),
        at_most=amounts("limits", Amount, MOST_HELD),
        near=_name(names, rules.near[i]),
        becomes=_name(names, rules.becomes[i]),
        spawns=spawns,
        where="anywhere" if rules.anywhere[i] else "beside",
        most=number("most") if spawns else None,
        changes=amounts("changes", Change, 0),
        health=number("health"),
        chance=_range(rules.chance[i], tops.chance[i]),
        **(_gates(carrier.after[i], carrier.towards[i]) if carrier is not None else {}),
    )


def _gates(after: Any, towards: Any) -> dict[str, Any]:
    deeds = tuple(deed for bit, deed in enumerate(DEEDS) if int(after) >> bit & 1)
    return {"after": deeds, "towards": SIDES[int(towards)] if towards >= 0 else None}


def _predicate(params: GridParams, i: int, types: list[str], predicates: list[str]) -> Predicate:
    table, carrier = cast(Any, params.predicates), params.carrier
    tops = cast(Any, params.ranges if params.ranges is not None else table)
    kind = KINDS[table.kind[i]]
    region = (
        Region(**dict(zip(("row", "column", "height", "width"), map(int, table.region[i]), strict=True)))
        if kind == "at"
        else None
    )
    return Predicate(
        name=predicates[i],
        kind=kind,
        of=_name(predicates if kind == "achieved" else types, table.of[i]),
        by=_name(types, table.by[i]),
        compare=COMPARES[table.compare[i]],
        number=_whole(table.number[i], tops.number[i]),
        region=region,
        **(_gates(carrier.told_after[i], carrier.told_towards[i]) if carrier is not None else {}),
    )


def _clauses(table: Any, names: list[str]) -> tuple[Clause, ...]:
    named = lambda row, sign: tuple(name for j, name in enumerate(names) if row[j] == sign)
    return tuple(Clause(all=named(row, 1), none=named(row, -1)) for row in table if row.any())


def _reward(params: GridParams, names: list[str]) -> Reward:
    payment = cast(Any, params.payment)
    weights = tuple(
        Weight(
            predicate=name,
            first=_number(payment.first[i]),
            each=_number(payment.each[i]),
            potential=_number(payment.potential[i]),
        )
        for i, name in enumerate(names)
    )
    return Reward(
        weights=weights,
        step=_number(payment.step),
        success=_number(payment.success),
        clip=_number(payment.clip),
        fade=_number(params.carrier.fade) if params.carrier is not None else 0.0,
    )
