"""How worlds of Craftax-Classic are changed: what an agent is given, or robbed of; what it is asked for; dangers; the land."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxrl_envs.specs.craftax.biomes import BIOMES, RARE, SHAPED_BY, biome, rarities
from jaxrl_envs.specs.craftax.model import MOST_PLACED, SKILLS, Inventory, Terrain, World
from jaxrl_envs.specs.craftax.skills import GIVEN_BY, NEEDS
from jaxrl_evolve.generation.domain import Change, Operator

Data = dict[str, Any]
MOST_STEPS = 1_024
"""Of a generated world, as in EnvGen (Zala et al. 2024)."""
NIGHT = 0.7
"""The share of a day after which it is darkest."""
_AMOUNTS = {"wood": 5, "stone": 5, "coal": 2, "iron": 2, "sapling": 1}
_BLOCKS = {"rock": "stone", "coal ore": "coal", "iron ore": "iron", "diamond ore": "diamond", "tree": "tree"}
_BLOCKS |= {name: name for name in ("water", "table", "furnace")}
_HERDS = {"cow": "cows", "zombie": "zombies", "skeleton": "skeletons"}
_VITALS = ("health", "food", "drink")
_USUAL, _USUAL_WORLD = Terrain(), World()


def gifts(data: Mapping[str, Any]) -> list[str]:
    """What a world hands out: items, blocks that are placed, plants and cows."""
    start = data["start"]
    held = [item for item, count in start["inventory"].items() if count]
    placed = [row["block"] for row in start["placed"]]
    return [*held, *placed, *(name for name in ("plants", "cows") if start[name]["count"])]


def dangers(data: Mapping[str, Any]) -> int:
    """How many things are more dangerous than usual."""
    start, world = data["start"], data["world"]
    more = world["zombie"] > _USUAL_WORLD.zombie, world["skeleton"] > _USUAL_WORLD.skeleton
    less = min(start[name] for name in _VITALS) < 9
    return sum((*more, less, start["time"] > 0, start["zombies"]["count"] > 0))


def _one(rng: np.random.Generator, among: Any) -> Any:
    return among[int(rng.integers(len(among)))]


def _goal(data: Data, target: str) -> str:
    return target or next(iter(data["goals"]), "")


def _grant(rng: np.random.Generator, parents: tuple[Data, ...], target: str) -> Data | None:
    """One of the things that the skill needs, near the start or in hand."""
    (data,) = parents
    start, skill = data["start"], _goal(data, target)
    placed = [row["block"] for row in start["placed"]]
    room = len(placed) < MOST_PLACED
    possible = [
        need
        for need in NEEDS.get(skill, ())
        if (need in Inventory.model_fields and not start["inventory"][need])
        or (_BLOCKS.get(need) and _BLOCKS[need] not in placed and room)
        or (need in _HERDS and not start[_HERDS[need]]["count"])
        or (need == "plant" and not start["plants"]["count"])
    ]
    if not possible:
        return None
    need = _one(rng, possible)
    if need in Inventory.model_fields:
        start["inventory"][need] = _AMOUNTS.get(need, 1)
    elif need in _BLOCKS:
        count = 1 if need in ("table", "furnace") else 4
        start["placed"].append(
            {"block": _BLOCKS[need], "on": None, "count": count, "nearest": 2, "farthest": 6}
        )
    elif need in _HERDS:
        start[_HERDS[need]] |= {"count": 1, "nearest": 2, "farthest": 8}
    else:
        start["plants"] |= {"count": 1, "age": 600, "nearest": 2, "farthest": 6}
    return data


def _fade(rng: np.random.Generator, parents: tuple[Data, ...], target: str) -> Data | None:
    """One gift less of something; where there are none, ores and trees as rare as usual."""
    (data,) = parents
    start, there = data["start"], gifts(data)
    if there:
        gift = _one(rng, there)
        if gift in start["inventory"]:
            start["inventory"][gift] -= 1
        elif gift in ("plants", "cows"):
            start[gift]["count"] -= 1
        else:
            row = next(row for row in start["placed"] if row["block"] == gift)
            row["count"] -= 1
            start["placed"] = [row for row in start["placed"] if row["count"]]
        return data
    rich = [name for name in RARE if data["terrain"][name] > getattr(_USUAL, name)]
    if not rich:
        return None
    name = _one(rng, rich)
    data["terrain"][name] = getattr(_USUAL, name)
    return data


def _expand(rng: np.random.Generator, parents: tuple[Data, ...], target: str) -> Data | None:
    """Ask for the target, or where that is asked for, for a skill that needs it."""
    (data,) = parents
    wanted = [target] if target and target not in data["goals"] else []
    gives = [need for need, skill in GIVEN_BY.items() if skill == target]
    wanted = wanted or [skill for skill in SKILLS if {*NEEDS[skill]} & {*gives}]
    if not wanted:
        return None
    data["goals"] = data["targets"] = [_one(rng, wanted)]
    return data


def _threaten(rng: np.random.Generator, parents: tuple[Data, ...], target: str) -> Data | None:
    (data,) = parents
    start, world = data["start"], data["world"]
    vital = _one(rng, _VITALS)
    kinds = {
        "zombie": world["zombie"] <= 0.1,
        "skeleton": world["skeleton"] <= 0.2,
        "night": start["time"] == 0,
        "zombies": start["zombies"]["count"] < 3,
        "vital": start[vital] > 4,
    }
    kind = _one(rng, [name for name, open_ in kinds.items() if open_] or [""])
    if kind in ("zombie", "skeleton"):
        world[kind] = min(1.0, 2 * world[kind] or 0.02)
    elif kind == "night":
        start["time"] = int(NIGHT * world["day_length"])
    elif kind == "zombies":
        start["zombies"] |= {"count": start["zombies"]["count"] + 1, "nearest": 4, "farthest": 10}
    elif kind == "vital":
        start[vital] -= 2
    return data if kind else None


def _relocating(shares: Mapping[str, tuple[float, ...]]) -> Change:
    """Another kind of land, or one thing rarer or less rare."""

    def relocated(rng: np.random.Generator, parents: tuple[Data, ...], target: str) -> Data | None:
        (data,) = parents
        terrain, choice = data["terrain"], int(rng.integers(1 + len(shares)))
        if choice:
            name = [*shares][choice - 1]
            others = dict.fromkeys(share for share in shares[name] if share != terrain[name])
            terrain[name] = _one(rng, [*others])
            return data
        land = _one(rng, [name for name in BIOMES if name != biome(terrain)])
        for name in SHAPED_BY:
            terrain[name] = BIOMES[land].get(name, getattr(_USUAL, name))
        data["start"]["block"] = "path" if land == "mountain" else "grass"
        return data

    return relocated


def _cross(rng: np.random.Generator, parents: tuple[Data, ...], target: str) -> Data | None:
    """The goal and start of one, the land and its creatures of the other."""
    data, other = parents
    data["terrain"], data["world"] = copy.deepcopy(other["terrain"]), copy.deepcopy(other["world"])
    data["start"]["block"] = other["start"]["block"]
    return data


def _generated(change: Change) -> Change:
    """The change; a child that asks for nothing asks for the target, and every child ends with success or in time."""

    def changed(rng: np.random.Generator, parents: tuple[Data, ...], target: str) -> Data | None:
        child = change(rng, parents, target)
        if child is None:
            return None
        data = {**child, "name": ""}
        if not data["goals"] and target:
            data["goals"] = data["targets"] = [target]
        data["time_limit"] = min(data["time_limit"], MOST_STEPS)
        data["ends_on_success"] = bool(data["goals"])
        data["start"]["achieved"] = [name for name in data["start"]["achieved"] if name not in data["goals"]]
        return data

    return changed


def operators(rare: str) -> tuple[Operator, ...]:
    """All of them, with these of `biomes.RARITIES`."""
    relocate = _generated(_relocating(rarities("specs/craftax", rare)))
    return (
        Operator("hand out", "grant", _generated(_grant)),
        Operator("take away", "fade", _generated(_fade)),
        Operator("ask for another", "expand", _generated(_expand)),
        Operator("add danger", "threaten", _generated(_threaten)),
        Operator("change the land", "relocate", relocate),
        Operator("land of another", "cross", _generated(_cross), parents=2),
        Operator("begin anew", "reset", relocate),
    )
