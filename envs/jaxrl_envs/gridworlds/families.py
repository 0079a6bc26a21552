"""Levels drawn from a family: a pure function of a key, to be jitted and vmapped."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.gridworlds.layouts import LAYOUTS
from jaxrl_envs.gridworlds.level import Level, listed_free_cells
from jaxrl_envs.gridworlds.tables import FAMILIES, P_RESPAWN, P_TERMINATE, Family, Range
from jaxrl_envs.keywords import near


def find_family(name: str) -> Family:
    """The family called ``name``.

    Raises:
        ValueError: if there is none.
    """
    if name not in FAMILIES:
        raise ValueError(
            f"there is no family of levels {name!r}{near(name, FAMILIES) or '.'} Known: {', '.join(FAMILIES)}"
        )
    return FAMILIES[name]


def sample_level(key: jax.Array, family: str) -> Level:
    """A level of a family; all levels of one family have arrays of one shape.

    Sizes, numbers of objects and limits are drawn as `tables.Family` says. The agent's start and the objects'
    cells are drawn without replacement from the free cells. As in the published distributions, drawn walls may
    keep an object, or everything, out of the agent's reach: then the optimal return can be zero. Should a
    level have fewer free cells than it needs, walls give way to the start and the objects, so neither is ever
    in a wall.

    Args:
        key: typed PRNG key.
        family: a name in `tables.FAMILIES`, static under jit.

    Raises:
        ValueError: for an unknown family.
    """
    chosen = find_family(family)
    rows, columns = chosen.shape
    slots = chosen.objects[1]
    key_size, key_walls, key_cells, key_count, key_objects, key_steps = jax.random.split(key, 6)

    low, high = chosen.size
    size = jax.random.randint(key_size, (2,), low, high + 1, jnp.int32)
    inside = (jnp.arange(rows)[:, None] < size[0]) & (jnp.arange(columns) < size[1])
    if chosen.layouts:
        drawings = np.array([[list(row) for row in LAYOUTS[name]] for name in chosen.layouts]) == "#"
        walls = jnp.asarray(drawings)[jax.random.randint(key_walls, (), 0, len(drawings), jnp.int32)]
    else:
        drawn = jax.lax.top_k(jax.random.uniform(key_walls, (rows * columns,), jnp.float32), chosen.walls)[1]
        walls = jnp.zeros((rows * columns,), bool).at[drawn].set(True).reshape(rows, columns)

    # Free cells come first in random order, then walls of the level, then what is outside.
    score = jax.random.uniform(key_cells, (rows, columns), jnp.float32)
    score = jnp.where(inside, jnp.where(walls, score - 1.0, score), -2.0)
    cells = jax.lax.top_k(score.reshape(-1), slots + 1)[1].astype(jnp.int32)
    walls = (walls | ~inside).reshape(-1).at[cells].set(False).reshape(rows, columns)
    free_cells, num_free = listed_free_cells(walls)

    present = jnp.arange(slots) < jax.random.randint(key_count, (), chosen.objects[0], slots + 1, jnp.int32)
    u = jax.random.uniform(key_objects, (3, slots), jnp.float32)
    lowest = jnp.where(jnp.arange(slots) == 0, 0.0, chosen.reward[0]).astype(jnp.float32)
    where_present = lambda x: jnp.where(present, x, jnp.float32(0))
    return Level(
        height=size[0],
        width=size[1],
        walls=walls,
        free_cells=free_cells,
        num_free=num_free,
        start=cells[0],
        object_cells=cells[1:],
        present=present,
        reward=where_present(lowest + (chosen.reward[1] - lowest) * u[0]),
        p_terminate=where_present(_log_uniform(u[1], P_TERMINATE)),
        p_respawn=where_present(_log_uniform(u[2], P_RESPAWN)),
        max_steps=_whole_log_uniform(key_steps, chosen.steps),
    )


def sample_lifetime(key: jax.Array, family: str) -> jax.Array:
    """An agent's lifetime in a level of a family, in updates of 1,280 steps: int32 scalar.

    Raises:
        ValueError: for an unknown family.
    """
    return _whole_log_uniform(key, find_family(family).lifetime)


def _log_uniform(u: jax.Array, bounds: Range) -> jax.Array:
    low, high = np.log(bounds).astype(np.float32)
    return jnp.clip(jnp.exp(low + (high - low) * u), bounds[0], bounds[1])


def _whole_log_uniform(key: jax.Array, bounds: tuple[int, int]) -> jax.Array:
    drawn = _log_uniform(jax.random.uniform(key, (), jnp.float32), bounds)
    return jnp.round(drawn).astype(jnp.int32)
