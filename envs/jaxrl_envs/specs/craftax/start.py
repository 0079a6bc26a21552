"""How an episode of a Craftax spec starts: the agent, and what is put around it once the map is made."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from craftax.craftax_classic.envs.craftax_state import EnvState, Inventory, Mobs, StaticEnvParams
from craftax.craftax_classic.game_logic import calculate_light_level

from jaxrl_envs.specs.craftax.arrays import BandParams, CraftaxParams
from jaxrl_envs.specs.craftax.model import BLOCKS, MOST_OF_ONE, MOST_PLACED, RIPE
from jaxrl_envs.specs.hashing import fraction, numbered

_STATE: Any = EnvState  # craftax calls its arrays int, float and bool
_MOBS: Any = Mobs
_INVENTORY: Any = Inventory
_GRASS, _PATH, _SAND = (BLOCKS[name] for name in ("grass", "path", "sand"))
_PLANT, _RIPE_PLANT = 15, 16
_PLANTS, _COWS, _ZOMBIES, _SKELETONS = range(MOST_PLACED, MOST_PLACED + 4)


class Chosen(NamedTuple):
    """Cells that were drawn: their numbers, int32 ``[most]``, and which of them count."""

    cell: jax.Array
    there: jax.Array


def chosen(
    seed: jax.Array,
    row: jax.Array | int,
    allowed: jax.Array,
    distance: jax.Array,
    band: BandParams,
    most: int,
) -> Chosen:
    """Different cells within a band, drawn evenly; fewer where there are not so many.

    Args:
        seed: uint32.
        row: number of the draw.
        allowed: bool ``[side, side]``.
        distance: from the agent, int32 ``[side, side]``.
        band: how many, and where.
        most: there may ever be.
    """
    allowed &= (distance >= band.nearest) & (distance <= band.farthest)
    cells = jnp.arange(allowed.size, dtype=jnp.int32)
    score = fraction(numbered(seed, jnp.asarray(row, jnp.int32), cells))
    best, cell = jax.lax.top_k(jnp.where(allowed.reshape(-1), score, -1.0), most)
    return Chosen(cell, (jnp.arange(most) < band.count) & (best >= 0.0))


def with_placed(seed: jax.Array, params: CraftaxParams, blocks: jax.Array, distance: jax.Array) -> jax.Array:
    """The map with what is placed, row after row."""
    start = params.start

    def place(blocks: jax.Array, row: Any) -> tuple[jax.Array, None]:
        number, block, on, band = row
        ground = (blocks == _GRASS) | (blocks == _PATH) | (blocks == _SAND)
        found = chosen(seed, number, jnp.where(on > 0, blocks == on, ground), distance, band, MOST_OF_ONE)
        return _painted(blocks, found, block), None

    rows = (jnp.arange(MOST_PLACED), start.placed_block, start.placed_on, start.placed)
    return jax.lax.scan(place, blocks, rows)[0]


def _painted(blocks: jax.Array, found: Chosen, block: Any) -> jax.Array:
    at = jnp.where(found.there, found.cell, blocks.size)
    return blocks.reshape(-1).at[at].set(block, mode="drop").reshape(blocks.shape)


def state_of(
    seed: jax.Array,
    key: jax.Array,
    params: CraftaxParams,
    blocks: jax.Array,
    distance: jax.Array,
    sizes: StaticEnvParams,
    env_params: Any,
) -> EnvState:
    """The state that an episode starts from.

    Args:
        seed: uint32, of what is put around the agent.
        key: that the state keeps.
        params: of the spec.
        blocks: the map, int32 ``[side, side]``.
        distance: from the agent, int32 ``[side, side]``.
        sizes: craftax's static parameters.
        env_params: craftax's parameters.
    """
    s, side = params.start, blocks.shape[0]
    blocks = with_placed(seed, params, blocks, distance)
    plants = chosen(seed, _PLANTS, blocks == _GRASS, distance, s.plants, sizes.max_growing_plants)
    blocks = _painted(blocks, plants, jnp.where(s.plant_age >= RIPE, _RIPE_PLANT, _PLANT))
    grass, path = blocks == _GRASS, blocks == _PATH
    taken = jnp.zeros(blocks.shape, bool)

    def herd(row: int, ground: jax.Array, band: BandParams, most: int, health: Any, resting: Any) -> Mobs:
        nonlocal taken
        found = chosen(seed, row, ground & ~taken, distance, band, most)
        taken = _painted(taken, found, True)
        position = _positions(found, side)
        full = lambda x: jnp.broadcast_to(jnp.asarray(x, jnp.int32), (most,))
        return _MOBS(position, jnp.where(found.there, full(health), full(resting)), found.there, full(0))

    w = params.world
    cows = herd(_COWS, grass, s.cows, sizes.max_cows, w.cow_health, w.cow_health)
    zombies = herd(_ZOMBIES, grass | path, s.zombies, sizes.max_zombies, w.zombie_health, 1)
    skeletons = herd(_SKELETONS, path, s.skeletons, sizes.max_skeletons, w.skeleton_health, 0)
    nothing = jnp.zeros((sizes.max_arrows,), jnp.int32)
    return _STATE(
        map=blocks,
        mob_map=taken,
        player_position=jnp.stack([s.row, s.column]),
        player_direction=s.facing,
        player_health=s.health,
        player_food=s.food,
        player_drink=s.drink,
        player_energy=s.energy,
        player_recover=s.recover,
        player_hunger=s.hunger,
        player_thirst=s.thirst,
        player_fatigue=s.fatigue,
        is_sleeping=s.asleep,
        inventory=_INVENTORY(*(s.inventory[i] for i in range(s.inventory.shape[0]))),
        zombies=zombies,
        cows=cows,
        skeletons=skeletons,
        arrows=_MOBS(jnp.zeros((sizes.max_arrows, 2), jnp.int32), nothing, nothing > 0, nothing),
        arrow_directions=jnp.ones((sizes.max_arrows, 2), jnp.int32),
        growing_plants_positions=_positions(plants, side),
        growing_plants_age=jnp.where(plants.there, s.plant_age, 0),
        growing_plants_mask=plants.there,
        light_level=calculate_light_level(s.time, env_params),
        achievements=s.achieved,
        state_rng=key,
        timestep=s.time,
    )


def _positions(found: Chosen, side: int) -> jax.Array:
    position = jnp.stack([found.cell // side, found.cell % side], -1)
    return jnp.where(found.there[:, None], position, 0).astype(jnp.int32)
