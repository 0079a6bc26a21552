"""From a canonical spec to arrays; `decoding` is the way back."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.specs.arrays import (
    COLUMNS,
    NONE,
    SLOTS,
    Carrier,
    GridParams,
    Payment,
    Predicates,
    Ranges,
    Rules,
    Start,
    Terrain,
    Types,
)
from jaxrl_envs.specs.caps import BUILT_IN, MOST_HELD, PRESETS, Caps
from jaxrl_envs.specs.instructions import OPERATIONS, ends
from jaxrl_envs.specs.model import (
    COLOURS,
    COMPARES,
    DEEDS,
    KINDS,
    MOTIONS,
    SIDES,
    WHENS,
    Clause,
    GridSpec,
    Region,
    Type,
)
from jaxrl_envs.specs.ranges import has_ranges


def encode(spec: GridSpec, size: str | None = None, ranged: bool | None = None) -> GridParams:
    """A canonical spec as arrays, of NumPy: stack many, then put them onto a device at once.

    Args:
        spec: as `Language.read` gives it.
        size: a preset no smaller than the spec's own, which is the default.
        ranged: whether there is room for ranges in rules and predicates, as there must be beside specs that have some; None if the spec
            has some. Of a carrier there is none.

    Raises:
        ValueError: the size is smaller; or there are ranges, and is no room for them.
    """
    order = [*PRESETS]
    size = size or spec.size
    if size not in PRESETS or order.index(size) < order.index(spec.size):
        raise ValueError(f"size is {size!r}; it must be one of {', '.join(order[order.index(spec.size) :])}")
    if has_ranges(spec) and ranged is False:
        raise ValueError(
            "ranged is False; it must be True or None for a spec with ranges in rules or predicates"
        )
    caps = PRESETS[size]
    number = {name: i for i, name in enumerate([*BUILT_IN, *(t.name for t in spec.types)])}
    predicate = {p.name: i for i, p in enumerate(spec.predicates)}
    return GridParams(
        size=_array([spec.height, spec.width], np.int32),
        types=_types(spec, caps),
        terrain=_terrain(spec, caps, number),
        start=_start(spec, caps, number),
        rules=_rules(spec, caps, number),
        predicates=_predicates(spec, caps, number, predicate),
        payment=_payment(spec, caps, predicate),
        success=_clauses(spec.success, caps, predicate),
        failure=_clauses(spec.failure, caps, predicate),
        ends_on_success=_array(spec.ends_on_success),
        difficulty=_array(spec.difficulty, np.float32),
        max_steps=_array(spec.time_limit, np.int32),
        carrier=_carrier(spec, caps) if spec.agent.body == "carrier" else None,
        ranges=_ranges(spec, caps, number)
        if has_ranges(spec) or (ranged and spec.agent.body == "walker")
        else None,
    )


def params_of(spec: GridSpec, size: str | None = None, ranged: bool | None = None) -> GridParams:
    """As `encode`, on the device."""
    return jax.tree.map(jnp.asarray, encode(spec, size, ranged))


def _array(values: Any, dtype: Any = None) -> Any:
    """An array that stands where one of jax may: the fields say what they are for the program."""
    return np.asarray(values, dtype)


def _filled(shape: Any, dtype: Any, value: Any = 0) -> Any:
    return np.full(shape, value, dtype)


def _column(rows: list[Any], length: int, dtype: Any, rest: Any = 0) -> Any:
    column = _filled(length, dtype, rest)
    column[: len(rows)] = rows
    return column


def _region(region: Region | None, spec: GridSpec) -> list[int]:
    return (
        [region.row, region.column, region.height, region.width]
        if region
        else [0, 0, spec.height, spec.width]
    )


def _types(spec: GridSpec, caps: Caps) -> Types:
    built_in = [
        Type(name="void", opaque=True, colour="black"),
        Type(name="floor", walkable=True, ground=True, colour="white"),
    ]
    rows = [*built_in, *spec.types]
    flags = {
        name: _column([getattr(t, name) for t in rows], caps.types, bool)
        for name in ("walkable", "pickable", "pushable", "opaque", "consumable", "ground")
    }
    numbers = {
        name: _column([getattr(t, name) for t in rows], caps.types, np.int32)
        for name in ("hazard", "heals", "health")
    }
    return Types(
        **flags,
        **numbers,
        motion=_column([MOTIONS.index(t.motion) for t in rows], caps.types, np.int32),
        speed=_column([t.speed for t in rows], caps.types, np.float32),
        colour=_column([COLOURS.index(t.colour) for t in rows], caps.types, np.int32),
    )


def _terrain(spec: GridSpec, caps: Caps, number: dict[str, int]) -> Terrain:
    ops, rows = [*OPERATIONS], spec.terrain
    low, high = _filled((2, caps.instructions, COLUMNS), np.float32)
    for i, row in enumerate(rows):
        for j, slot in enumerate(SLOTS[row.op]):
            low[i, j], high[i, j] = ends(getattr(row, slot))
    cells = _filled((caps.instructions, caps.side), np.int32)
    for i, row in enumerate(rows):
        for j, line in enumerate(getattr(row, "map", ())):
            cells[i, j] = sum(1 << column for column, letter in enumerate(line) if letter == "#")
    refer = lambda field: _column(
        [number.get(getattr(row, field, None) or "", NONE) for row in rows], caps.instructions, np.int32, NONE
    )
    return Terrain(
        op=_column([ops.index(row.op) for row in rows], caps.instructions, np.int32, NONE),
        type=refer("type"),
        on=refer("on"),
        to=refer("to"),
        hollow=_column([getattr(row, "hollow", False) for row in rows], caps.instructions, bool),
        cells=cells,
        low=low,
        high=high,
    )


def _start(spec: GridSpec, caps: Caps, number: dict[str, int]) -> Start:
    low, high = _filled((2, caps.types), np.int32)
    for stock in spec.agent.inventory:
        low[number[stock.item]], high[number[stock.item]] = ends(stock.count)
    return Start(
        region=_array(_region(spec.agent.region, spec), np.int32),
        inventory_low=low,
        inventory_high=high,
        health=_array(ends(spec.agent.health), np.int32),
    )


def _rules(spec: GridSpec, caps: Caps, number: dict[str, int], end: int = 0) -> Rules:
    """Of ranges the low ends, or the high ones where ``end`` is 1."""
    rows = spec.rules
    of = lambda value: ends(value)[end]
    needs, changes = _filled((2, caps.rules, caps.types), np.int8)
    limits = _filled((caps.rules, caps.types), np.int8, MOST_HELD)
    for i, rule in enumerate(rows):
        for table, amounts in ((needs, rule.needs), (limits, rule.at_most), (changes, rule.changes)):
            for row in amounts:
                table[i, number[row.item]] = of(row.count)
    column = lambda values, rest=0: _column([*values], caps.rules, np.int32, rest)
    refer = lambda field: column((number.get(getattr(row, field) or "", NONE) for row in rows), NONE)
    return Rules(
        when=column((WHENS.index(row.when) for row in rows), NONE),
        of=refer("of"),
        by=refer("by"),
        every=column((of(row.every) for row in rows), 1),
        near=refer("near"),
        becomes=refer("becomes"),
        spawns=refer("spawns"),
        anywhere=column(row.where == "anywhere" for row in rows),
        most=column(of(row.most or 0) for row in rows),
        health=column(of(row.health) for row in rows),
        chance=_column([of(row.chance) for row in rows], caps.rules, np.float32),
        needs=needs,
        limits=limits,
        changes=changes,
    )


def _predicates(spec: GridSpec, caps: Caps, number: dict[str, int], predicate: dict[str, int]) -> Predicates:
    rows = spec.predicates
    column = lambda values, rest=0: _column([*values], caps.predicates, np.int32, rest)
    region = _filled((caps.predicates, 4), np.int32)
    for i, row in enumerate(rows):
        region[i] = _region(row.region, spec) if row.region else 0
    refer = lambda row: (predicate if row.kind == "achieved" else number).get(row.of or "", NONE)
    return Predicates(
        kind=column((KINDS.index(row.kind) for row in rows), NONE),
        of=column((refer(row) for row in rows), NONE),
        by=column((number.get(row.by or "", NONE) for row in rows), NONE),
        compare=column(COMPARES.index(row.compare) for row in rows),
        number=column(ends(row.number)[0] for row in rows),
        region=region,
    )


def _ranges(spec: GridSpec, caps: Caps, number: dict[str, int]) -> Ranges:
    """The high ends."""
    high = _rules(spec, caps, number, 1)
    names = ("every", "most", "health", "chance", "needs", "limits", "changes")
    numbers = _column([ends(row.number)[1] for row in spec.predicates], caps.predicates, np.int32)
    return Ranges(**{name: getattr(high, name) for name in names}, number=numbers)


def _carrier(spec: GridSpec, caps: Caps) -> Carrier:
    bits = lambda rows: [sum(1 << DEEDS.index(deed) for deed in row.after) for row in rows]
    sides = lambda rows: [SIDES.index(row.towards) if row.towards else NONE for row in rows]
    return Carrier(
        after=_column(bits(spec.rules), caps.rules, np.int32),
        towards=_column(sides(spec.rules), caps.rules, np.int32, NONE),
        told_after=_column(bits(spec.predicates), caps.predicates, np.int32),
        told_towards=_column(sides(spec.predicates), caps.predicates, np.int32, NONE),
        fade=_array(spec.reward.fade, np.float32),
    )


def _payment(spec: GridSpec, caps: Caps, predicate: dict[str, int]) -> Payment:
    tables = _filled((3, caps.predicates), np.float32)
    for row in spec.reward.weights:
        tables[:, predicate[row.predicate]] = row.first, row.each, row.potential
    scalar = lambda x: _array(x, np.float32)
    reward = spec.reward
    first, each, potential = tables
    return Payment(first, each, potential, scalar(reward.step), scalar(reward.success), scalar(reward.clip))


def _clauses(clauses: tuple[Clause, ...], caps: Caps, predicate: dict[str, int]) -> Any:
    table = _filled((caps.clauses, caps.predicates), np.int8)
    for i, clause in enumerate(clauses):
        table[i, [predicate[name] for name in clause.all]] = 1
        table[i, [predicate[name] for name in clause.none]] = -1
    return table
