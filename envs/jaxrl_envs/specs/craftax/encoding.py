"""Craftax specs to arrays and back."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from pydantic import BaseModel

from jaxrl_envs.specs.canonical import DIGITS
from jaxrl_envs.specs.craftax.arrays import (
    BandParams,
    CraftaxParams,
    StartParams,
    TerrainParams,
    WorldParams,
)
from jaxrl_envs.specs.craftax.canonical import canonical
from jaxrl_envs.specs.craftax.model import (
    BLOCKS,
    FACINGS,
    MOST_PLACED,
    SIZES,
    SKILLS,
    Band,
    CraftaxSpec,
    Inventory,
)

_ITEMS = tuple(Inventory.model_fields)
_BANDS = ("plants", "cows", "zombies", "skeletons")
_BAND: Any = BandParams
_BLOCK_NAMES: dict[int, Any] = {number: name for name, number in BLOCKS.items()}


def encode(spec: CraftaxSpec) -> CraftaxParams:
    """A spec as NumPy arrays, leaves as `arrays` says."""
    start, middle = spec.start, SIZES[spec.size] // 2
    held: dict[str, Any] = {
        name: _number(getattr(start, name))
        for name in StartParams.__dataclass_fields__
        if isinstance(getattr(start, name, None), bool | int | float)
    }
    held |= {
        "row": np.int32(middle if start.row is None else start.row),
        "column": np.int32(middle if start.column is None else start.column),
        "block": np.int32(BLOCKS[start.block]),
        "facing": np.int32(1 + FACINGS.index(start.facing)),
        "inventory": np.asarray([getattr(start.inventory, item) for item in _ITEMS], np.int32),
        "achieved": _flags(start.achieved),
        "plant_age": np.int32(start.plants.age),
        **_placed(spec),
    }
    held |= {name: _band(getattr(start, name)) for name in _BANDS}
    made: Any = CraftaxParams  # of jax's arrays, or of NumPy's
    return made(
        terrain=_alike(spec.terrain, TerrainParams),
        world=_alike(spec.world, WorldParams),
        start=StartParams(**held),
        goals=_flags(spec.goals or SKILLS),
        ends_on_success=np.bool_(spec.ends_on_success),
        max_steps=np.int32(spec.time_limit),
    )


def decode(params: CraftaxParams, told: CraftaxSpec) -> CraftaxSpec:
    """Arrays as a spec.

    Args:
        params: of one spec, without further axes.
        told: a spec of the same size, from which comes what arrays do not have: the size, name, purpose, parent and targets.
    """
    start: Any = params.start
    fields = {name: _plain(getattr(start, name)) for name in ("row", "column", "asleep", "time")}
    fields |= {name: _plain(getattr(start, name)) for name in ("health", "food", "drink", "energy")}
    fields |= {name: _plain(getattr(start, name)) for name in ("recover", "hunger", "thirst", "fatigue")}
    rows = [i for i in range(MOST_PLACED) if start.placed.count[i]]
    at = lambda band, i: {name: int(getattr(band, name)[i]) for name in ("count", "nearest", "farthest")}
    data = {
        **{name: getattr(told, name) for name in ("size", "name", "purpose", "parent", "targets")},
        "terrain": _fields(params.terrain),
        "world": _fields(params.world),
        "start": {
            **fields,
            "block": _BLOCK_NAMES[int(start.block)],
            "facing": FACINGS[int(start.facing) - 1],
            "inventory": dict(zip(_ITEMS, map(int, start.inventory), strict=True)),
            "achieved": _named(start.achieved),
            "placed": tuple(
                {
                    "block": _BLOCK_NAMES[int(start.placed_block[i])],
                    "on": _BLOCK_NAMES.get(int(start.placed_on[i])),
                    **at(start.placed, i),
                }
                for i in rows
            ),
            **{name: _fields(getattr(start, name)) for name in _BANDS},
        },
        "goals": _named(params.goals),
        "ends_on_success": bool(params.ends_on_success),
        "time_limit": int(params.max_steps),
    }
    data["start"]["plants"]["age"] = int(start.plant_age)
    return canonical(CraftaxSpec.model_validate(data))


def _number(value: Any) -> Any:
    kinds: dict[type, Any] = {bool: np.bool_, int: np.int32, float: np.float32}
    return kinds[type(value)](value)


def _alike(part: BaseModel, kind: Any) -> Any:
    return kind(**{name: _number(getattr(part, name)) for name in type(part).model_fields})


def _band(part: Band) -> BandParams:
    return _BAND(*(np.int32(getattr(part, name)) for name in ("count", "nearest", "farthest")))


def _placed(spec: CraftaxSpec) -> dict[str, Any]:
    rows = spec.start.placed
    column = lambda numbers, rest: np.asarray([*numbers, *([rest] * (MOST_PLACED - len(rows)))], np.int32)
    return {
        "placed_block": column((BLOCKS[row.block] for row in rows), 0),
        "placed_on": column((BLOCKS[row.on] if row.on else 0 for row in rows), 0),
        "placed": _BAND(
            column((row.count for row in rows), 0),
            column((row.nearest for row in rows), 1),
            column((row.farthest for row in rows), 1),
        ),
    }


def _flags(names: Any) -> np.ndarray:
    return np.asarray([name in names for name in SKILLS])


def _named(flags: Any) -> tuple[Any, ...]:
    return tuple(name for name, flag in zip(SKILLS, np.asarray(flags), strict=True) if flag)


def _plain(value: Any) -> Any:
    value = np.asarray(value).item()
    return round(value, DIGITS) if isinstance(value, float) else value


def _fields(part: Any) -> dict[str, Any]:
    return {field.name: _plain(getattr(part, field.name)) for field in dataclasses.fields(part)}
