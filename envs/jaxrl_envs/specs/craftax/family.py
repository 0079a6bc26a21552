"""Craftax-Classic with its neighbours: worlds that are drawn, arms of a kind of land each, and small edits, for curricula."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.contract import Arms, Env
from jaxrl_envs.specs.craftax.arrays import CraftaxParams
from jaxrl_envs.specs.craftax.biomes import BIOMES, RARE, SHAPED_BY, of_biome, rarities
from jaxrl_envs.specs.craftax.encoding import encode
from jaxrl_envs.specs.craftax.engine import from_spec
from jaxrl_envs.specs.craftax.model import CraftaxSpec, Inventory

_ITEMS = tuple(Inventory.model_fields)
_MOST = np.asarray([5 if not item.endswith(("pickaxe", "sword")) else 1 for item in _ITEMS], np.int32)


def family(spec: CraftaxSpec, name: str, rare: str = "clean") -> Env:
    """The environment of a spec, with others like it.

    ``sample_params`` draws one of the four kinds of land, how rare ores and trees are, and in half of the cases what the agent has.
    Its arms are the kinds of land. ``edit_params`` changes one of these things.

    Args:
        spec: what all others are made from.
        name: of the environment.
        rare: which of `biomes.RARITIES`.

    Raises:
        ValueError: there are no such rarities.
    """
    all_shares = jnp.asarray([*rarities(name, rare).values()], jnp.float32)
    usual = jax.tree.map(jnp.asarray, encode(spec))
    lands = [encode(of_biome(spec, land)) for land in BIOMES]
    shapes = {name: np.stack([getattr(land.terrain, name) for land in lands]) for name in SHAPED_BY}
    blocks = np.stack([land.start.block for land in lands])

    def moved(params: CraftaxParams, land: jax.Array) -> CraftaxParams:
        shape = {name: jnp.asarray(levels)[land] for name, levels in shapes.items()}
        start = replace(params.start, block=jnp.asarray(blocks)[land])
        return replace(params, terrain=replace(params.terrain, **shape), start=start)

    def in_land(key: jax.Array, land: jax.Array) -> CraftaxParams:
        drawn = jax.random.uniform(key, (len(RARE) + 1 + _MOST.size,))
        levels, any_held, amounts = drawn[: len(RARE)], drawn[len(RARE)], drawn[len(RARE) + 1 :]
        shares = all_shares[jnp.arange(len(RARE)), _below(3, levels)]
        held = jnp.where(any_held < 0.5, _below(_MOST + 1, amounts), usual.start.inventory)
        return _with(moved(usual, land), shares, held)

    def sample(key: jax.Array) -> CraftaxParams:
        key_land, key_rest = jax.random.split(key)
        return in_land(key_rest, _below(len(BIOMES), jax.random.uniform(key_land)))

    def edited(key: jax.Array, params: CraftaxParams) -> CraftaxParams:
        kind, land, share, level, item, sign = jax.random.uniform(key, (6,))
        kind, item, share = _below(3, kind), _below(_MOST.size, item), _below(len(RARE), share)
        there = moved(params, _below(len(BIOMES), land))
        params = jax.tree.map(lambda new, old: jnp.where(kind == 0, new, old), there, params)
        shares, held = jnp.stack([getattr(params.terrain, name) for name in RARE]), params.start.inventory
        other = shares.at[share].set(all_shares[share, _below(3, level)])
        more = held.at[item].add(jnp.where(sign < 0.5, 1, -1)).clip(0, _MOST)
        return _with(params, jnp.where(kind == 1, other, shares), jnp.where(kind == 2, more, held))

    arms = Arms(tuple(BIOMES), in_land)
    return replace(from_spec(spec, name), sample_params=sample, edit_params=edited, arms=arms)


def _with(params: CraftaxParams, shares: jax.Array, inventory: jax.Array) -> CraftaxParams:
    terrain = replace(params.terrain, **{name: shares[i] for i, name in enumerate(RARE)})
    return replace(params, terrain=terrain, start=replace(params.start, inventory=inventory))


def _below(end: int | np.ndarray, drawn: jax.Array) -> jax.Array:
    """A whole number from 0 to below ``end``, from one that is even from 0 to below 1; int32."""
    return jnp.minimum((drawn * end).astype(jnp.int32), end - 1).astype(jnp.int32)
