"""A spec in plain lines, for prompts and for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jaxrl_envs.specs.canonical import data_of
from jaxrl_envs.specs.instructions import Cells, Span, Step, ends
from jaxrl_envs.specs.instructions import told as said
from jaxrl_envs.specs.model import Clause, GridSpec, Predicate, Rule, Type

_FLAGS = ("walkable", "pickable", "pushable", "opaque", "consumable", "ground")


def describe(spec: GridSpec) -> str:
    """Lines of text; what is as usual is left out."""
    return "\n".join(_lines(spec))


def _lines(spec: GridSpec) -> Iterator[str]:
    yield f"{spec.name or 'unnamed'}: {spec.height} x {spec.width} cells, {spec.time_limit} steps, difficulty {spec.difficulty:g}"
    if spec.purpose:
        yield f"purpose: {spec.purpose}"
    yield f"types: {_joined(map(_type, spec.types), '; ')}"
    yield f"terrain: {_joined(map(_step, spec.terrain), '; ')}"
    yield _agent(spec)
    for rule in spec.rules:
        yield f"rule: {_rule(rule)}"
    for predicate in spec.predicates:
        yield f"predicate {predicate.name}: {_predicate(predicate)}"
    yield f"success: {_clauses(spec.success)}{'' if spec.ends_on_success else ', and the episode goes on'}"
    if spec.failure:
        yield f"failure: {_clauses(spec.failure)}"
    yield f"reward: {_joined(_paid(spec), ', ')}"


def _joined(parts: Iterable[str], between: str) -> str:
    return between.join(parts) or "none"


def _type(kind: Type) -> str:
    words = [flag for flag in _FLAGS if getattr(kind, flag)]
    words += [f"hurts by {kind.hazard}"] if kind.hazard else []
    words += [f"heals by {kind.heals}"] if kind.heals else []
    words += [f"stands {kind.health} interactions"] if kind.health > 1 else []
    words += [f"moves ({kind.motion}, {kind.speed:g})"] if kind.motion != "still" else []
    return f"{kind.name} ({', '.join(words)})" if words else kind.name


def _step(step: Step) -> str:
    told = data_of(step)
    numbers = {
        name: said(getattr(step, name)) if isinstance(getattr(step, name), float | Span) else value
        for name, value in told.items()
        if name not in ("op", "type", "on", "map") and value is not None and value is not False
    }
    where = f" on {step.on}" if step.on else ""
    numbers |= {"map": " / ".join(step.map)} if isinstance(step, Cells) else {}
    return f"{step.op} {step.type}{where}" + "".join(f", {name} {value}" for name, value in numbers.items())


def _agent(spec: GridSpec) -> str:
    region = spec.agent.region
    where = (
        f"rows {region.row} to {region.row + region.height - 1}, columns {region.column} to {region.column + region.width - 1}"
        if region
        else "anywhere"
    )
    has = _joined((f"{said(stock.count)} {stock.item}" for stock in spec.agent.inventory), ", ")
    who = "agent (turns, walks ahead, carries one thing)" if spec.agent.body == "carrier" else "agent"
    return f"{who}: starts {where}, health {said(spec.agent.health)}, has {has}"


def _rule(rule: Rule) -> str:
    about = {
        "step": f"it enters {rule.of}",
        "interact": f"it interacts with {rule.of}",
        "pick_up": f"it picks up {rule.of}",
        "adjacent": f"{rule.of} is beside {rule.by or 'it'}",
        "held": f"it has {rule.of}",
        "meets": f"{_side(rule.by, rule.towards)} {rule.of}, one of them before it, which goes while the other",
        "on": f"{rule.of or 'it'} is on {rule.by}",
        "timer": f"{said(rule.every)} steps are over" + (f", for each {rule.of}" if rule.of else ""),
    }[rule.when]
    about += f", {rule.towards} of it," if rule.when == "adjacent" and rule.towards else ""
    about += f" with {rule.by}" if rule.when == "interact" and rule.by else ""
    about += _after(rule.after)
    asks = [f"has {said(row.count)} {row.item}" for row in rule.needs]
    asks += [f"has at most {said(row.count)} {row.item}" for row in rule.at_most]
    asks += [f"{rule.near} is near"] if rule.near else []
    comes = [f"that becomes {rule.becomes}"] if rule.becomes else []
    comes += (
        [f"{rule.spawns} comes to be {rule.where} (at most {said(rule.most or 0)})"] if rule.spawns else []
    )
    comes += [f"{said(row.count, '+g')} {row.item}" for row in rule.changes]
    comes += [f"{said(rule.health, '+g')} health"] if rule.health else []
    chance = f" with probability {said(rule.chance)}" if ends(rule.chance)[0] < 1 else ""
    return f"when {about}{''.join(f' and {ask}' for ask in asks)}: {', '.join(comes)}{chance}"


def _side(name: str | None, towards: str | None) -> str:
    return f"{name} is {towards} of" if towards else f"{name} is beside"


def _after(deeds: Iterable[str]) -> str:
    words = " or ".join(deeds)
    return f" after {words}" if words else ""


def _predicate(predicate: Predicate) -> str:
    return _asked(predicate) + _after(predicate.after)


def _asked(predicate: Predicate) -> str:
    compared, region = f"{predicate.compare} {said(predicate.number)}", predicate.region
    match predicate.kind:
        case "count":
            return f"{predicate.of} on the map {compared}"
        case "holds":
            return f"{predicate.of} held {compared}"
        case "near":
            return f"{predicate.of} within {said(predicate.number)} steps"
        case "beside":
            return (
                _side(predicate.of, predicate.towards) + f" {predicate.by or 'the agent'}"
                if predicate.towards or not predicate.by
                else f"{predicate.of} beside {predicate.by}"
            )
        case "meets":
            return f"{_side(predicate.by, predicate.towards)} {predicate.of}, one of them before the agent"
        case "with" | "without":
            return f"cells that hold {predicate.of} {predicate.kind} {predicate.by or 'the agent'} {compared}"
        case "achieved":
            return f"{predicate.of} has held"
        case "at" if region:
            return f"{predicate.of or 'the agent'} is in rows {region.row} to {region.row + region.height - 1}, columns {region.column} to {region.column + region.width - 1}"
        case "survived":
            return f"steps {compared}"
    return f"{predicate.kind} {compared}"


def _clauses(clauses: Iterable[Clause]) -> str:
    return " or ".join(" and ".join([*c.all, *(f"not {name}" for name in c.none)]) for c in clauses)


def _paid(spec: GridSpec) -> Iterator[str]:
    reward = spec.reward
    yield f"{reward.success:g} for success"
    if reward.step:
        yield f"{reward.step:g} a step"
    if reward.fade:
        yield f"{100 * reward.fade:g} % of what success pays is lost by the time limit"
    for weight in reward.weights:
        for what, value in (
            ("first", weight.first),
            ("each time", weight.each),
            ("progress", weight.potential),
        ):
            if value:
                yield f"{value:g} for {weight.predicate} ({what})"
