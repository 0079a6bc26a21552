"""A grid spec as arrays of fixed shapes: the parameters of the environment that interprets it, and back.

Rows beyond those that a spec has are marked by -1 in their first column, as is every reference to no type. Names stay on
the host: a type is its number in ``void``, ``floor`` and the types in the order of the spec, which is alphabetical.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxrl_envs.specs.caps import BUILT_IN, MOST_HELD, PRESETS, Caps
from jaxrl_envs.specs.model import (
    COLOURS,
    COMPARES,
    KINDS,
    MOTIONS,
    OPERATIONS,
    WHENS,
    Clause,
    GridSpec,
    Region,
    Type,
    ends,
)

SLOTS = {
    "fill": (),
    "border": ("thickness",),
    "rectangle": ("row", "column", "height", "width"),
    "line": ("row", "column", "to_row", "to_column"),
    "rooms": ("rows", "columns"),
    "noise": ("above", "scale"),
    "scatter": ("count",),
    "band": ("count", "nearest", "farthest"),
    "path": (),
}
"""The numbers of each instruction, in the order of their columns."""
COLUMNS = 4
NONE = -1


@struct.dataclass
class Types:
    """What cells may hold, ``[T]`` each; flags, but for int32 ``hazard``, ``heals``, ``health``, ``motion``, ``colour`` and float32 ``speed``."""

    walkable: jax.Array
    pickable: jax.Array
    pushable: jax.Array
    opaque: jax.Array
    consumable: jax.Array
    hazard: jax.Array
    heals: jax.Array
    health: jax.Array
    motion: jax.Array
    speed: jax.Array
    colour: jax.Array


@struct.dataclass
class Terrain:
    """Instructions: int32 ``[I]``, bool ``hollow [I]``, and the ends of their numbers, float32 ``[I, 4]``."""

    op: jax.Array
    type: jax.Array
    on: jax.Array
    to: jax.Array
    hollow: jax.Array
    low: jax.Array
    high: jax.Array


@struct.dataclass
class Start:
    """The agent's: int32 ``region [4]`` (row, column, height, width), ``inventory_low [T]``, ``inventory_high [T]``, ``health [2]``."""

    region: jax.Array
    inventory_low: jax.Array
    inventory_high: jax.Array
    health: jax.Array


@struct.dataclass
class Rules:
    """Rules, int32 ``[R]``, float32 ``chance [R]``, and what they need, allow and change of the inventory, int8 ``[R, T]``."""

    when: jax.Array
    of: jax.Array
    by: jax.Array
    every: jax.Array
    near: jax.Array
    becomes: jax.Array
    spawns: jax.Array
    anywhere: jax.Array
    most: jax.Array
    health: jax.Array
    chance: jax.Array
    needs: jax.Array
    limits: jax.Array
    changes: jax.Array


@struct.dataclass
class Predicates:
    """Predicates, int32 ``[P]``, ``region`` int32 ``[P, 4]``; ``of`` is a type, or a predicate where the kind is ``achieved``."""

    kind: jax.Array
    of: jax.Array
    by: jax.Array
    compare: jax.Array
    number: jax.Array
    region: jax.Array


@struct.dataclass
class Payment:
    """Rewards: float32 ``first``, ``each`` and ``potential [P]``, and scalars."""

    first: jax.Array
    each: jax.Array
    potential: jax.Array
    step: jax.Array
    success: jax.Array
    clip: jax.Array


@struct.dataclass
class GridParams:
    """A grid spec as the parameters of its environment.

    Attributes:
        size: int32 ``[2]``, rows and columns of the map.
        types, terrain, start, rules, predicates, payment: tables.
        success, failure: int8 ``[K, P]``: 1 where a clause asks for a predicate, -1 where for its contrary, else 0; a row of zeros is no clause.
        ends_on_success: bool.
        difficulty: float32, from 0 to 1.
        max_steps: int32, the time limit.
    """

    size: jax.Array
    types: Types
    terrain: Terrain
    start: Start
    rules: Rules
    predicates: Predicates
    payment: Payment
    success: jax.Array
    failure: jax.Array
    ends_on_success: jax.Array
    difficulty: jax.Array
    max_steps: jax.Array


def encode(spec: GridSpec, size: str | None = None) -> GridParams:
    """A canonical spec as arrays, of NumPy: stack many, then put them onto a device at once.

    Args:
        spec: as `Language.read` gives it.
        size: a preset no smaller than the spec's own, which is the default.

    Raises:
        ValueError: it is smaller.
    """
    order = [*PRESETS]
    size = size or spec.size
    if size not in PRESETS or order.index(size) < order.index(spec.size):
        raise ValueError(f"size is {size!r}; it must be one of {', '.join(order[order.index(spec.size) :])}")
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
    )


def params_of(spec: GridSpec, size: str | None = None) -> GridParams:
    """As `encode`, on the device."""
    return jax.tree.map(jnp.asarray, encode(spec, size))


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
        Type(name="floor", walkable=True, colour="white"),
    ]
    rows = [*built_in, *spec.types]
    flags = {
        name: _column([getattr(t, name) for t in rows], caps.types, bool)
        for name in ("walkable", "pickable", "pushable", "opaque", "consumable")
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
    refer = lambda field: _column(
        [number.get(getattr(row, field, None) or "", NONE) for row in rows], caps.instructions, np.int32, NONE
    )
    return Terrain(
        op=_column([ops.index(row.op) for row in rows], caps.instructions, np.int32, NONE),
        type=refer("type"),
        on=refer("on"),
        to=refer("to"),
        hollow=_column([getattr(row, "hollow", False) for row in rows], caps.instructions, bool),
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


def _rules(spec: GridSpec, caps: Caps, number: dict[str, int]) -> Rules:
    rows = spec.rules
    needs, changes = _filled((2, caps.rules, caps.types), np.int8)
    limits = _filled((caps.rules, caps.types), np.int8, MOST_HELD)
    for i, rule in enumerate(rows):
        for table, amounts in ((needs, rule.needs), (limits, rule.at_most), (changes, rule.changes)):
            for row in amounts:
                table[i, number[row.item]] = row.count
    column = lambda values, rest=0: _column([*values], caps.rules, np.int32, rest)
    refer = lambda field: column((number.get(getattr(row, field) or "", NONE) for row in rows), NONE)
    return Rules(
        when=column((WHENS.index(row.when) for row in rows), NONE),
        of=refer("of"),
        by=refer("by"),
        every=column((row.every for row in rows), 1),
        near=refer("near"),
        becomes=refer("becomes"),
        spawns=refer("spawns"),
        anywhere=column(row.where == "anywhere" for row in rows),
        most=column(row.most or 0 for row in rows),
        health=column(row.health for row in rows),
        chance=_column([row.chance for row in rows], caps.rules, np.float32),
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
        number=column(row.number for row in rows),
        region=region,
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
