"""Craftax-Classic with its neighbours: worlds that are drawn, arms of a kind of land each, and small edits, for curricula."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.contract import Arms, Env
from jaxrl_envs.specs.craftax.arrays import CraftaxParams
from jaxrl_envs.specs.craftax.biomes import BIOMES, RARITIES, of_biome
from jaxrl_envs.specs.craftax.encoding import encode
from jaxrl_envs.specs.craftax.engine import from_spec
from jaxrl_envs.specs.craftax.model import CraftaxSpec, Inventory

_ITEMS = tuple(Inventory.model_fields)
_MOST = np.asarray([5 if not item.endswith(("pickaxe", "sword")) else 1 for item in _ITEMS], np.int32)
_SHARES = np.asarray([*RARITIES.values()], np.float32)


def family(spec: CraftaxSpec, name: str) -> Env:
    """The environment of a spec, with others like it.

    ``sample_params`` draws one of the four kinds of land, how rare ores and trees are, and in half of the cases what the agent has.
    Its arms are the kinds of land. ``edit_params`` changes one of these things.

    Args:
        spec: what all others are made from.
        name: of the environment.
    """
    lands = jax.tree.map(lambda *leaves: np.stack(leaves), *[encode(of_biome(spec, land)) for land in BIOMES])

    def in_land(key: jax.Array, land: jax.Array) -> CraftaxParams:
        key_shares, key_any, key_held = jax.random.split(key, 3)
        params: CraftaxParams = jax.tree.map(lambda leaf: jnp.asarray(leaf)[land], lands)
        levels = jax.random.randint(key_shares, (len(RARITIES),), 0, 3, jnp.int32)
        held = jax.random.randint(key_held, _MOST.shape, 0, _MOST + 1, jnp.int32)
        held = jnp.where(jax.random.bernoulli(key_any), held, params.start.inventory)
        return _with(params, jnp.asarray(_SHARES)[jnp.arange(len(RARITIES)), levels], held)

    def sample(key: jax.Array) -> CraftaxParams:
        key_land, key_rest = jax.random.split(key)
        return in_land(key_rest, jax.random.randint(key_land, (), 0, len(BIOMES), jnp.int32))

    def edited(key: jax.Array, params: CraftaxParams) -> CraftaxParams:
        key_kind, key_land, key_share, key_item, key_sign = jax.random.split(key, 5)
        kind = jax.random.randint(key_kind, (), 0, 3, jnp.int32)
        land = jax.random.randint(key_land, (), 0, len(BIOMES), jnp.int32)
        moved: CraftaxParams = jax.tree.map(lambda leaf: jnp.asarray(leaf)[land], lands)
        names = ("mountain_scale", "mountain_ridged", "water_scale")
        shape = {name: jnp.where(kind == 0, *_both(moved.terrain, params.terrain, name)) for name in names}
        block = jnp.where(kind == 0, moved.start.block, params.start.block)
        params = replace(
            params, terrain=replace(params.terrain, **shape), start=replace(params.start, block=block)
        )
        shares = jnp.stack([getattr(params.terrain, name) for name in RARITIES])
        row, level = jax.random.randint(key_share, (2,), 0, jnp.asarray([len(RARITIES), 3]), jnp.int32)
        other = shares.at[row].set(jnp.asarray(_SHARES)[row, level])
        item = jax.random.randint(key_item, (), 0, len(_ITEMS), jnp.int32)
        held, sign = params.start.inventory, jnp.where(jax.random.bernoulli(key_sign), 1, -1)
        more = held.at[item].add(sign.astype(jnp.int32)).clip(0, _MOST)
        return _with(params, jnp.where(kind == 1, other, shares), jnp.where(kind == 2, more, held))

    arms = Arms(tuple(BIOMES), in_land)
    return replace(from_spec(spec, name), sample_params=sample, edit_params=edited, arms=arms)


def _both(first: Any, second: Any, name: str) -> tuple[jax.Array, jax.Array]:
    return getattr(first, name), getattr(second, name)


def _with(params: CraftaxParams, shares: jax.Array, inventory: jax.Array) -> CraftaxParams:
    terrain = replace(params.terrain, **{name: shares[i] for i, name in enumerate(RARITIES)})
    return replace(params, terrain=terrain, start=replace(params.start, inventory=inventory))
