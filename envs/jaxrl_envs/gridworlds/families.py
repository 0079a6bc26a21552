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
    cells, slots = rows * columns, chosen.objects[1]
    # One draw for all: each call of the generator takes as long to compile as the rest of this function.
    drawn = jax.random.uniform(key, (2 * cells + 3 * slots + 5,), jnp.float32)
    u_walls, u_cells, u_objects, u = jnp.split(drawn, np.cumsum([cells, cells, 3 * slots]))

    height, width = _whole(u[0], chosen.size), _whole(u[1], chosen.size)
    inside = (jnp.arange(rows)[:, None] < height) & (jnp.arange(columns) < width)
    if chosen.layouts:
        drawings = np.array([[list(row) for row in LAYOUTS[name]] for name in chosen.layouts]) == "#"
        walls = jnp.asarray(drawings)[_whole(u[2], (0, len(drawings) - 1))]
    else:
        places = jax.lax.top_k(u_walls, chosen.walls)[1]
        walls = jnp.zeros((cells,), bool).at[places].set(True).reshape(rows, columns)

    # Free cells come first in random order, then walls of the level, then what is outside.
    score = u_cells.reshape(rows, columns)
    score = jnp.where(inside, jnp.where(walls, score - 1.0, score), -2.0)
    taken = jax.lax.top_k(score.reshape(-1), slots + 1)[1].astype(jnp.int32)
    walls = (walls | ~inside).reshape(-1).at[taken].set(False).reshape(rows, columns)
    free_cells, num_free = listed_free_cells(walls)

    present = jnp.arange(slots) < _whole(u[3], chosen.objects)
    u_reward, u_terminate, u_respawn = u_objects.reshape(3, slots)
    lowest = jnp.where(jnp.arange(slots) == 0, 0.0, chosen.reward[0]).astype(jnp.float32)
    where_present = lambda x: jnp.where(present, x, jnp.float32(0))
    return Level(
        height=height,
        width=width,
        walls=walls,
        free_cells=free_cells,
        num_free=num_free,
        start=taken[0],
        object_cells=taken[1:],
        present=present,
        reward=where_present(lowest + (chosen.reward[1] - lowest) * u_reward),
        p_terminate=where_present(_log_uniform(u_terminate, P_TERMINATE)),
        p_respawn=where_present(_log_uniform(u_respawn, P_RESPAWN)),
        max_steps=jnp.round(_log_uniform(u[4], chosen.steps)).astype(jnp.int32),
    )


def sample_lifetime(key: jax.Array, family: str) -> jax.Array:
    """An agent's lifetime in a level of a family, in updates of 1,280 steps: int32 scalar.

    Raises:
        ValueError: for an unknown family.
    """
    drawn = _log_uniform(jax.random.uniform(key, (), jnp.float32), find_family(family).lifetime)
    return jnp.round(drawn).astype(jnp.int32)


def _whole(u: jax.Array, bounds: tuple[int, int]) -> jax.Array:
    """A whole number within the bounds, from a uniform one in [0, 1)."""
    low, high = bounds
    return low + jnp.minimum(u * (high - low + 1), high - low).astype(jnp.int32)


def _log_uniform(u: jax.Array, bounds: Range) -> jax.Array:
    low, high = np.log(bounds).astype(np.float32)
    return jnp.clip(jnp.exp(low + (high - low) * u), bounds[0], bounds[1])
