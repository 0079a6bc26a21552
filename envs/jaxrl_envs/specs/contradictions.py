"""What can never hold, or always does: told from the spec alone, before anything is played."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from jaxrl_envs.specs.caps import MOST_HEALTH, MOST_HELD
from jaxrl_envs.specs.language import Fault
from jaxrl_envs.specs.model import Clause, GridSpec, Predicate, Rule

Literals = frozenset[tuple[str, bool]]


def faults(spec: GridSpec) -> list[Fault]:
    """All faults of this kind; names refer to what is there."""
    return [
        *(f for i, rule in enumerate(spec.rules) for f in _rule(rule, f"rules[{i}]")),
        *(f for i, c in enumerate(spec.success) for f in _clause(c, f"success[{i}]", spec)),
        *(f for i, c in enumerate(spec.failure) for f in _clause(c, f"failure[{i}]", spec)),
        *_against_failure(spec),
    ]


def _rule(rule: Rule, path: str) -> Iterator[Fault]:
    limits = {row.item: row.count for row in rule.at_most}
    for i, row in enumerate(rule.needs):
        if row.count > limits.get(row.item, MOST_HELD):
            yield Fault(
                f"{path}.needs[{i}].count",
                str(row.count),
                f"it must be no more than at_most allows of {row.item!r}, which is {limits[row.item]}",
            )


def _largest(predicate: Predicate, spec: GridSpec) -> tuple[int, int] | None:
    """The numbers that a predicate may find where the agent is alive; None where it compares none."""
    if predicate.kind == "holds" and spec.agent.body == "carrier":
        return None
    return {
        **dict.fromkeys(("count", "with", "without"), (0, spec.height * spec.width)),
        "holds": (0, MOST_HELD),
        "survived": (1, spec.time_limit),
        "health": (1, MOST_HEALTH),
    }.get(predicate.kind)


def _where(predicate: Predicate, least: int, most: int) -> np.ndarray:
    numbers = np.arange(least, most + 1)
    if predicate.compare == "==":
        return numbers == predicate.number
    return numbers >= predicate.number if predicate.compare == ">=" else numbers <= predicate.number


def _clause(clause: Clause, path: str, spec: GridSpec) -> Iterator[Fault]:
    if both := sorted({*clause.all} & {*clause.none}):
        yield Fault(path, "", f"it can never hold, since {both[0]!r} is in all and in none")
        return
    named = {p.name: p for p in spec.predicates}
    if spec.agent.body == "carrier":
        asked = (named[name] for name in clause.all)
        if len(things := sorted({p.of or "" for p in asked if p.kind == "holds"})) > 1:
            what = f"{things[0]!r} and {things[1]!r}"
            yield Fault(path, "", f"it can never hold, since a carrier has one thing at a time, not {what}")
            return
    left: dict[tuple[str, str | None, str | None], np.ndarray] = {}
    numbers_only = True
    for name, holds in [*((n, True) for n in clause.all), *((n, False) for n in clause.none)]:
        predicate = named[name]
        ends = _largest(predicate, spec)
        if ends is None:
            numbers_only = False
            continue
        where = _where(predicate, *ends)
        where = where if holds else ~where
        if not where.any():
            yield Fault(
                path, "", f"it can never hold, since what {name!r} counts is from {ends[0]} to {ends[1]}"
            )
            return
        about = (predicate.kind, predicate.of, predicate.by)
        left[about] = left.get(about, np.ones_like(where)) & where
    for (kind, of, _), where in left.items():
        if not where.any():
            what = f"{kind} {of!r}" if of else kind
            yield Fault(path, "", f"it can never hold, since what it asks of {what} contradicts itself")
            return
    if numbers_only and all(where.all() for where in left.values()):
        yield Fault(path, "", "it always holds, so it tells nothing")
    elif (
        path.startswith("success")
        and numbers_only
        and {kind for kind, *_ in left} == {"survived"}
        and not _harm(spec)
    ):
        yield Fault(
            path,
            "",
            "it comes by waiting alone, since nothing ends an episode before; it must ask for more than survived",
        )


def _harm(spec: GridSpec) -> bool:
    """Whether anything may end an episode before its time, but success."""
    return bool(spec.failure or any(t.hazard for t in spec.types) or any(r.health < 0 for r in spec.rules))


def _literals(clause: Clause) -> Literals:
    return frozenset([*((n, True) for n in clause.all), *((n, False) for n in clause.none)])


def _against_failure(spec: GridSpec) -> Iterator[Fault]:
    for i, success in enumerate(spec.success):
        for j, failure in enumerate(spec.failure):
            won, lost = _literals(success), _literals(failure)
            if lost <= won:
                yield Fault(
                    f"success[{i}]",
                    "",
                    f"it can never hold, since wherever it would, failure[{j}] ends the episode",
                )
            elif won < lost:
                yield Fault(
                    f"success[{i}]",
                    "",
                    f"it is implied by how the episode ends: it holds wherever failure[{j}] does",
                )
