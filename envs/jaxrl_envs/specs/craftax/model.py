"""What a Craftax spec is made of, field by field. Its defaults are Craftax-Classic's own numbers (craftax 1.6.1)."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from jaxrl_envs.specs.instructions import Part

VERSION = 1
"""Of the language; a spec of a later one is refused."""
SIZES = {"small": 16, "medium": 32, "large": 64}
"""Rows and columns of the map by name; one program each. Craftax-Classic's own is the large one."""
MOST_HELD, MOST_STEPS, MOST_PLACED, MOST_OF_ONE = 9, 10_000, 8, 16
RIPE = 600
"""Steps after which a plant is ripe."""

Size = Literal["small", "medium", "large"]
Skill = Literal[
    "collect_wood",
    "place_table",
    "eat_cow",
    "collect_sapling",
    "collect_drink",
    "make_wood_pickaxe",
    "make_wood_sword",
    "place_plant",
    "defeat_zombie",
    "collect_stone",
    "place_stone",
    "eat_plant",
    "defeat_skeleton",
    "make_stone_pickaxe",
    "make_stone_sword",
    "wake_up",
    "place_furnace",
    "collect_coal",
    "collect_iron",
    "collect_diamond",
    "make_iron_pickaxe",
    "make_iron_sword",
]
SKILLS: tuple[Skill, ...] = get_args(Skill)
"""Its achievements, in its order."""
Facing = Literal["left", "right", "up", "down"]
FACINGS: tuple[Facing, ...] = get_args(Facing)
Ground = Literal["grass", "path", "sand"]
Block = Literal[
    "grass",
    "water",
    "stone",
    "tree",
    "path",
    "coal",
    "iron",
    "diamond",
    "table",
    "furnace",
    "sand",
    "lava",
]
BLOCKS = {
    "grass": 2,
    "water": 3,
    "stone": 4,
    "tree": 5,
    "path": 7,
    "coal": 8,
    "iron": 9,
    "diamond": 10,
    "table": 11,
    "furnace": 12,
    "sand": 13,
    "lava": 14,
}
"""Numbers on the map of what a spec may name."""


class Terrain(Part):
    """How the map is made: smooth noise from 0 to 1 of four kinds, thresholds, and shares of cells.

    Attributes:
        clear_radius: steps from the start over which water and mountains fade in.
        water_scale, water_offset, water_ridged: the noise of water is scaled, then shifted; ridged, it is ``|2 x - 1|`` before.
        mountain_scale, mountain_offset, mountain_ridged: likewise of mountains.
        water: the level above which there is water.
        sand_low, sand_high: between these levels of water there is sand, where there is no water.
        mountain: the level above which there is stone.
        path: of paths' noise, within mountains.
        cave_mountain, cave_water: above both there are caves.
        coal, iron, diamond: shares of the stone that are these, drawn in this order.
        diamond_mountain: the level above which there are diamonds.
        lava_mountain, lava_tree: above both, of mountains and of trees' noise, there is lava.
        tree: of trees' noise, on grass; ``tree_share`` of these cells are trees.
        always_diamond: one more diamond in the stone, wherever there is stone.
    """

    clear_radius: float = Field(default=5.0, ge=0.5, le=64)
    water_scale: float = Field(default=1.0, ge=0, le=4)
    water_offset: float = Field(default=0.0, ge=-4, le=4)
    water_ridged: bool = False
    mountain_scale: float = Field(default=1.0, ge=0, le=4)
    mountain_offset: float = Field(default=0.05, ge=-4, le=4)
    mountain_ridged: bool = False
    water: float = Field(default=0.7, ge=-8, le=8)
    sand_low: float = Field(default=0.6, ge=-8, le=8)
    sand_high: float = Field(default=0.75, ge=-8, le=8)
    mountain: float = Field(default=0.7, ge=-8, le=8)
    path: float = Field(default=0.8, ge=0, le=1)
    cave_mountain: float = Field(default=0.85, ge=-8, le=8)
    cave_water: float = Field(default=0.4, ge=-8, le=8)
    coal: float = Field(default=0.04, ge=0, le=1)
    iron: float = Field(default=0.03, ge=0, le=1)
    diamond: float = Field(default=0.005, ge=0, le=1)
    diamond_mountain: float = Field(default=0.8, ge=-8, le=8)
    lava_mountain: float = Field(default=0.85, ge=-8, le=8)
    lava_tree: float = Field(default=0.7, ge=0, le=1)
    tree: float = Field(default=0.5, ge=0, le=1)
    tree_share: float = Field(default=0.2, ge=0, le=1)
    always_diamond: bool = True


class World(Part):
    """How it goes on: the length of a day in steps, who comes and how strong.

    Attributes:
        despawn_distance: within which creatures come and beyond which they go.
        cow, zombie, zombie_night, skeleton: probabilities a step; that of zombies rises by ``zombie_night`` at darkest night.
    """

    day_length: int = Field(default=300, ge=1, le=MOST_STEPS)
    zombie_health: int = Field(default=5, ge=1, le=100)
    cow_health: int = Field(default=3, ge=1, le=100)
    skeleton_health: int = Field(default=3, ge=1, le=100)
    despawn_distance: int = Field(default=14, ge=1, le=128)
    cow: float = Field(default=0.1, ge=0, le=1)
    zombie: float = Field(default=0.02, ge=0, le=1)
    zombie_night: float = Field(default=0.1, ge=0, le=1)
    skeleton: float = Field(default=0.05, ge=0, le=1)


class Inventory(Part):
    """What the agent has."""

    wood: int = Field(default=0, ge=0, le=MOST_HELD)
    stone: int = Field(default=0, ge=0, le=MOST_HELD)
    coal: int = Field(default=0, ge=0, le=MOST_HELD)
    iron: int = Field(default=0, ge=0, le=MOST_HELD)
    diamond: int = Field(default=0, ge=0, le=MOST_HELD)
    sapling: int = Field(default=0, ge=0, le=MOST_HELD)
    wood_pickaxe: int = Field(default=0, ge=0, le=1)
    stone_pickaxe: int = Field(default=0, ge=0, le=1)
    iron_pickaxe: int = Field(default=0, ge=0, le=1)
    wood_sword: int = Field(default=0, ge=0, le=1)
    stone_sword: int = Field(default=0, ge=0, le=1)
    iron_sword: int = Field(default=0, ge=0, le=1)


class Band(Part):
    """Cells so many steps (rows and columns) from the agent."""

    nearest: int = Field(default=1, ge=1, le=128)
    farthest: int = Field(default=8, ge=1, le=128)


class Cows(Band):
    """So many on grass, or as many as fit."""

    count: int = Field(default=0, ge=0, le=3)


class Zombies(Band):
    """So many on grass or paths, or as many as fit."""

    count: int = Field(default=0, ge=0, le=3)


class Skeletons(Band):
    """So many on paths, or as many as fit."""

    count: int = Field(default=0, ge=0, le=2)


class Plants(Band):
    """So many on grass, or as many as fit, all of one age in steps; from 600 on they are ripe."""

    count: int = Field(default=0, ge=0, le=10)
    age: int = Field(default=0, ge=0, le=RIPE)


class Placed(Band):
    """So many cells, drawn at random, become a block; fewer where there are not so many.

    Attributes:
        block: what they become.
        on: what they were; None for grass, path or sand.
    """

    block: Block
    on: Block | None = None
    count: int = Field(default=1, ge=1, le=MOST_OF_ONE)


class Start(Part):
    """How an episode starts.

    Attributes:
        row, column: where; None for the middle.
        block: what the agent stands on.
        recover, hunger, thirst, fatigue: how far it is towards the next change of health, food, drink and energy.
        time: of the day, in steps; the time limit counts from there.
        achieved: skills that count as done before, and so pay nothing; others are paid even if their result is in the inventory. Not all.
        placed: done one after the other, before plants and creatures.
    """

    row: int | None = Field(default=None, ge=0, le=63)
    column: int | None = Field(default=None, ge=0, le=63)
    block: Ground = "grass"
    facing: Facing = "up"
    health: int = Field(default=9, ge=1, le=9)
    food: int = Field(default=9, ge=0, le=9)
    drink: int = Field(default=9, ge=0, le=9)
    energy: int = Field(default=9, ge=0, le=9)
    recover: float = Field(default=0.0, ge=-15, le=25)
    hunger: float = Field(default=0.0, ge=0, le=25)
    thirst: float = Field(default=0.0, ge=0, le=20)
    fatigue: float = Field(default=0.0, ge=-10, le=30)
    asleep: bool = False
    time: int = Field(default=0, ge=0, le=MOST_STEPS)
    inventory: Inventory = Inventory()
    achieved: tuple[Skill, ...] = Field(default=(), max_length=len(SKILLS))
    placed: tuple[Placed, ...] = Field(default=(), max_length=MOST_PLACED)
    plants: Plants = Plants()
    cows: Cows = Cows()
    zombies: Zombies = Zombies()
    skeletons: Skeletons = Skeletons()


class CraftaxSpec(Part):
    """One kind of worlds of Craftax-Classic. What is not said is as there.

    Attributes:
        language: tells a file of such a spec from others.
        version: of the language.
        name, purpose, parent: what is told of it; no part of its identity.
        targets: skills that it is meant to teach; told only.
        size: of the map.
        terrain, world, start: numbers.
        goals: skills that all have to be done for success; none stands for all but those in ``start.achieved``.
        ends_on_success: whether success ends an episode.
        time_limit: in steps.
    """

    language: Literal["craftax"] = "craftax"
    version: int = Field(default=VERSION, ge=1, le=VERSION)
    name: str = Field(default="", max_length=60)
    purpose: str = Field(default="", max_length=400)
    parent: str = Field(default="", max_length=64)
    targets: tuple[Skill, ...] = Field(default=(), max_length=len(SKILLS))
    size: Size = "large"
    terrain: Terrain = Terrain()
    world: World = World()
    start: Start = Start()
    goals: tuple[Skill, ...] = Field(default=(), max_length=len(SKILLS))
    ends_on_success: bool = False
    time_limit: int = Field(default=MOST_STEPS, ge=1, le=MOST_STEPS)
