"""Ranges in rules and predicates: a reset draws a number from each, and the episode is played with these.

What was drawn is a part of the state, so a step draws nothing. A spec without ranges has None in both places, and a program without them.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import jax
import jax.numpy as jnp

from jaxrl_envs.specs.arrays import GridParams, Ranges
from jaxrl_envs.specs.hashing import fraction, numbered
from jaxrl_envs.specs.instructions import Span
from jaxrl_envs.specs.model import GridSpec

_NAMES = tuple(field.name for field in fields(Ranges))
_STREAM = 2  # of a reset's key, so that map and possessions are as if there were no ranges


def has_ranges(spec: GridSpec) -> bool:
    """Whether a number of its rules or predicates is a range."""
    rules = (
        number
        for r in spec.rules
        for number in (
            r.every,
            r.most,
            r.health,
            r.chance,
            *(row.count for row in (*r.needs, *r.at_most, *r.changes)),
        )
    )
    return any(isinstance(number, Span) for number in (*rules, *(p.number for p in spec.predicates)))


def draw(key: jax.Array, params: GridParams) -> Ranges | None:
    """The numbers of an episode, each uniform from the low end up to the share ``difficulty`` of the way; None where there are no ranges.

    Args:
        key: of the reset.
        params: the spec.
    """
    if params.ranges is None:  # a matter of structure
        return None
    seed = jax.random.bits(jax.random.fold_in(key, _STREAM), (), jnp.uint32)
    low, high = _low(params), params.ranges
    drawn: dict[str, Any] = {}
    first = 0
    for name in _NAMES:
        least, most = getattr(low, name), getattr(high, name)
        place = first + jnp.arange(least.size, dtype=jnp.int32).reshape(least.shape)
        drawn[name] = _drawn(fraction(numbered(seed, place)), least, most, params.difficulty)
        first += least.size
    return Ranges(**drawn)


def settled(params: GridParams, drawn: Ranges | None) -> GridParams:
    """The spec of an episode: with what was drawn in place of its ranges.

    Args:
        params: the spec.
        drawn: as `draw` gives it.
    """
    if drawn is None:
        return params
    rules = {name: getattr(drawn, name) for name in _NAMES if name != "number"}
    return replace(
        params,
        rules=replace(params.rules, **rules),
        predicates=replace(params.predicates, number=drawn.number),
        ranges=None,
    )


def _low(params: GridParams) -> Ranges:
    rules = {name: getattr(params.rules, name) for name in _NAMES if name != "number"}
    return Ranges(**rules, number=params.predicates.number)


def _drawn(unit: jax.Array, low: jax.Array, high: jax.Array, difficulty: jax.Array) -> jax.Array:
    """One number for each, of the dtype that the ends have: whole where they are."""
    least, most = low.astype(jnp.float32), high.astype(jnp.float32)
    reach = difficulty * (most - least)
    if jnp.issubdtype(low.dtype, jnp.floating):
        return least + unit * reach
    return (least + jnp.floor(unit * (jnp.floor(reach) + 1.0))).astype(low.dtype)
