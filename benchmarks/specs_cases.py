"""What `specs` times: grid specs as large as rulesets of XLand-MiniGrid, and programs that play them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xland_rulesets as rulesets
from timing import Timed

from jaxrl_envs import Env
from jaxrl_envs.specs import language
from jaxrl_envs.specs.arrays import GridParams
from jaxrl_envs.specs.encoding import params_of
from jaxrl_envs.specs.engine import actions_of
from jaxrl_envs.specs.environments import from_params
from jaxrl_envs.specs.model import GridSpec
from jaxrl_envs.specs.xland import translate
from jaxrl_envs.vector import FullResets, vectorize

GRID = language("grid")
SIZE = "medium"
AT_ONCE = 8
"""Starts are made in rounds of so many, for slots whose episodes ended, as presets and `generate` have them."""


def likeness(ruleset: rulesets.Ruleset) -> GridSpec:
    """A spec as large as a ruleset: its map, things, start, goal, time limit, and a rule for each of its own.

    No translation, which `jaxrl_envs.specs.xland` is: a walker has no turning and no putting down, and its rules no order and no directions, so what is held changes
    at once, and two things react wherever they lie beside each other. A goal that two things lie so
    asks to hold one of them, or it might be won at the start. A step does as much, of another game.
    """
    rows = np.concatenate([ruleset.rules[:, 1:].reshape(-1, 2), ruleset.init_tiles])
    pairs = sorted({(int(tile), int(colour)) for tile, colour in rows if tile})
    named = lambda tile, colour: f"t{int(tile)}-{int(colour)}"
    on_map = [named(*row) for row in ruleset.init_tiles if row[0]]
    kind, of = ruleset.goal[0], named(*ruleset.goal[1:3])
    goals = {
        rulesets.GOALS_HOLD: {"kind": "holds", "of": of},
        rulesets.GOALS_NEAR_AGENT: {"kind": "near", "of": of, "number": 1},
        rulesets.GOALS_NEAR: {"kind": "holds", "of": of},
    }
    goal = next(goal for kinds, goal in goals.items() if kind in kinds)
    inner = {"row": 1, "column": 1, "height": rulesets.SIDE - 2, "width": rulesets.SIDE - 2}
    return GRID.read(
        {
            "size": SIZE,
            "height": rulesets.SIDE,
            "width": rulesets.SIDE,
            "time_limit": rulesets.MAX_STEPS,
            "types": [{"name": "wall"}, *({"name": named(*p), "pickable": True} for p in pairs)],
            "terrain": [
                {"op": "border", "type": "wall"},
                *({"op": "scatter", "type": name, "count": on_map.count(name)} for name in sorted({*on_map})),
            ],
            "agent": {"region": inner},
            "rules": [_rule(row, named) for row in ruleset.rules],
            "predicates": [{"name": "goal", **goal}],
            "success": [{"all": ["goal"]}],
        }
    )


def _rule(row: np.ndarray, named: Any) -> dict[str, Any]:
    kind, first, second, third = row[0], named(*row[1:3]), named(*row[3:5]), named(*row[5:7])
    if kind == rulesets.HOLD:
        changes = [{"item": first, "count": -1}, {"item": second, "count": 1}]
        return {"when": "held", "of": first, "changes": changes}
    if kind == rulesets.NEAR_AGENT or kind in rulesets.DIRECTED_NEAR_AGENT:
        return {"when": "adjacent", "of": first, "becomes": second}
    return {"when": "adjacent", "of": second, "by": first, "becomes": third}


def likenesses(count: int) -> list[GridParams]:
    """Parameters of so many."""
    drawn = rulesets.many(count)
    rows = (rulesets.Ruleset(*(leaf[i] for leaf in drawn)) for i in range(count))
    return [params_of(likeness(ruleset), SIZE) for ruleset in rows]


def translations(count: int) -> list[GridParams]:
    """Parameters of so many rulesets themselves, for the agent that carries."""
    drawn = rulesets.many(count)
    rows = (rulesets.Ruleset(*(leaf[i] for leaf in drawn)) for i in range(count))
    return [params_of(translate(*row, height=rulesets.SIDE, width=rulesets.SIDE), SIZE) for row in rows]


def slots(specs: list[GridParams], batch: int) -> GridParams:
    """Parameters ``[batch]``: the specs again and again."""
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *specs)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf[np.arange(batch) % len(specs)]), stacked)


def environment(params: GridParams) -> Env:
    """That interprets specs of the size, and sees as many cells as XLand-MiniGrid's agent."""
    return from_params(params, "specs/likeness", SIZE, rulesets.VIEW)


def playing(params: GridParams, batch: int, steps: int, folded: bool = False) -> Timed:
    """So many steps of random actions in every slot, ended episodes begun anew at once; the slots begin at times of their own, as they are
    in a long run, so that no two calls have unlike shares of starts.

    Args:
        params: of slots, ``[batch]``; of one spec if it is folded in.
        batch: slots.
        steps: of each.
        folded: whether the spec is a constant of the program.
    """
    env, actions = environment(params), len(actions_of(params))
    vector = vectorize(env, batch, FullResets(at_once=AT_ONCE), params_per_slot=not folded)

    def run(state: Any, key: jax.Array, params: GridParams) -> Any:
        def once(i: jax.Array, carry: Any) -> Any:
            state, total = carry
            key_act, key_step = jax.random.split(jax.random.fold_in(key, i))
            action = jax.random.randint(key_act, (batch,), 0, actions, jnp.int32)
            state, seen = vector.step(key_step, state, action, params)
            return state, total + seen.reward.sum() + state.obs.sum()

        return jax.lax.fori_loop(0, steps, once, (state, jnp.float32(0)))

    if folded:
        loop = jax.jit(lambda state, key: run(state, key, params), donate_argnums=0)
        state = jax.jit(lambda key: vector.reset(key, params))(jax.random.key(0))
    else:
        whole = jax.jit(run, donate_argnums=0)
        loop = lambda state, key: whole(state, key, params)
        state = jax.jit(vector.reset)(jax.random.key(0), params)
    times = jnp.asarray(np.random.default_rng(0).integers(0, rulesets.MAX_STEPS, batch), jnp.int32)
    state = state._replace(env=state.env.replace(time=times))
    return Timed(lambda state: loop(state, jax.random.key(1))[0], state)
