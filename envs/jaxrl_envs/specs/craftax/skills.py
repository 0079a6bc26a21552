"""What the skills of Craftax-Classic need, and which of them a spec leaves possible."""

from __future__ import annotations

from jaxrl_envs.specs.craftax.model import RIPE, SIZES, CraftaxSpec

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
TIME = "time"
"""What a goal lacks that takes longer than an episode."""
_WOOD_OF_TABLE = 2
_ROUNDING = 1e-4  # of the generator's float32 numbers: what is so near a threshold may be above it


def missing(spec: CraftaxSpec) -> dict[str, str]:
    """For each goal that can never come about, what of the world it lacks first, or `TIME`. Where no goals are named nothing is asked."""
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
    if skill == "eat_plant" and spec.time_limit < steps_to_eat(spec):
        return False
    return set(needs) <= there


def steps_to_eat(spec: CraftaxSpec) -> int:
    """The fewest steps in which a plant can be eaten: one more than it takes to ripen, and one more for a sapling that is not in hand."""
    if spec.start.plants.count:
        return RIPE - spec.start.plants.age + 1
    return RIPE + 1 + (not spec.start.inventory.sapling)


def _root(skill: str, there: set[str], spec: CraftaxSpec) -> str:
    """What is missing at the bottom of it."""
    for need in NEEDS[skill]:
        if need not in there:
            return _root(GIVEN_BY[need], there, spec) if need in GIVEN_BY else need
    return "tree" if skill == "place_table" else TIME


def _world(spec: CraftaxSpec) -> set[str]:
    """What the map and what lives there may hold, now or once stone that is in hand has been placed and stone of the map been mined."""
    t, w, start = spec.terrain, spec.world, spec.start
    faded = min(_farthest(spec) / t.clear_radius, 1.0) - 1.0 + _ROUNDING
    highest, wettest = t.mountain_scale + t.mountain_offset + faded, t.water_scale + t.water_offset + faded
    rock = highest > t.mountain
    after_coal = rock and t.coal < 1
    stone = after_coal and t.iron < 1
    placed = {row.block for row in start.placed}
    path = rock or highest > t.cave_mountain or "path" in placed
    solid = rock or start.inventory.stone > 0 or bool(placed & {"stone", "coal", "iron", "diamond"})
    comes = lambda chance, beyond: chance > 0 and w.despawn_distance > beyond + 1
    holds = {
        "tree": (t.tree_share > 0 and t.tree < 1) or "tree" in placed,
        "water": wettest > t.water or "water" in placed,
        "rock": stone or "stone" in placed or start.inventory.stone > 0,
        "coal ore": (rock and t.coal > 0) or "coal" in placed,
        "iron ore": (after_coal and t.iron > 0) or "iron" in placed,
        "diamond ore": (stone and (t.always_diamond or (t.diamond > 0 and highest > t.diamond_mountain)))
        or "diamond" in placed,
        "cow": comes(w.cow, 3) or start.cows.count > 0,
        "zombie": comes(w.zombie, 9) or comes(w.zombie_night, 9) or start.zombies.count > 0,
        "skeleton": (path and start.skeletons.count > 0)
        or ((path or solid or start.block == "path") and comes(w.skeleton, 9)),
    }
    return {name for name, held in holds.items() if held}


def _farthest(spec: CraftaxSpec) -> int:
    """Steps, in rows and columns, from the start to the farthest corner: up to there water and mountains fade in."""
    last, middle = SIZES[spec.size] - 1, SIZES[spec.size] // 2
    places = (middle if place is None else place for place in (spec.start.row, spec.start.column))
    return sum(max(place, last - place) for place in places)


def _handed_out(spec: CraftaxSpec) -> set[str]:
    inventory, placed = spec.start.inventory, {row.block for row in spec.start.placed}
    found = {name for name in type(inventory).model_fields if getattr(inventory, name)}
    found |= {name for name in ("table", "furnace") if name in placed}
    return found | ({"plant"} if spec.start.plants.count else set())
