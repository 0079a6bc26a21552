"""A maze as something that is built, cell by cell: the episodes of an adversary (Dennis et al. 2020, arXiv 2012.02096).

Every action names a cell. The first says where the goal is, the second where the agent starts (if that is the goal, it starts in another
cell, drawn at random), and each later one sets a wall, unless the cell is taken. So walls may be fewer than actions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxrl_envs.contract import Builder, Env, EnvStep
from jaxrl_envs.maze.generators import one_of
from jaxrl_envs.maze.level import maze_of
from jaxrl_envs.spaces import Box, Discrete

NOISE = 16
"""Random numbers that the adversary sees, so that one policy can build many mazes."""
_PLACED = 2  # goal and agent


@struct.dataclass
class Site:
    """A maze that is being built.

    Attributes:
        walls: bool ``[H, W]``.
        goal: int32, its cell, -1 before it has one.
        agent: int32, likewise.
        heading: int32, where the agent will look, drawn at random.
        time: int32, actions so far.
        noise: float32 ``[NOISE]``.
    """

    walls: jax.Array
    goal: jax.Array
    agent: jax.Array
    heading: jax.Array
    time: jax.Array
    noise: jax.Array


def maze_builder(name: str, shape: tuple[int, ...], walls: int, max_steps: Any) -> Builder:
    """A builder of mazes.

    Args:
        name: of the environment that they are for.
        shape: rows and columns.
        walls: actions that set walls, the most that there can be.
        max_steps: the mazes' time limit.
    """
    cells = np.arange(shape[0] * shape[1], dtype=np.int32)
    steps = walls + _PLACED

    def look(site: Site) -> jax.Array:
        """Walls, goal and agent by cell, the heading one-hot, what of the actions is done, and noise."""
        heading = site.heading == jnp.arange(4, dtype=jnp.int32)
        flags = (site.walls.reshape(-1), cells == site.goal, cells == site.agent, heading)
        done = jnp.minimum(site.time.astype(jnp.float32) / steps, 1.0)[None]
        return jnp.concatenate([*(x.astype(jnp.float32) for x in flags), done, site.noise])

    def reset(key: jax.Array, params: Any) -> tuple[jax.Array, Site]:
        del params
        key_heading, key_noise = jax.random.split(key)
        nowhere = jnp.full((), -1, jnp.int32)
        heading = jax.random.randint(key_heading, (), 0, 4, jnp.int32)
        noise = jax.random.uniform(key_noise, (NOISE,), jnp.float32)
        site = Site(jnp.zeros(shape, bool), nowhere, nowhere, heading, jnp.zeros((), jnp.int32), noise)
        return look(site), site

    def step(key: jax.Array, site: Site, action: Any, params: Any) -> EnvStep:
        del params
        cell = jnp.asarray(action, jnp.int32)
        goal = jnp.where(site.time == 0, cell, site.goal)
        start = jnp.where(cell == goal, one_of(key, cells != goal), cell)
        agent = jnp.where(site.time == 1, start, site.agent)
        wall = (site.time >= _PLACED) & (cells == cell) & (cells != goal) & (cells != agent)
        walls = site.walls | wall.reshape(shape)
        after = replace(site, walls=walls, goal=goal, agent=agent, time=site.time + 1)
        ended = after.time >= steps
        return EnvStep(look(after), after, jnp.zeros((), jnp.float32), ended, jnp.zeros((), bool), {})

    seen = Box(0.0, 1.0, (3 * len(cells) + 4 + 1 + NOISE,))
    editor = Env(f"{name} builder", reset, step, (), seen, Discrete(len(cells)))
    level = lambda site: maze_of(site.walls, site.agent, site.heading, site.goal, max_steps)
    return Builder(editor, steps, level)
