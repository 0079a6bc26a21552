"""An episode of a grid spec, whichever body the agent has: its state, its start, what a step pays."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl_envs.specs.arrays import GridParams, Payment, Ranges
from jaxrl_envs.specs.predicates import Facts, Told


@struct.dataclass
class GridState:
    """An episode in progress.

    Attributes:
        grid: types of cells, what lies on top, int8 ``[S, S]``.
        ground: what each cell is when nothing lies on it, int8 ``[S, S]``.
        hits: how many interactions each cell stands until one has an effect, int8 ``[S, S]``.
        row, column, facing: of the agent, int32; directions are up, right, down, left.
        inventory: int32 ``[T]``.
        health, time: int32.
        now, ever, progress: as in `Facts`.
        succeeded: whether success has held after a step.
        drawn: numbers of rules and predicates in this episode; None where the spec has no ranges there.
    """

    grid: jax.Array
    ground: jax.Array
    hits: jax.Array
    row: jax.Array
    column: jax.Array
    facing: jax.Array
    inventory: jax.Array
    health: jax.Array
    time: jax.Array
    now: jax.Array
    ever: jax.Array
    progress: jax.Array
    succeeded: jax.Array
    drawn: Ranges | None = None


def state_of(
    told: Told,
    hits: jax.Array,
    facing: jax.Array,
    seen: Facts,
    succeeded: jax.Array,
    drawn: Ranges | None = None,
) -> GridState:
    """A state from what it is told of and what holds."""
    return GridState(
        told.grid,
        told.ground,
        hits,
        told.row,
        told.column,
        facing,
        told.inventory,
        told.health,
        told.time,
        *seen,
        succeeded,
        drawn,
    )


def possessions(key: jax.Array, params: GridParams) -> tuple[jax.Array, jax.Array]:
    """Inventory, int32 ``[T]``, and health at a reset, drawn from their ranges as far as the difficulty lets them go."""
    start = params.start
    key_inventory, key_health = jax.random.split(key)

    def drawn(key: jax.Array, low: jax.Array, high: jax.Array) -> jax.Array:
        reach = jnp.floor(params.difficulty * (high - low)).astype(jnp.int32)
        return jax.random.randint(key, low.shape, low, low + reach + 1, jnp.int32)

    inventory = drawn(key_inventory, start.inventory_low, start.inventory_high)
    return inventory, drawn(key_health, start.health[0], start.health[1])


def reward_of(state: GridState, seen: Facts, won: jax.Array, success: jax.Array, pays: Payment) -> jax.Array:
    """What a step pays, float32.

    Args:
        state: before it.
        seen: what holds after it.
        won: whether success holds for the first time.
        success: what that pays, float32.
        pays: the table.
    """
    risen = seen.now & ~state.now
    paid = (
        jnp.where(risen & ~state.ever, pays.first, 0.0)
        + jnp.where(risen, pays.each, 0.0)
        + pays.potential * (seen.progress - state.progress)
    )
    reward = paid.sum() + pays.step + jnp.where(won, success, 0.0)
    return reward.clip(-pays.clip, pays.clip)
