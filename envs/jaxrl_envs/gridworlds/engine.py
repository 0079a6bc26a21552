"""The grid world as a gymnax 1.x environment. Importing this module imports gymnax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from gymnax.environments import environment, spaces

from jaxrl_envs.gridworlds.level import Level
from jaxrl_envs.gridworlds.moves import moves_table, next_cell

PLACEMENTS = ("fixed", "random")
OBSERVATIONS = ("index", "planes")


@struct.dataclass
class GridState:
    """Where everything is.

    Attributes:
        agent: int32, its cell.
        exists: bool ``[K]``.
        object_cells: int32 ``[K]``, of objects that exist and, without meaning, of those that do not.
        time: int32, steps taken.
    """

    agent: jax.Array
    exists: jax.Array
    object_cells: jax.Array
    time: jax.Array


class GridWorld(environment.Environment[Any, Any]):
    """Collect objects on a grid (Oh et al. 2020, "Discovering Reinforcement Learning Algorithms", appendix).

    A step, in this order: the agent moves, or stays where it would leave the grid or enter a wall; the objects
    that exist on its new cell are collected; objects absent before the step come back, each by itself, with
    their ``p_respawn``; collected objects vanish, so that none comes back in the step that takes it. The reward is the sum
    over the collected objects, and the episode terminates with the sum of their ``p_terminate``, at
    most 1. The step limit truncates.

    Placement ``random`` draws every object's cell anew at the start of an episode and when it comes back,
    uniformly over the free cells of the level and independently of all else. So objects may share a cell, with
    each other or with the agent, as an object of fixed placement does that comes back under the agent: the
    observation shows it, and a step collects everything on a cell.

    Observation ``index`` is ``agent + H * W * sum_k exists_k 2^k``, int32, one number per state (fixed placement only).
    Observation ``planes`` is float32 ``[H, W, T + 1]``: how many objects of each type there are on each cell, and last
    the agent. Walls are not shown.
    """

    def __init__(
        self,
        level: Level,
        placement: str = "fixed",
        observation: str | None = None,
        moves: int = 5,
        types: Sequence[int] | None = None,
    ) -> None:
        """The family of environments that have the array shapes of ``level``; ``level`` is their default.

        Args:
            level: one level, not a batch.
            placement: ``fixed`` or ``random``.
            observation: ``index`` or ``planes``; ``index`` for fixed placement by default.
            moves: 5 (up, down, left, right, stay) or 9 (the eight neighbours, then stay).
            types: for each of the ``K`` objects the plane that shows it, ``0 .. T - 1``; one plane for each by default.

        Raises:
            ValueError: for another placement, observation or number of moves, types that do not number ``K``
                objects, or a batch of levels.
        """
        super().__init__()
        if placement not in PLACEMENTS:
            raise ValueError(f"placement is {placement!r}; it must be one of {', '.join(PLACEMENTS)}")
        if observation is None:
            observation = "index" if placement == "fixed" else "planes"
        if observation not in OBSERVATIONS:
            raise ValueError(f"observation is {observation!r}; it must be one of {', '.join(OBSERVATIONS)}")
        if (placement, observation) == ("random", "index"):
            raise ValueError(
                "observation is 'index' and placement 'random'; an index does not say where the objects are, "
                "so random placement needs 'planes'"
            )
        self._moves = moves_table(moves)
        if np.ndim(level.walls) != 2:
            raise ValueError(
                f"level.walls has shape {np.shape(level.walls)}; the environment is made from one level, a batch "
                "of levels goes to reset and step under vmap"
            )
        self._level, self._random, self._planes = level, placement == "random", observation == "planes"
        self._shape: tuple[int, int] = level.walls.shape  # type: ignore[assignment]
        self._slots = level.reward.shape[0]
        types = list(range(self._slots)) if types is None else list(types)
        if len(types) != self._slots or set(types) != set(range(max(types) + 1)):
            raise ValueError(
                f"types is {types}; it must number the types of the level's {self._slots} objects from 0, leaving "
                "none out"
            )
        self._shown_by = _columns(types)

    @property
    def default_params(self) -> Any:
        return self._level

    @property
    def name(self) -> str:
        return "GridWorld"

    @property
    def num_actions(self) -> int:
        return len(self._moves)

    def reset_env(self, key: jax.Array, params: Level) -> tuple[jax.Array, GridState]:
        cells = params.object_cells
        if self._random:
            cells = self._drawn_cells(_uniform(key, self._slots), params)
        state = GridState(params.start, params.present, cells, jnp.zeros((), jnp.int32))
        return self.observe(key, state, None, params), state

    def step_env(
        self, key: jax.Array, state: GridState, action: Any, params: Level
    ) -> tuple[jax.Array, GridState, jax.Array, jax.Array, dict[Any, Any]]:
        u = _uniform(key, self._slots + 1)
        agent = next_cell(state.agent, jnp.asarray(self._moves)[action], params.walls)
        collected = state.exists & (state.object_cells == agent)
        back = ~state.exists & (u[1:] < params.p_respawn)
        cells = state.object_cells
        if self._random:
            # Given that u < p, u / p is uniform again: the draw that brings an object back also places it.
            again = u[1:] / jnp.maximum(params.p_respawn, jnp.float32(1e-30))
            cells = jnp.where(back, self._drawn_cells(again, params), cells)
        state = GridState(agent, (state.exists & ~collected) | back, cells, state.time + 1)
        total = lambda x: jnp.sum(jnp.where(collected, x, jnp.float32(0)))
        terminated = u[0] < total(params.p_terminate)
        return self.observe(key, state, action, params), state, total(params.reward), terminated, {}

    def is_truncated(self, state: GridState, params: Level) -> jax.Array:
        return state.time >= params.max_steps

    def observe(self, key: jax.Array, state: GridState, action: Any, params: Level) -> jax.Array:
        cells = self._shape[0] * self._shape[1]
        if not self._planes:
            bits = jnp.asarray(2 ** np.arange(self._slots) * cells, jnp.int32)
            return state.agent + jnp.sum(jnp.where(state.exists, bits, 0), dtype=jnp.int32)
        # Comparing is a fused kernel where scattering is a loop. The last entry is on no cell: it pads.
        nowhere = jnp.full((1,), -1, jnp.int32)
        at = jnp.concatenate([jnp.where(state.exists, state.object_cells, -1), state.agent[None], nowhere])
        here = jnp.arange(cells, dtype=jnp.int32)[:, None]
        planes = sum((here == at[row]).astype(jnp.float32) for row in self._shown_by)
        return jnp.asarray(planes).reshape(*self._shape, -1)

    def action_space(self, params: Level | None = None) -> spaces.Discrete:
        return spaces.Discrete(self.num_actions)

    def observation_space(self, params: Level) -> spaces.Space:
        cells = self._shape[0] * self._shape[1]
        if not self._planes:
            return spaces.Discrete(cells * 2**self._slots)
        most, planes = self._shown_by.shape
        return spaces.Box(0.0, float(most), (*self._shape, planes), jnp.float32)

    def _drawn_cells(self, u: jax.Array, params: Level) -> jax.Array:
        """Free cells, int32, for uniform numbers; those above 1 give some free cell too."""
        free = params.num_free.astype(jnp.float32)
        place = jnp.minimum(u * free, free - 1.0).astype(jnp.int32)
        return params.free_cells[place]


def _columns(types: list[int]) -> np.ndarray:
    """Which of ``[objects, agent, nothing]`` each plane shows, ``[most objects of one type, T + 1]``."""
    agent, nothing = len(types), len(types) + 1
    shown = [[k for k, t in enumerate(types) if t == plane] for plane in range(max(types) + 1)] + [[agent]]
    most = max(map(len, shown))
    return np.asarray([column + [nothing] * (most - len(column)) for column in shown]).T


def _uniform(key: jax.Array, count: int) -> jax.Array:
    """Numbers in [0, 1) that keep float32's relative precision near zero, float32 ``[count]``."""
    bits = jax.random.bits(key, (count,), jnp.uint32)
    return jnp.minimum(bits.astype(jnp.float32) * jnp.float32(2**-32), jnp.float32(1 - 2**-24))
