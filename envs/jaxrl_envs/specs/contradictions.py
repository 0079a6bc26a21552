"""What can never hold, or always does: told from the spec alone, before anything is played."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from jaxrl_envs.specs.caps import MOST_HEALTH, MOST_HELD
from jaxrl_envs.specs.instructions import Span, ends, told
from jaxrl_envs.specs.language import Fault
from jaxrl_envs.specs.model import Clause, GridSpec, Predicate, Rule

Literals = frozenset[tuple[str, bool]]


def faults(spec: GridSpec) -> list[Fault]:
    """All faults of this kind; names refer to what is there."""
    return [
        *(f for i, rule in enumerate(spec.rules) for f in _rule(rule, f"rules[{i}]")),
        *_clauses(spec),
        *_against_failure(spec),
    ]


def _clauses(spec: GridSpec) -> list[Fault]:
    """Of each clause the first fault, at whichever ends of ranges."""
    found: dict[str, Fault] = {}
    ranged = any(isinstance(p.number, Span) for p in spec.predicates)
    for at_end in _at_ends(spec) if ranged else (spec,):
        for field in ("success", "failure"):
            for i, clause in enumerate(getattr(at_end, field)):
                for fault in _clause(clause, f"{field}[{i}]", at_end):
                    said = (
                        f"{fault.allowed}, where numbers of its ranges are drawn so"
                        if ranged
                        else fault.allowed
                    )
                    found.setdefault(fault.path, fault._replace(allowed=said))
    order = [f"{field}[{i}]" for field in ("success", "failure") for i in range(len(getattr(spec, field)))]
    return sorted(found.values(), key=lambda fault: order.index(fault.path))


def _at_ends(spec: GridSpec) -> Iterator[GridSpec]:
    """With the low ends of the ranges of predicates, the high ones, those that ask for more, those that ask for less."""
    for low in (lambda p: True, lambda p: False, lambda p: p.compare == "<=", lambda p: p.compare != "<="):
        number = lambda p, low=low: int(ends(p.number)[0 if low(p) else 1])
        predicates = tuple(p.model_copy(update={"number": number(p)}) for p in spec.predicates)
        yield spec.model_copy(update={"predicates": predicates})


def _rule(rule: Rule, path: str) -> Iterator[Fault]:
    limits = {row.item: ends(row.count)[0] for row in rule.at_most}
    for i, row in enumerate(rule.needs):
        if ends(row.count)[1] > limits.get(row.item, MOST_HELD):
            yield Fault(
                f"{path}.needs[{i}].count",
                told(row.count),
                f"it must be no more than at_most allows of {row.item!r}, which is {limits[row.item]:g}",
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
    numbers, number = np.arange(least, most + 1), ends(predicate.number)[0]
    if predicate.compare == "==":
        return numbers == number
    return numbers >= number if predicate.compare == ">=" else numbers <= number


def _clause(clause: Clause, path: str, spec: GridSpec) -> Iterator[Fault]:
    if both := sorted({*clause.all} & {*clause.none}):
        yield Fault(path, "", f"it can never hold, since {both[0]!r} is in all and in none")
        return
    named = {p.name: p for p in spec.predicates}
    given = _followed(_literals(clause), spec)
    if both := sorted(name for name, holds in given if holds and (name, False) in given):
        yield Fault(
            path,
            "",
            f"it can never hold, since {both[0]!r} would have to hold and not to: what holds has been achieved",
        )
        return
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
        limits = _largest(predicate, spec)
        if limits is None:
            numbers_only = False
            continue
        where = _where(predicate, *limits)
        where = where if holds else ~where
        if not where.any():
            yield Fault(
                path, "", f"it can never hold, since what {name!r} counts is from {limits[0]} to {limits[1]}"
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
    return bool(
        spec.failure or any(t.hazard for t in spec.types) or any(ends(r.health)[1] < 0 for r in spec.rules)
    )


def _literals(clause: Clause) -> Literals:
    return frozenset([*((n, True) for n in clause.all), *((n, False) for n in clause.none)])


def _followed(given: Literals, spec: GridSpec) -> Literals:
    """With what follows from them alone: what holds has been achieved."""
    achieved = [(p.name, p.of or "") for p in spec.predicates if p.kind == "achieved"]
    ever = {(name, True) for name, of in achieved if (of, True) in given}
    never = {(of, False) for name, of in achieved if (name, False) in given}
    return given | ever | never


def _always(literal: tuple[str, bool], won: Literals, spec: GridSpec) -> bool:
    """Whether a literal holds wherever all of ``won`` do; False where that cannot be told."""
    if literal in won:
        return True
    named = {p.name: p for p in spec.predicates}
    about = lambda p: (p.kind, p.of, p.by)
    asked, limits = named[literal[0]], _largest(named[literal[0]], spec)
    if limits is None or isinstance(asked.number, Span):
        return False
    left = _where(asked, *limits) == literal[1]
    for name, holds in won:
        other = named[name]
        if about(other) == about(asked) and not isinstance(other.number, Span):
            left |= _where(other, *limits) != holds
    return bool(left.all())


def _against_failure(spec: GridSpec) -> Iterator[Fault]:
    for i, success in enumerate(spec.success):
        for j, failure in enumerate(spec.failure):
            won, lost = _literals(success), _literals(failure)
            more = _followed(won, spec)
            # What failure asks for by itself has never held before either.
            before = {
                (p.name, True) for p in spec.predicates if p.kind == "achieved" and lost == {(p.of, True)}
            }
            if all(_always(one, more, spec) for one in lost) or before & won:
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
