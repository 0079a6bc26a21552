"""The exact optimum of a tabular level, by backward induction over (objects that exist, agent's cell)."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxrl_envs.gridworlds.level import Level
from jaxrl_envs.gridworlds.moves import moves_table, next_cell


def optimal_return(level: Level, moves: int = 5) -> jax.Array:
    """The largest expected undiscounted return of one episode from the start, float32 scalar.

    Exact for fixed placement, with the time limit: the optimal policy may read the clock. Pure; jit it, and vmap it
    over levels. It keeps ``2^K * H * W`` floats per move and level.

    Args:
        level: with arrays for ``K`` objects in ``[H, W]`` cells.
        moves: 5 or 9, as in `GridWorld`.
    """
    after = _next_cells(level, moves)

    def backup(_: jax.Array, values: jax.Array) -> jax.Array:
        return jnp.max(_arrival_values(level, values)[:, after], axis=-1)

    slots, cells = level.present.shape[0], level.walls.size
    nothing = jnp.zeros((2**slots, cells), jnp.float32)
    values = jax.lax.fori_loop(0, level.max_steps, backup, nothing)
    return values[jnp.sum(level.present * 2 ** jnp.arange(slots)), level.start]


def optimal_actions(level: Level, steps: int, moves: int = 5) -> jax.Array:
    """Optimal actions, int32 ``[steps, 2^K * H * W]``: entry ``[t, index]`` at time ``t`` in the state ``index``.

    Args:
        level: as in `optimal_return`; its time limit is ``steps`` here.
        steps: the time limit, static.
        moves: 5 or 9.
    """
    after = _next_cells(level, moves)

    def backup(values: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        q = _arrival_values(level, values)[:, after]
        return jnp.max(q, axis=-1), jnp.argmax(q, axis=-1).astype(jnp.int32).reshape(-1)

    nothing = jnp.zeros((2 ** level.present.shape[0], level.walls.size), jnp.float32)
    return jax.lax.scan(backup, nothing, None, steps, reverse=True)[1]


def _next_cells(level: Level, moves: int) -> jax.Array:
    """int32 ``[cells, moves]``."""
    cells = jnp.arange(level.walls.size, dtype=jnp.int32)[:, None]
    return next_cell(cells, jnp.asarray(moves_table(moves)), level.walls)


def _arrival_values(level: Level, values: jax.Array) -> jax.Array:
    """Expected reward and value of arriving at a cell, float32 ``[2^K, cells]``, from next states' ``values``.

    The transition of the set of objects factorises over them given the agent's new cell, so its expectation is
    taken one object at a time, and no matrix over sets is formed.
    """
    slots, cells = level.present.shape[0], values.shape[1]
    here = jnp.arange(cells, dtype=jnp.int32)
    reward = stop = jnp.zeros_like(values)
    for k in range(slots):
        # Axis 1 says whether object k exists.
        split = values.reshape(-1, 2, 2**k, cells)
        on = here == level.object_cells[k]
        absent, there = split[:, 0], split[:, 1]
        back = absent + level.p_respawn[k] * (there - absent)
        values = jnp.stack([back, jnp.where(on, absent, there)], axis=1).reshape(-1, cells)
        taken = (((jnp.arange(2**slots) >> k) & 1) == 1)[:, None] & on
        reward = reward + jnp.where(taken, level.reward[k], jnp.float32(0))
        stop = stop + jnp.where(taken, level.p_terminate[k], jnp.float32(0))
    return reward + (1.0 - jnp.minimum(stop, 1.0)) * values
