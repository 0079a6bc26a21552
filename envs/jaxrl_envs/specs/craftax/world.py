"""The map of a Craftax spec. With Craftax-Classic's own numbers it is the same map, cell by cell, that craftax makes of the same key."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from craftax.craftax_classic.util.noise import generate_fractal_noise_2d, generate_perlin_noise_2d

from jaxrl_envs.specs.craftax.arrays import CraftaxParams, TerrainParams
from jaxrl_envs.specs.craftax.model import BLOCKS

_GRASS, _WATER, _STONE, _PATH, _SAND, _LAVA = (
    BLOCKS[name] for name in ("grass", "water", "stone", "path", "sand", "lava")
)


class Keys(NamedTuple):
    """Keys of what is drawn, by craftax's order of drawing: of the two halves of a split the first goes on, the second is used."""

    water: jax.Array
    mountain: jax.Array
    path: jax.Array
    coal: jax.Array
    iron: jax.Array
    diamond: jax.Array
    tree: jax.Array
    tree_share: jax.Array
    always_diamond: jax.Array
    state: jax.Array


def keys_of(key: jax.Array) -> Keys:
    """The keys that craftax would draw with."""
    used = []
    for _ in range(11):
        key, key_used = jax.random.split(key)
        used.append((key, key_used))
    second = [pair[1] for pair in used]
    # The second and the fifth draw nothing; trees are thinned out with what is left after the ninth.
    return Keys._make([*(second[i] for i in (0, 2, 3, 5, 6, 7, 8)), used[8][0], *second[9:11]])


def terrain(keys: Keys, params: CraftaxParams, distance: jax.Array) -> jax.Array:
    """The map.

    Args:
        keys: of `keys_of`.
        params: of the spec.
        distance: steps from the start, int32 ``[side, side]``.

    Returns:
        Blocks as craftax numbers them, int32 ``[side, side]``.
    """
    t, side = params.terrain, distance.shape[0]
    fading = jnp.clip(distance.astype(jnp.float32) / t.clear_radius, 0.0, 1.0)
    # Rounded as craftax's program rounds, where a product and the sum right after it are one operation: its water is
    # noise + fading - 1, its mountains are noise + 0.05 + fading - 1, and the shift of water is none.
    water = _scaled(keys.water, side, t.water_scale, t.water_ridged) + fading - 1.0 + t.water_offset
    mountain = _scaled(keys.mountain, side, t.mountain_scale, t.mountain_ridged) + t.mountain_offset
    mountain = mountain + fading - 1.0
    paths = _noise(keys.path, side, (side // 8, side // 2))
    trees = _noise(keys.tree, side, (side // 4, side // 4))

    blocks = jnp.where(water > t.water, _WATER, _GRASS).astype(jnp.int32)
    shore = (water > t.sand_low) & (water < t.sand_high) & (blocks != _WATER)
    blocks = jnp.where(shore, _SAND, blocks)
    rock = mountain > t.mountain
    blocks = jnp.where(rock, _STONE, blocks)
    hollow = (rock & ((paths > t.path) | (t.path < paths.T))) | (
        (mountain > t.cave_mountain) & (water > t.cave_water)
    )
    blocks = jnp.where(hollow, _PATH, blocks)
    blocks = _with_ores(keys, t, blocks, mountain)
    drawn = (trees > t.tree) & (jax.random.uniform(keys.tree_share, (side, side)) > 1.0 - t.tree_share)
    blocks = jnp.where(drawn & (blocks == _GRASS), BLOCKS["tree"], blocks)
    blocks = jnp.where((mountain > t.lava_mountain) & (trees > t.lava_tree), _LAVA, blocks)
    blocks = jnp.where(distance == 0, params.start.block, blocks)
    return _with_diamond(keys.always_diamond, blocks, t.always_diamond)


def _noise(key: jax.Array, side: int, resolution: tuple[int, int]) -> jax.Array:
    return generate_fractal_noise_2d(key, (side, side), resolution, octaves=1)


def _scaled(key: jax.Array, side: int, scale: jax.Array, ridged: jax.Array) -> jax.Array:
    """Coarse noise from 0 to ``scale``, float32 ``[side, side]``. Normalised and scaled in one product, which is craftax's where the scale is 1."""
    _, key = jax.random.split(key)
    noise = generate_perlin_noise_2d(key, (side, side), (side // 16, side // 16))
    lowest = noise.min()
    above, extent = noise - lowest, noise.max() - lowest
    above = jnp.where(ridged, jnp.abs(2.0 * above - extent), above)
    return above * (scale / extent)


def _with_ores(keys: Keys, t: TerrainParams, blocks: jax.Array, mountain: jax.Array) -> jax.Array:
    """Stone becomes coal, what is left iron, and what is left of that high up diamond."""
    for name, key, share, where in (
        ("coal", keys.coal, t.coal, True),
        ("iron", keys.iron, t.iron, True),
        ("diamond", keys.diamond, t.diamond, mountain > t.diamond_mountain),
    ):
        found = (blocks == _STONE) & where & (jax.random.uniform(key, blocks.shape) < share)
        blocks = jnp.where(found, BLOCKS[name], blocks)
    return blocks


def _with_diamond(key: jax.Array, blocks: jax.Array, wanted: jax.Array) -> jax.Array:
    """One stone becomes a diamond. Where there is none craftax puts the diamond, or a stone, into the corner; here nothing changes."""
    stone = (blocks == _STONE).reshape(-1)
    count = stone.sum()
    shares = stone.astype(jnp.float32) / jnp.maximum(count, 1).astype(jnp.float32)
    cell = jax.random.choice(key, jnp.arange(stone.size), p=shares)
    chosen = (jnp.arange(stone.size) == cell).reshape(blocks.shape)
    return jnp.where(chosen & wanted & (count > 0), BLOCKS["diamond"], blocks)
