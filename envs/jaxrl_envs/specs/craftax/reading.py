"""From data to a Craftax spec, or to every fault that can be told at once; and mending of what can be mended without guessing."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from jaxrl_envs.specs.canonical import data_of
from jaxrl_envs.specs.craftax.canonical import canonical
from jaxrl_envs.specs.craftax.model import MOST_PLACED, SIZES, CraftaxSpec
from jaxrl_envs.specs.craftax.skills import missing
from jaxrl_envs.specs.language import Data, Fault, SpecError
from jaxrl_envs.specs.repair import mend
from jaxrl_envs.specs.shaping import newer, shaped
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


def _bands(spec: CraftaxSpec) -> Iterator[tuple[str, Any]]:
    yield from ((f"start.placed[{i}]", row) for i, row in enumerate(spec.start.placed))
    yield from ((f"start.{name}", getattr(spec.start, name)) for name in _BANDS)


def infeasible(spec: CraftaxSpec) -> list[str]:
    """For each goal that can never come about a sentence why."""
    return [
        f"goals[{i}] cannot come about: {goal!r} needs {missing(spec)[goal]}, of which there is none"
        for i, goal in enumerate(spec.goals)
        if goal in missing(spec)
    ]


def repair(data: Data) -> tuple[Data, list[str]]:
    """Data with what can be mended mended: unknown keys dropped, numbers clamped, words replaced by the one that is near, what goes the
    wrong way turned round, the start moved onto the map; then what goals lack of the world is put near the start.

    Returns:
        Fresh data, and a sentence for each change.

    Raises:
        SpecError: it is no JSON data of bounded size.
    """
    data, changes = copy.deepcopy(plain(data)), list[str]()
    if not isinstance(data, dict) or newer(data, CraftaxSpec):
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
    """Add what goals lack, until they lack nothing or there is no room."""
    start = data["start"]
    while lacks := missing(shaped(data, CraftaxSpec)):
        goal, need = next(iter(lacks.items()))
        if need in _HERDS and not start[_HERDS[need]]["count"]:
            start[_HERDS[need]]["count"] = 1
            changes.append(f"start.{_HERDS[need]}.count is 1, since {goal!r} needs {need}")
        elif need.startswith("time") or len(start["placed"]) == MOST_PLACED:
            return
        else:
            block = "path" if need in _HERDS else _PLACED.get(need, need)
            start["placed"].append({"block": block, "on": None, "count": 4, "nearest": 2, "farthest": 8})
            changes.append(f"start.placed has 4 of {block}, since {goal!r} needs {need}")
