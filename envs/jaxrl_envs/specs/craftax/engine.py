"""The environment that interprets Craftax specs: our generator and start, craftax's own step and observation."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from craftax.craftax_classic.envs.craftax_state import EnvParams, StaticEnvParams
from craftax.craftax_classic.renderer import render_craftax_symbolic

from jaxrl_envs.adapters import craftax as adapter
from jaxrl_envs.contract import Env, EnvStep
from jaxrl_envs.specs.craftax.arrays import CraftaxParams
from jaxrl_envs.specs.craftax.encoding import encode
from jaxrl_envs.specs.craftax.model import SIZES, CraftaxSpec
from jaxrl_envs.specs.craftax.picture import render
from jaxrl_envs.specs.craftax.start import state_of
from jaxrl_envs.specs.craftax.world import keys_of, terrain
from jaxrl_envs.stable import cast

_AROUND = 0x5EED
"""Folded into the key of a reset: what is put around the agent is drawn apart from the map, which stays that of the key."""


def env_params_of(params: CraftaxParams) -> EnvParams:
    """What craftax's step reads of a spec; the time limit counts from where the day starts."""
    w = params.world
    made: Any = EnvParams  # whose fields are arrays here
    return made(
        max_timesteps=params.max_steps + params.start.time,
        day_length=w.day_length,
        always_diamond=params.terrain.always_diamond,
        zombie_health=w.zombie_health,
        cow_health=w.cow_health,
        skeleton_health=w.skeleton_health,
        mob_despawn_distance=w.despawn_distance,
        spawn_cow_chance=w.cow,
        spawn_zombie_base_chance=w.zombie,
        spawn_zombie_night_chance=w.zombie_night,
        spawn_skeleton_chance=w.skeleton,
    )


@functools.cache
def _base(side: int) -> tuple[Env, Any]:
    """Craftax-Classic on a map of this size, and the types of its state."""
    env = adapter.make("Craftax-Classic-Symbolic-v1", map_size=(side, side))
    _, state = jax.eval_shape(env.reset, jax.eval_shape(lambda: jax.random.key(0)), env.params)
    return env, state


def outcome(achievements: jax.Array, params: CraftaxParams) -> tuple[jax.Array, jax.Array]:
    """What an episode counts, and whether it is won.

    Args:
        achievements: cumulative, those from the start among them, bool ``[22]``.
        params: of the spec.

    Returns:
        Skills, bool ``[22]``, without those from the start; success, bool scalar. A named goal is never one from the start; where none is
        named all skills are goals, and those from the start are done.
    """
    return achievements & ~params.start.achieved, (achievements | ~params.goals).all()


def from_spec(spec: CraftaxSpec, name: str = "specs/own") -> Env:
    """The environment of one Craftax spec. It interprets every other of its size as well: `encode` gives their parameters.

    Actions and observations are those of ``craftax/Craftax-Classic-Symbolic-v1``. ``info`` has ``achievements``, bool ``[22]``, cumulative;
    ``skills``, those of them that were not achieved from the start; ``success``, whether all goals are done (`outcome`).

    Args:
        spec: as `Language.read` gives it.
        name: of the environment.
    """
    side, sizes = SIZES[spec.size], StaticEnvParams(map_size=(SIZES[spec.size], SIZES[spec.size]))
    base, like = _base(side)

    def reset(key: jax.Array, params: CraftaxParams) -> tuple[jax.Array, Any]:
        keys, cells = keys_of(key), jnp.arange(side, dtype=jnp.int32)
        distance = jnp.abs(cells - params.start.row)[:, None] + jnp.abs(cells - params.start.column)
        blocks = terrain(keys, params, distance)
        seed = jax.random.bits(jax.random.fold_in(key, _AROUND), (), jnp.uint32)
        state = state_of(seed, keys.state, params, blocks, distance, sizes, env_params_of(params))
        state = jax.tree.map(lambda x, kind: cast(x, kind.dtype), state, like)
        return render_craftax_symbolic(state).astype(jnp.float32), state

    def step(key: jax.Array, state: Any, action: Any, params: CraftaxParams) -> EnvStep:
        out = base.step(key, state, action, env_params_of(params))
        skills, success = outcome(out.info["achievements"], params)
        return out._replace(
            terminated=out.terminated | (params.ends_on_success & success),
            info={**out.info, "skills": skills, "success": success},
        )

    params = jax.tree.map(jnp.asarray, encode(spec))
    return Env(
        name,
        reset,
        step,
        params,
        base.observation_space,
        base.action_space,
        render=render,
        metrics=("success", "skills"),
    )
