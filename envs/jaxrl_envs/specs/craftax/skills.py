"""What the skills of Craftax-Classic need, and which of them a spec leaves possible."""

from __future__ import annotations

from jaxrl_envs.specs.craftax.model import RIPE, CraftaxSpec

NEEDS: dict[str, tuple[str, ...]] = {
    "collect_wood": ("tree",),
    "place_table": ("wood",),
    "eat_cow": ("cow",),
    "collect_sapling": (),
    "collect_drink": ("water",),
    "make_wood_pickaxe": ("table", "wood"),
    "make_wood_sword": ("table", "wood"),
    "place_plant": ("sapling",),
    "defeat_zombie": ("zombie",),
    "collect_stone": ("rock", "wood_pickaxe"),
    "place_stone": ("stone",),
    "eat_plant": ("plant",),
    "defeat_skeleton": ("skeleton",),
    "make_stone_pickaxe": ("table", "wood", "stone"),
    "make_stone_sword": ("table", "wood", "stone"),
    "wake_up": (),
    "place_furnace": ("table", "stone"),
    "collect_coal": ("coal ore", "wood_pickaxe"),
    "collect_iron": ("iron ore", "stone_pickaxe"),
    "collect_diamond": ("diamond ore", "iron_pickaxe"),
    "make_iron_pickaxe": ("table", "furnace", "wood", "stone", "coal", "iron"),
    "make_iron_sword": ("table", "furnace", "wood", "stone", "coal", "iron"),
}
"""By skill: blocks and creatures of the world, items and tools in hand, a table or furnace near by."""
GIVEN_BY: dict[str, str] = {
    **{item: f"collect_{item}" for item in ("wood", "sapling", "stone", "coal", "iron", "diamond")},
    **{tool: f"make_{tool}" for tool in ("wood_pickaxe", "stone_pickaxe", "iron_pickaxe")},
    "table": "place_table",
    "furnace": "place_furnace",
    "plant": "place_plant",
}
"""By what is needed: the skill that gives it. What is not here is of the world."""
_WOOD_OF_TABLE = 2


def missing(spec: CraftaxSpec) -> dict[str, str]:
    """For each goal that can never come about, what of the world it lacks first. Where no goals are named nothing is asked."""
    there = _world(spec) | _handed_out(spec)
    known: set[str] = set()
    while True:
        able = {skill for skill, needs in NEEDS.items() if _met(skill, needs, there | known, spec)}
        given = {need for need, skill in GIVEN_BY.items() if skill in able}
        if given <= known:
            return {goal: _root(goal, there | known, spec) for goal in spec.goals if goal not in able}
        known |= given


def _met(skill: str, needs: tuple[str, ...], there: set[str], spec: CraftaxSpec) -> bool:
    if skill == "place_table" and "tree" not in there and spec.start.inventory.wood < _WOOD_OF_TABLE:
        return False
    if skill == "eat_plant" and not spec.start.plants.count and spec.time_limit < RIPE:
        return False
    return set(needs) <= there


def _root(skill: str, there: set[str], spec: CraftaxSpec) -> str:
    """What is missing at the bottom of it."""
    for need in NEEDS[skill]:
        if need not in there:
            return _root(GIVEN_BY[need], there, spec) if need in GIVEN_BY else need
    return "tree" if skill == "place_table" else f"time ({RIPE} steps)"


def _world(spec: CraftaxSpec) -> set[str]:
    """What the map and what lives there may hold."""
    t, w, start = spec.terrain, spec.world, spec.start
    highest = t.mountain_scale + t.mountain_offset
    rock = highest > t.mountain
    caves = highest > t.cave_mountain
    placed = {row.block for row in start.placed}
    path = rock or caves or "path" in placed or start.block == "path"
    holds = {
        "tree": (t.tree_share > 0 and t.tree < 1) or "tree" in placed,
        "water": t.water_scale + t.water_offset > t.water or "water" in placed,
        "rock": rock or "stone" in placed,
        "coal ore": (rock and t.coal > 0) or "coal" in placed,
        "iron ore": (rock and t.iron > 0) or "iron" in placed,
        "diamond ore": (rock and (t.always_diamond or (t.diamond > 0 and highest > t.diamond_mountain)))
        or "diamond" in placed,
        "cow": w.cow > 0 or start.cows.count > 0,
        "zombie": w.zombie > 0 or w.zombie_night > 0 or start.zombies.count > 0,
        "skeleton": path and (w.skeleton > 0 or start.skeletons.count > 0),
    }
    return {name for name, held in holds.items() if held}


def _handed_out(spec: CraftaxSpec) -> set[str]:
    inventory, placed = spec.start.inventory, {row.block for row in spec.start.placed}
    found = {name for name in type(inventory).model_fields if getattr(inventory, name)}
    found |= {name for name in ("table", "furnace") if name in placed}
    return found | ({"plant"} if spec.start.plants.count else set())
