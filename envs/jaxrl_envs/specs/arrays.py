"""A grid spec as arrays of fixed shapes: the parameters of the environment that interprets it, and back.

Rows beyond those that a spec has are marked by -1 in their first column, as is every reference to no type. Names stay on
the host: a type is its number in ``void``, ``floor`` and the types in the order of the spec, which is alphabetical.
"""

from __future__ import annotations

import jax
from flax import struct

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
    "cells": (),
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
    ground: jax.Array
    hazard: jax.Array
    heals: jax.Array
    health: jax.Array
    motion: jax.Array
    speed: jax.Array
    colour: jax.Array


@struct.dataclass
class Terrain:
    """Instructions: int32 ``[I]``, bool ``hollow [I]``, drawings, int32 ``cells [I, S]``, of whose rows bit ``c`` is the cell in column
    ``c``, and the ends of their numbers, float32 ``[I, 4]``.
    """

    op: jax.Array
    type: jax.Array
    on: jax.Array
    to: jax.Array
    hollow: jax.Array
    cells: jax.Array
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
class Ranges:
    """Numbers of rules and predicates that may be ranges, of the shapes and dtypes that they have in `Rules` and `Predicates`. As a part of
    parameters these are the high ends, and what stands there the low ones; as a part of a state they are what was drawn.
    """

    every: jax.Array
    most: jax.Array
    health: jax.Array
    chance: jax.Array
    needs: jax.Array
    limits: jax.Array
    changes: jax.Array
    number: jax.Array


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
class Carrier:
    """What a carrier's specs say beyond a walker's: int32 ``after [R]``, bits of the deeds that a rule follows, 0 for all, and
    ``towards [R]``; likewise ``told_after`` and ``told_towards [P]`` of predicates; float32 ``fade``.
    """

    after: jax.Array
    towards: jax.Array
    told_after: jax.Array
    told_towards: jax.Array
    fade: jax.Array


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
        carrier: None for a walker, whose parameters and program are as if there were no other body.
        ranges: None where rules and predicates have no ranges; there, too, it costs nothing that others have some.
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
    carrier: Carrier | None = None
    ranges: Ranges | None = None
