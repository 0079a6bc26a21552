"""Make an environment's arrays keep their types: what `step` returns fits where `reset`'s went.

Suites return Python numbers, weakly typed arrays, an int counter from reset and a float one from
step. Each of these recompiles a jitted function or is refused as a scan carry. `stabilise` finds,
by abstract evaluation and once per environment, the dtypes at which reset and step agree, and casts.
It is the first tool for an adapter of one's own; those of this package are made with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxrl_envs.contract import EnvStep
from jaxrl_envs.spaces import Space


def strong(tree: Any) -> Any:
    """Every leaf as a strongly typed array (Python numbers become bool, int32 or float32)."""
    return jax.tree.map(lambda x: cast(x, jnp.asarray(x).dtype), tree)


def stabilise(
    name: str,
    reset: Callable[[jax.Array, Any], tuple[Any, Any]],
    step: Callable[[jax.Array, Any, Any, Any], EnvStep],
    params: Any,
    action_space: Space,
) -> tuple[Callable[..., tuple[Any, Any]], Callable[..., EnvStep], Any]:
    """Wrap `reset` and `step` so that observation, state and info have one type each, always strong.

    Args:
        name: for messages.
        reset: as in `Env`, with whatever types the suite produces.
        step: likewise.
        params: default parameters, strongly typed.
        action_space: gives the abstract action.

    Returns:
        ``(reset, step, observation)``, the last a pytree of `jax.ShapeDtypeStruct`.

    Raises:
        ValueError: if reset and step disagree in structure or shape.
    """
    key = jax.eval_shape(lambda: jax.random.key(0))
    action = jax.ShapeDtypeStruct(action_space.shape, action_space.dtype)
    obs, state = jax.eval_shape(reset, key, params)
    # Casting the state may promote what step computes from it, so repeat until nothing changes.
    for _ in range(4):
        out = jax.eval_shape(step, key, state, action, params)
        known, (obs, state) = (obs, state), _merge(name, (obs, state), (out.obs, out.state))
        if _dtypes(known) == _dtypes((obs, state)):
            break

    def typed_reset(key: jax.Array, params: Any) -> tuple[Any, Any]:
        return jax.tree.map(lambda x, like: cast(x, like.dtype), reset(key, params), (obs, state))

    def typed_step(key: jax.Array, state_: Any, action: Any, params: Any) -> EnvStep:
        out = step(key, state_, action, params)
        new_obs, new_state = jax.tree.map(
            lambda x, like: cast(x, like.dtype), (out.obs, out.state), (obs, state)
        )
        return EnvStep(
            obs=new_obs,
            state=new_state,
            reward=jnp.asarray(out.reward, jnp.float32).reshape(()),
            terminated=jnp.asarray(out.terminated, jnp.bool_).reshape(()),
            truncated=jnp.asarray(out.truncated, jnp.bool_).reshape(()),
            info=strong(out.info),
        )

    return typed_reset, typed_step, obs


def _dtypes(tree: Any) -> list[Any]:
    """Of the leaves alone: a suite's state may define what ``==`` means, elementwise for example."""
    return [leaf.dtype for leaf in jax.tree.leaves(tree)]


def cast(x: Any, dtype: Any) -> jax.Array:
    """`x` as a strongly typed array of `dtype`; random keys are left alone."""
    x = jnp.asarray(x)
    if jnp.issubdtype(dtype, jax.dtypes.prng_key):
        return x
    return jax.lax.convert_element_type(x, dtype)  # an explicit dtype also drops weak typing


def _merge(name: str, first: Any, second: Any) -> Any:
    """The common type of two abstract trees."""
    if jax.tree.structure(first) != jax.tree.structure(second):
        raise ValueError(
            f"{name}: reset and step return different structures: "
            f"{jax.tree.structure(first)} and {jax.tree.structure(second)}"
        )

    def common(path: Any, a: jax.ShapeDtypeStruct, b: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        if a.shape != b.shape:
            raise ValueError(
                f"{name}: {jax.tree_util.keystr(path)} has shape {a.shape} after reset, {b.shape} after step"
            )
        dtype = a.dtype if a.dtype == b.dtype else jnp.promote_types(a.dtype, b.dtype)
        return jax.ShapeDtypeStruct(a.shape, dtype)

    return jax.tree_util.tree_map_with_path(common, first, second)
