"""A Craftax spec as arrays of fixed shapes: the parameters of the environment that interprets it."""

from __future__ import annotations

import jax
from flax import struct


@struct.dataclass
class TerrainParams:
    """As `model.Terrain`, float32 scalars and bool flags."""

    clear_radius: jax.Array
    water_scale: jax.Array
    water_offset: jax.Array
    water_ridged: jax.Array
    mountain_scale: jax.Array
    mountain_offset: jax.Array
    mountain_ridged: jax.Array
    water: jax.Array
    sand_low: jax.Array
    sand_high: jax.Array
    mountain: jax.Array
    path: jax.Array
    cave_mountain: jax.Array
    cave_water: jax.Array
    coal: jax.Array
    iron: jax.Array
    diamond: jax.Array
    diamond_mountain: jax.Array
    lava_mountain: jax.Array
    lava_tree: jax.Array
    tree: jax.Array
    tree_share: jax.Array
    always_diamond: jax.Array


@struct.dataclass
class WorldParams:
    """As `model.World`, int32 and float32 scalars."""

    day_length: jax.Array
    zombie_health: jax.Array
    cow_health: jax.Array
    skeleton_health: jax.Array
    despawn_distance: jax.Array
    cow: jax.Array
    zombie: jax.Array
    zombie_night: jax.Array
    skeleton: jax.Array


@struct.dataclass
class BandParams:
    """So many within a distance: int32, scalars, or ``[8]`` of what is placed."""

    count: jax.Array
    nearest: jax.Array
    farthest: jax.Array


@struct.dataclass
class StartParams:
    """How an episode starts, int32 scalars where nothing else is said.

    Attributes:
        row, column, block, facing: where, on what block, in which direction as craftax numbers them.
        recover, hunger, thirst, fatigue: float32.
        asleep: bool.
        inventory: int32 ``[12]``, in the order of `model.Inventory`.
        achieved: bool ``[22]``.
        placed_block, placed_on: int32 ``[8]``, of craftax's blocks; ``on`` is 0 for any ground.
        placed: rows without a block have a count of 0.
        plant_age: of all plants.
        plants, cows, zombies, skeletons: how many, and where.
    """

    row: jax.Array
    column: jax.Array
    block: jax.Array
    facing: jax.Array
    health: jax.Array
    food: jax.Array
    drink: jax.Array
    energy: jax.Array
    recover: jax.Array
    hunger: jax.Array
    thirst: jax.Array
    fatigue: jax.Array
    asleep: jax.Array
    time: jax.Array
    inventory: jax.Array
    achieved: jax.Array
    placed_block: jax.Array
    placed_on: jax.Array
    placed: BandParams
    plant_age: jax.Array
    plants: BandParams
    cows: BandParams
    zombies: BandParams
    skeletons: BandParams


@struct.dataclass
class CraftaxParams:
    """A Craftax spec as the parameters of its environment.

    Attributes:
        terrain, world, start: numbers.
        goals: bool ``[22]``, skills that success asks for.
        ends_on_success: bool.
        max_steps: int32, the time limit.
    """

    terrain: TerrainParams
    world: WorldParams
    start: StartParams
    goals: jax.Array
    ends_on_success: jax.Array
    max_steps: jax.Array
