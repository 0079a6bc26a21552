"""An environment whose episodes edit the terrain of a grid spec, number by number, for an agent that is to make levels.

After PCGRL (Khalifa et al. 2020, arXiv 2001.09212), which edits tiles: here the agent edits the numbers of the terrain programme (how
many of a type are strewn, where a rectangle lies), so what it leaves is a spec like any other. It is paid for what an edit makes better:

    loss = 4 (1 - sound) + |way - wanted| / 4

``sound`` is the share of starts in which all that success needs is within reach, ``way`` the mean over starts of the shortest ways
from the agent to the nearest of each needed type, added up, and ``wanted`` the length that is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxrl_envs.contract import Env, EnvStep
from jaxrl_envs.spaces import Box, Discrete
from jaxrl_envs.specs.arrays import SLOTS, GridParams
from jaxrl_envs.specs.caps import PRESETS
from jaxrl_envs.specs.cells import beside, cell_at
from jaxrl_envs.specs.encoding import params_of
from jaxrl_envs.specs.engine import GridState, engine
from jaxrl_envs.specs.instructions import Span
from jaxrl_envs.specs.model import GridSpec
from jaxrl_envs.specs.trials import Wanted, at_hand, wanted_of

MOST = 16
"""Numbers of a spec that can be edited, at most; the first so many of its terrain."""
_LENGTH, _SOUND = 4.0, 4.0
_FARTHEST = 32.0  # a way that counts as 1 in observations


@struct.dataclass
class Editing:
    """What is edited, and for what: the parameters of the environment.

    Attributes:
        base: the spec.
        wanted: what its success needs, and what the agent gets past.
        row, column: where each number stands in the table of the terrain, int32 ``[16]``; the row is -1 where there is no more.
        low, high: its bounds, int32 ``[16]``.
        numbers: that an episode begins with, int32 ``[16]``.
        drawn: share of them that is drawn anew within the bounds at a reset, float32.
        shortest, longest: between which the wanted way is drawn, float32.
    """

    base: GridParams
    wanted: Wanted
    row: jax.Array
    column: jax.Array
    low: jax.Array
    high: jax.Array
    numbers: jax.Array
    drawn: jax.Array
    shortest: jax.Array
    longest: jax.Array


@struct.dataclass
class Edited:
    """Where an episode is: the numbers, the wanted way, what was measured (``sound``, ``way``, ``loss``), the key of the starts, the time."""

    numbers: jax.Array
    wanted: jax.Array
    sound: jax.Array
    way: jax.Array
    loss: jax.Array
    key: jax.Array
    time: jax.Array


def editable(spec: GridSpec, bounds: Mapping[tuple[str, str], tuple[int, int]]) -> list[tuple[int, str]]:
    """Numbers that can be edited: the place of the instruction, and the name of the number.

    Args:
        spec: whose terrain.
        bounds: of numbers by type and name, such as ``{("tree", "count"): (2, 8)}``; what has none, or is a range, stays as it is.
    """
    found = [
        (i, slot)
        for i, step in enumerate(spec.terrain)
        for slot in SLOTS[step.op]
        if (step.type, slot) in bounds and not isinstance(getattr(step, slot), Span)
    ]
    return found[:MOST]


def editing_of(
    spec: GridSpec,
    bounds: Mapping[tuple[str, str], tuple[int, int]],
    shortest: float,
    longest: float,
    drawn: float = 1.0,
) -> Editing:
    """The parameters for a spec.

    Args:
        spec: what is edited.
        bounds: as of `editable`.
        shortest: the least way that is asked for.
        longest: the most.
        drawn: share of the numbers that a reset draws anew.

    Raises:
        ValueError: nothing in it can be edited.
    """
    places = editable(spec, bounds)
    if not places:
        raise ValueError("bounds has no number of the spec's terrain; there must be at least one")
    table = np.zeros((5, MOST), np.int32)
    table[0] = -1
    for n, (i, slot) in enumerate(places):
        step = spec.terrain[i]
        low, high = bounds[step.type, slot]
        table[:, n] = i, SLOTS[step.op].index(slot), low, high, np.clip(getattr(step, slot), low, high)
    share, least, most = (jnp.float32(x) for x in (drawn, shortest, longest))
    row, column, lowest, highest, numbers = jnp.asarray(table)
    base, wanted = params_of(spec), jax.tree.map(jnp.asarray, wanted_of(spec))
    return Editing(base, wanted, row, column, lowest, highest, numbers, share, least, most)


def way(state: GridState, params: GridParams, wanted: Wanted) -> tuple[jax.Array, jax.Array]:
    """Of one start whether all that is needed is within reach, bool, and the steps until the nearest of each needed type is, added up, int32."""
    side = state.grid.shape[0]
    walked = wanted.passable[state.grid]
    there = at_hand(state.grid, state.ground, wanted.reach)

    def more(carry: Any) -> jax.Array:
        return carry[3]

    def once(carry: Any) -> Any:
        found, steps, time, _ = carry
        steps = jnp.minimum(steps, jnp.where((there & found).any((1, 2)), time, side * side))
        wider = found | (walked & beside(found))
        return wider, steps, time + 1, (wider != found).any()

    start = cell_at(side, state.row, state.column)
    far = jnp.full((wanted.needed.size,), side * side, jnp.int32)
    _, steps, _, _ = jax.lax.while_loop(more, once, (start, far, jnp.int32(0), jnp.bool_(True)))
    reached = steps < side * side
    return (~wanted.needed | reached).all(), jnp.where(wanted.needed & reached, steps, 0).sum()


def editor(params: Editing, size: str = "small", edits: int = 24, starts: int = 4) -> Env:
    """The environment. An action does nothing (0), or adds one to a number (from 1 on) or takes one away (from 17 on).

    Args:
        params: as `editing_of` makes them; others of the size can be put in their place.
        size: a preset.
        edits: steps of an episode.
        starts: of the edited spec that are looked at after each.
    """
    made = engine(PRESETS[size], PRESETS[size].view)

    def measured(
        numbers: jax.Array, wanted: jax.Array, key: jax.Array, p: Editing
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        grid = with_numbers(numbers, p)
        _, begun = jax.vmap(made.reset, (0, None))(jax.random.split(key, starts), grid)
        sound, length = jax.vmap(way, (0, None, None))(begun, grid, p.wanted)
        share, mean = sound.astype(jnp.float32).mean(), length.astype(jnp.float32).mean()
        return share, mean, _SOUND * (1.0 - share) + jnp.abs(mean - wanted) / _LENGTH

    def observed(state: Edited, p: Editing) -> jax.Array:
        span = jnp.maximum(p.high - p.low, 1)
        place = jnp.where(p.row >= 0, (state.numbers - p.low) / span, 0.0)
        apart = (state.way - state.wanted) / _FARTHEST
        rest = [state.sound, state.way / _FARTHEST, state.wanted / _FARTHEST, apart, state.time / edits]
        return jnp.concatenate([place, jnp.stack(rest)]).astype(jnp.float32)

    def reset(key: jax.Array, p: Editing) -> tuple[jax.Array, Edited]:
        key_which, key_what, key_way, key_starts = jax.random.split(key, 4)
        anew = jax.random.uniform(key_which, (MOST,)) < p.drawn
        numbers = jnp.where(anew, jax.random.randint(key_what, (MOST,), p.low, p.high + 1), p.numbers)
        wanted = jax.random.uniform(key_way, (), minval=p.shortest, maxval=p.longest)
        sound, length, loss = measured(numbers, wanted, key_starts, p)
        state = Edited(numbers, wanted, sound, length, loss, key_starts, jnp.int32(0))
        return observed(state, p), state

    def step(key: jax.Array, state: Edited, action: jax.Array, p: Editing) -> EnvStep:
        del key  # an episode keeps its starts, so that what an edit does is not hidden by luck
        place = jnp.arange(MOST)
        change = (place == action - 1).astype(jnp.int32) - (place == action - 1 - MOST).astype(jnp.int32)
        numbers = jnp.clip(state.numbers + change, p.low, p.high)
        sound, length, loss = measured(numbers, state.wanted, state.key, p)
        after = Edited(numbers, state.wanted, sound, length, loss, state.key, state.time + 1)
        info = {"sound": after.sound, "way": after.way, "loss": after.loss}
        over = after.time >= edits
        return EnvStep(observed(after, p), after, state.loss - after.loss, jnp.bool_(False), over, info)

    space = Box(-jnp.inf, jnp.inf, (MOST + 5,))
    metrics = ("sound", "way", "loss")
    return Env("specs/editor", reset, step, params, space, Discrete(2 * MOST + 1), metrics=metrics)


def with_numbers(numbers: jax.Array, params: Editing) -> GridParams:
    """The spec with these numbers in its terrain."""
    terrain = params.base.terrain
    rows = jnp.where(params.row < 0, terrain.low.shape[0], params.row)  # beyond the table: dropped
    put = lambda old: old.at[rows, params.column].set(numbers.astype(old.dtype), mode="drop")
    return replace(params.base, terrain=replace(terrain, low=put(terrain.low), high=put(terrain.high)))


def edited_data(data: dict[str, Any], places: list[tuple[int, str]], numbers: Any) -> dict[str, Any]:
    """JSON data of a spec with other numbers, changed in place.

    Args:
        data: as `Language.write` gives it.
        places: as `editable` gives them.
        numbers: int ``[16]``.
    """
    for (i, slot), number in zip(places, np.asarray(numbers), strict=False):
        data["terrain"][i][slot] = int(number)
    return data
