"""A language of environments of its own, for tests of what is built on any: a hall to cross, with gifts, slippery floor and a goal."""

from __future__ import annotations

import copy
import hashlib
import json

import numpy as np

from jaxrl_envs.specs.language import Fault, Language, SpecError
from jaxrl_evolve.generation.domain import Descriptor, Domain, Operator, Skill

SKILLS = ("walk", "carry", "climb", "swim")
ORIGINAL = {"name": "the hall", "length": 10, "slip": 0.1, "gifts": [], "goal": "climb"}


def _faults(data):
    for name in data.keys() - ORIGINAL.keys():
        yield Fault(name, "", "there is no such field")
    for name in ORIGINAL.keys() - data.keys() - {"name"}:
        yield Fault(name, "", "it must be given")
    length, slip = data.get("length", 1), data.get("slip", 0.0)
    if type(length) is not int or not 1 <= length <= 20:
        yield Fault("length", repr(length)[:40], "it must be a whole number from 1 to 20")
    if type(slip) not in (int, float) or not 0 <= slip <= 0.5:
        yield Fault("slip", repr(slip)[:40], "it must be a number from 0 to 0.5")
    for i, gift in enumerate(data.get("gifts", [])):
        if gift not in SKILLS:
            yield Fault(f"gifts[{i}]", repr(gift)[:40], f"it must be one of {', '.join(SKILLS)}")
    if data.get("goal", "walk") not in SKILLS:
        yield Fault("goal", repr(data["goal"])[:40], f"it must be one of {', '.join(SKILLS)}")


def read(source):
    data = json.loads(source) if isinstance(source, str | bytes) else source
    if faults := list(_faults(data)):
        raise SpecError(*faults)
    return {"name": "", **data, "slip": round(float(data["slip"]), 6), "gifts": sorted(set(data["gifts"]))}


def repair(data):
    made, changes = copy.deepcopy(data), []
    if isinstance(made.get("length"), int) and not 1 <= made["length"] <= 20:
        made["length"] = min(max(made["length"], 1), 20)
        changes.append(f"length became {made['length']}")
    return made, changes


def schema():
    text = {"type": "string"}
    fields = {
        "name": text,
        "length": {"$ref": "#/$defs/Length"},
        "slip": {"type": "number"},
        "gifts": {"type": "array", "items": {"enum": list(SKILLS)}},
        "goal": {"enum": list(SKILLS)},
    }
    defs = {"Length": {"type": "integer", "minimum": 1, "maximum": 20}}
    return {
        "type": "object",
        "properties": fields,
        "required": [*fields],
        "additionalProperties": False,
        "$defs": defs,
    }


def identity(spec):
    told = {name: value for name, value in spec.items() if name != "name"}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def features(spec):
    gifts = [float(skill in spec["gifts"]) for skill in SKILLS]
    return np.asarray([spec["length"] / 20, spec["slip"], SKILLS.index(spec["goal"]), *gifts], np.float32)


HALL = Language(
    "hall",
    schema,
    read,
    repair,
    copy.deepcopy,
    lambda spec: f"{spec['name']}\n{spec['length']} steps to {spec['goal']}, gifts {spec['gifts']}",
    identity,
    features,
)


def _grant(rng, parents, target):
    (data,) = parents
    before = SKILLS[: SKILLS.index(data["goal"])]
    missing = [skill for skill in ("carry", "climb") if skill in before and skill not in data["gifts"]]
    if not missing:
        return None
    data["gifts"].append(missing[0])
    return data


def _fade(rng, parents, target):
    (data,) = parents
    if not data["gifts"]:
        return None
    data["gifts"].pop(int(rng.integers(len(data["gifts"]))))
    return data


def _expand(rng, parents, target):
    return None if parents[0]["goal"] == target else {**parents[0], "goal": target}


def _threaten(rng, parents, target):
    return {**parents[0], "slip": parents[0]["slip"] + 0.05}  # beyond 0.5 the language refuses it


def _relocate(rng, parents, target):
    return {**parents[0], "length": int(rng.integers(1, 21))}


def _cross(rng, parents, target):
    return {**parents[0], "gifts": parents[1]["gifts"]}


OPERATORS = tuple(
    Operator(change.__name__[1:], change.__name__[1:], change, 2 if change is _cross else 1)
    for change in (_grant, _fade, _expand, _threaten, _relocate, _cross)
)
DOMAIN = Domain(
    HALL,
    ORIGINAL,
    (
        Skill("walk"),
        Skill("carry", ("walk",), grantable=True),
        Skill("climb", ("carry",)),
        Skill("swim", ("climb",)),
    ),
    OPERATORS,
    (
        Descriptor("gifts", 3, lambda data: len(data["gifts"])),
        Descriptor("threat", 3, lambda data: int(data["slip"] * 6)),
    ),
    rules="A hall is crossed step by step. What one carries helps to climb.",
)


def spec(**changes):
    """Data of a spec, by what is other than in the original."""
    return {**copy.deepcopy(ORIGINAL), **changes}
