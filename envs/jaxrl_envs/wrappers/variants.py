"""Tasks that are alike in all that happens, and told apart by a number: for what is done with an episode afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl_envs.contract import Arms, Env, EnvStep
from jaxrl_envs.wrappers.around import also_alone, around


@struct.dataclass
class VariantParams:
    """Parameters of an environment in variants.

    Attributes:
        env: the environment's own.
        variant: int32, which one it is.
    """

    env: Any
    variant: jax.Array


@also_alone
def variants(env: Env, names: Sequence[str], told: str = "variant") -> Env:
    """A family of tasks in which the same happens: which of them an episode belongs to is in ``params.variant``, and in ``info``.

    Nobody who acts sees it. It is for whoever judges episodes, or learns from them, in one way or another, and has a curriculum
    choose which. The variants are the new environment's arms, in the place of those that it had; as text, ``variant=0,1`` goes with
    other parameters. `Env.sample_params` draws each as often.

    Args:
        env: the environment.
        names: of the variants.
        told: what ``info`` calls the number, int32.

    Raises:
        ValueError: there are no names, or one is none or there twice, or ``info`` has something called ``told`` already.
    """
    names = tuple(names)
    if not names or not all(isinstance(name, str) and name for name in names) or len({*names}) < len(names):
        raise ValueError(f"{env.name}: names is {list(names)}; it must be names of variants, none twice")
    draw, count = env.sample_params, len(names)

    def reset(key: jax.Array, params: VariantParams) -> tuple[Any, Any]:
        return env.reset(key, params.env)

    def step(key: jax.Array, state: Any, action: Any, params: VariantParams) -> EnvStep:
        out = env.step(key, state, action, params.env)
        if told in out.info:
            raise ValueError(f"{env.name}: told is {told!r}, which its info has already; call it otherwise")
        return out._replace(info={**out.info, told: params.variant})

    def of(key: jax.Array, variant: jax.Array) -> VariantParams:
        return VariantParams(env.params if draw is None else draw(key), variant)

    def sample(key: jax.Array) -> VariantParams:
        key_others, key_own = jax.random.split(key)
        return of(key_others, jax.random.randint(key_own, (), 0, count, jnp.int32))

    wrap = lambda inner: VariantParams(inner, jnp.zeros((), jnp.int32))
    changes: dict[str, Any] = {}
    if (edit := env.edit_params) is not None:
        changes["edit_params"] = lambda key, p: VariantParams(edit(key, p.env), p.variant)
    return around(env, reset, step, params=wrap, sample_params=sample, arms=Arms(names, of), **changes)


def tells(env: Env, name: str) -> bool:
    """Whether the steps of an environment have something of that name in ``info``; nothing is computed."""

    def info(key: jax.Array, action: Any) -> Any:
        return env.step(key, env.reset(key, env.params)[1], action, env.params).info

    spaces = jax.tree.map(lambda space: jax.ShapeDtypeStruct(space.shape, space.dtype), env.action_space)
    return name in jax.eval_shape(info, jax.eval_shape(lambda: jax.random.key(0)), spaces)
