"""Four kinds of land and how rare things are in it, as EnvGen varies them (Zala et al. 2024, arXiv 2403.12014, table of its simulator's settings).

Its shares are those of Crafter; here they stand in the same ratio to Craftax-Classic's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxrl_envs.specs.craftax.model import CraftaxSpec, Terrain

BIOMES: dict[str, dict[str, Any]] = {
    "natural": {},
    "grassland": {"mountain_scale": 0.1, "water_scale": 0.1},
    "beaches": {"mountain_scale": 0.1},
    "mountain": {"mountain_scale": 2.0, "mountain_ridged": True, "water_scale": 0.1},
}
"""What differs from Craftax-Classic's terrain. On mountains an episode starts on a path (`of_biome`)."""
_CLEAN: dict[str, tuple[float, float, float]] = {
    "coal": (0.0133, 0.04, 0.0667),
    "iron": (0.018, 0.03, 0.042),
    "diamond": (0.005, 0.083, 0.125),
    "tree_share": (0.1, 0.2, 0.3),
}
RARITIES: dict[str, dict[str, tuple[float, float, float]]] = {
    "clean": _CLEAN,
    # The setting has no effect in the simulator that was released.
    "faithful": {**_CLEAN, "coal": (0.0133, 0.04, 0.04)},
}
"""Rare, common and very common, by field of the terrain: as they were meant, and as EnvGen's results were made."""
RARE = tuple(_CLEAN)
"""Fields of the terrain that say how rare something is."""


def rarities(title: str, name: str) -> dict[str, tuple[float, float, float]]:
    """One of `RARITIES`.

    Raises:
        ValueError: there is none of that name; ``title`` says of what.
    """
    if name not in tuple(RARITIES):  # whatever it is, hashable or not
        raise ValueError(f"rarities of {title} is {name!r}; it must be one of {', '.join(RARITIES)}")
    return RARITIES[name]


_USUAL = Terrain()
SHAPED_BY = ("mountain_scale", "mountain_ridged", "water_scale")
"""Fields of the terrain that tell kinds of land apart."""


def biome(terrain: Mapping[str, Any]) -> str:
    """The kind of land that a terrain is, ``natural`` where it is none of the others.

    Args:
        terrain: JSON data; what it does not have is as usual.
    """
    shape = lambda fields: [fields.get(name, getattr(_USUAL, name)) for name in SHAPED_BY]
    return next((name for name, fields in BIOMES.items() if shape(fields) == shape(terrain)), "natural")


def of_biome(spec: CraftaxSpec, name: str) -> CraftaxSpec:
    """A spec in another kind of land.

    Args:
        spec: whose terrain is otherwise as it was.
        name: of the land.
    """
    terrain = spec.terrain.model_copy(update=BIOMES[name])
    block = "path" if name == "mountain" else spec.start.block
    return spec.model_copy(
        update={"terrain": terrain, "start": spec.start.model_copy(update={"block": block})}
    )
