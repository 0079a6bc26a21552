"""A spec as a vector of one length, whatever its types are called: what it is made of, each kind of fact added to a column of its own by hash."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxrl_envs.specs.instructions import Cells, Number, Step, ends
from jaxrl_envs.specs.instructions import told as said
from jaxrl_envs.specs.model import GridSpec, Predicate

LENGTH = 128


def features(spec: GridSpec) -> np.ndarray:
    """float32 ``[128]``. Two specs of which one has a tree more are near each other, two with other goals are not."""
    vector = np.zeros(LENGTH, np.float32)
    for fact, value in _facts(spec):
        code = zlib.crc32(fact.encode())
        vector[code % LENGTH] += value if code & 0x8000_0000 else -value
    return vector


def _middle(number: Number) -> float:
    low, high = ends(number)
    return (low + high) / 2


def _gates(predicate: Predicate) -> str:
    said = (predicate.after, predicate.towards)
    return f" {said}" if any(said) else ""


def _place(predicate: Predicate) -> str:
    """Where, of ``at`` alone."""
    region = predicate.region
    return f" {(region.row, region.column, region.height, region.width)}" if region else ""


def _facts(spec: GridSpec) -> Iterator[tuple[str, float]]:
    """Facts, and how much they count: about 1 each."""
    yield "height", spec.height / 10
    yield "width", spec.width / 10
    yield "time", math.log1p(spec.time_limit) / 4
    yield "difficulty", spec.difficulty
    if spec.agent.body != "walker":
        yield spec.agent.body, 1.0
    yield "health", _middle(spec.agent.health) / 9
    for stock in spec.agent.inventory:
        yield f"has {stock.item}", 0.5 + _middle(stock.count) / 9
    for step in spec.terrain:
        yield f"{step.op} {step.type}", _amount(step)
    for kind in spec.types:
        yield f"{kind.name} moves {kind.motion}", float(kind.motion != "still") * kind.speed
        yield f"{kind.name} hurts", kind.hazard / 3
    for rule in spec.rules:
        yield f"{rule.when} {rule.of} {rule.by} {rule.becomes} {rule.spawns}", _middle(rule.chance) / 2
        if rule.after or rule.towards:
            yield f"{rule.when} {rule.of} {rule.towards} {rule.after}", 0.5
        for amount in (*rule.needs, *rule.changes):
            count = _middle(amount.count)
            yield f"{rule.when} {rule.of} {amount.item} {count > 0}", abs(count) / 9
    told = {
        p.name: f"{p.kind} {p.of} {p.by} {p.compare} {said(p.number)}{_gates(p)}{_place(p)}"
        for p in spec.predicates
    }
    for sign, clauses in (("wants", spec.success), ("shuns", spec.failure)):
        for clause in clauses:
            share = 1 / max(1, len(clause.all) + len(clause.none))
            yield from ((f"{sign} {told[name]}", share) for name in clause.all)
            yield from ((f"{sign} not {told[name]}", share) for name in clause.none)
    for weight in spec.reward.weights:
        yield f"pays {told[weight.predicate]}", math.tanh(weight.first + weight.each + weight.potential) / 2


def _amount(step: Step) -> float:
    fields: dict[str, Any] = {name: getattr(step, name, None) for name in ("count", "above", "rows")}
    if fields["count"] is not None:
        return math.log1p(_middle(fields["count"])) / 2
    if isinstance(step, Cells):
        return math.log1p("".join(step.map).count("#")) / 2
    if fields["above"] is not None:
        return 1 - _middle(fields["above"])
    return 0.5
