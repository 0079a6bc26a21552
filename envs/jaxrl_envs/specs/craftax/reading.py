"""From data to a Craftax spec, or to every fault that can be told at once; and mending of what can be mended without guessing."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from jaxrl_envs.specs import metadata
from jaxrl_envs.specs.canonical import data_of
from jaxrl_envs.specs.craftax.canonical import canonical
from jaxrl_envs.specs.craftax.model import MOST_PLACED, SIZES, SKILLS, CraftaxSpec
from jaxrl_envs.specs.craftax.skills import TIME, missing, steps_to_eat
from jaxrl_envs.specs.language import Data, Fault, SpecError
from jaxrl_envs.specs.repair import later, mend
from jaxrl_envs.specs.shaping import shaped
from jaxrl_envs.specs.text import parse, plain

_BANDS = ("plants", "cows", "zombies", "skeletons")
_PLACED = {"rock": "stone", "coal ore": "coal", "iron ore": "iron", "diamond ore": "diamond"}
_HERDS = {"cow": "cows", "zombie": "zombies", "skeleton": "skeletons"}


def read(source: str | bytes | Data) -> CraftaxSpec:
    """A spec in its canonical form.

    Args:
        source: JSON text, or data.

    Raises:
        SpecError: with all faults of the first kind that there are: of the text, of fields, of fields that contradict each other.
    """
    spec = shaped(parse(source) if isinstance(source, str | bytes) else plain(source), CraftaxSpec)
    if found := [*_faults(spec)]:
        raise SpecError(*found)
    return canonical(spec)


def _faults(spec: CraftaxSpec) -> Iterator[Fault]:
    t, start, side = spec.terrain, spec.start, SIZES[spec.size]
    yield from metadata.faults(spec)
    if t.sand_low > t.sand_high:
        yield Fault(
            "terrain.sand_low", f"{t.sand_low:g}", f"it must be at most sand_high, which is {t.sand_high:g}"
        )
    for name in ("row", "column"):
        place = getattr(start, name)
        if place is not None and place >= side:
            yield Fault(
                f"start.{name}",
                str(place),
                f"it must be from 0 to {side - 1}, since the map is {spec.size}, or null",
            )
    for path, band in _bands(spec):
        if band.nearest > band.farthest:
            yield Fault(
                f"{path}.nearest", str(band.nearest), f"it must be at most farthest, which is {band.farthest}"
            )
    for i, goal in enumerate(spec.goals):
        if goal in start.achieved:
            yield Fault(
                f"goals[{i}]", repr(goal), "it must not be in start.achieved, which is done before an episode"
            )
    if not spec.goals and {*start.achieved} == {*SKILLS}:
        yield Fault("start.achieved", "all skills", "it must leave one to be done")


def _bands(spec: CraftaxSpec) -> Iterator[tuple[str, Any]]:
    yield from ((f"start.placed[{i}]", row) for i, row in enumerate(spec.start.placed))
    yield from ((f"start.{name}", getattr(spec.start, name)) for name in _BANDS)


def infeasible(spec: CraftaxSpec) -> list[str]:
    """For each goal that can never come about a sentence why."""
    lacks = missing(spec)
    why = lambda goal: (
        f"takes {steps_to_eat(spec)} steps, and the time limit is {spec.time_limit}"
        if lacks[goal] == TIME
        else f"needs {lacks[goal]}, of which there is none"
    )
    return [
        f"goals[{i}] cannot come about: {goal!r} {why(goal)}"
        for i, goal in enumerate(spec.goals)
        if goal in lacks
    ]


def repair(data: Data) -> tuple[Data, list[str]]:
    """Data with what can be mended mended: unknown keys dropped (but for slips of spelling), numbers clamped, misspelt words put right,
    what goes the wrong way turned round, the start moved onto the map; then what goals lack of the world is put near the start.

    Returns:
        Fresh data, and a sentence for each change.

    Raises:
        SpecError: it is no JSON data of bounded size.
    """
    data, changes = copy.deepcopy(plain(data)), list[str]()
    if not isinstance(data, dict) or later(data, CraftaxSpec):
        return data, changes
    mend(data, CraftaxSpec, "", changes)
    try:
        spec = shaped(data, CraftaxSpec)
    except SpecError:
        return data, changes
    said, mended = len(changes), data_of(spec)
    _consistent(mended, spec, changes)
    _provide(mended, changes)
    return (mended if len(changes) > said else data), changes


def _consistent(data: Data, spec: CraftaxSpec, changes: list[str]) -> None:
    terrain, start, last = data["terrain"], data["start"], SIZES[spec.size] - 1
    if terrain["sand_low"] > terrain["sand_high"]:
        terrain["sand_low"], terrain["sand_high"] = terrain["sand_high"], terrain["sand_low"]
        changes.append("terrain.sand_low and terrain.sand_high change places")
    for name in ("row", "column"):
        if start[name] is not None and start[name] > last:
            changes.append(f"start.{name} is {last} instead of {start[name]}")
            start[name] = last
    rows = [(f"start.placed[{i}]", row) for i, row in enumerate(start["placed"])]
    for path, band in [*rows, *((f"start.{name}", start[name]) for name in _BANDS)]:
        if band["nearest"] > band["farthest"]:
            band["nearest"], band["farthest"] = band["farthest"], band["nearest"]
            changes.append(f"{path}.nearest and {path}.farthest change places")
    for goal in data["goals"]:
        if goal in start["achieved"]:
            start["achieved"].remove(goal)
            changes.append(f"start.achieved is without {goal!r}, which is a goal")


def _provide(data: Data, changes: list[str]) -> None:
    """Add what goals lack, until they lack nothing that there is room for."""
    while any(
        _provided(data["start"], goal, need, changes)
        for goal, need in missing(shaped(data, CraftaxSpec)).items()
    ):
        pass


def _provided(start: Data, goal: str, need: str, changes: list[str]) -> bool:
    """Add one thing that a goal lacks; whether that could be done. Time is not added."""
    if need in _HERDS and not start[_HERDS[need]]["count"]:
        start[_HERDS[need]]["count"] = 1
        changes.append(f"start.{_HERDS[need]}.count is 1, since {goal!r} needs {need}")
        return True
    if need == TIME or len(start["placed"]) == MOST_PLACED:
        return False
    block = "path" if need in _HERDS else _PLACED.get(need, need)
    start["placed"].append({"block": block, "on": None, "count": 4, "nearest": 2, "farthest": 8})
    changes.append(f"start.placed has 4 of {block}, since {goal!r} needs {need}")
    return True
