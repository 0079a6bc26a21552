"""What every wrapper has to do besides its own: pass on what the environment inside knows of its state and parameters."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.contract import NO_STACK, Env, EnvStep

P = ParamSpec("P")


def also_alone(wrapper: Callable[Concatenate[Env, P], Env]) -> Callable[Concatenate[Env, P], Env]:
    """A wrapper that also goes around the same environment without its teacher, if it has one (`Env.alone`).

    Whoever wraps what agents train in wraps what they are evaluated in: else they would be shown other observations there, of
    other parameters, or have their teacher answer in tests as well.
    """

    @functools.wraps(wrapper)
    def both(env: Env, *args: P.args, **kwargs: P.kwargs) -> Env:
        made = wrapper(env, *args, **kwargs)
        return (
            made if env.alone is None else dataclasses.replace(made, alone=both(env.alone, *args, **kwargs))
        )

    return both


def around(
    env: Env,
    reset: Callable[[jax.Array, Any], tuple[Any, Any]],
    step: Callable[[jax.Array, Any, Any, Any], EnvStep],
    *,
    stateful: bool = False,
    params: Callable[[Any], Any] | None = None,
    **changes: Any,
) -> Env:
    """``env`` with other functions, and no `Env.alone`: a wrapper is decorated with `also_alone`, which makes that.

    Args:
        env: the environment inside.
        reset: as in `Env`, of the whole.
        step: likewise.
        stateful: whether the new state holds that of ``env`` as ``state.env`` (else it is the same).
        params: makes the new parameters, which hold those of ``env`` as ``params.env``; None if they are the same.
        **changes: other fields of the `Env`.

    Raises:
        ValueError: ``env`` goes on in its own state after an end (`Env.restart`), where the wrapper has a state or other
            observations that would have to begin anew.
    """
    if env.restart is not None and (stateful or "observation_space" in changes):
        raise ValueError(
            f"{env.name}: a game goes on after an end that is learned from, such as a lost life, which this wrapper cannot "
            "follow; make it so that only games end (atari: lives=False)"
        )
    inner_state = (lambda state: state.env) if stateful else (lambda state: state)
    inner = (lambda p: p) if params is None else (lambda p: p.env)
    made: dict[str, Any] = {"reset": reset, "step": step, "alone": None}
    if "observation_space" in changes:
        made["stack"] = NO_STACK  # whatever stacks there were are not the last axis any more
    render, draw, best, arms = env.render, env.sample_params, env.optimal_return, env.arms
    edit, can, build = env.edit_params, env.solvable, env.builder
    if render is not None:
        made["render"] = lambda state, p: render(inner_state(state), inner(p))
    if (restart := env.restart) is not None:
        made["restart"] = lambda key, state, p: restart(key, state, inner(p))
    if params is not None:
        made["params"] = params(env.params)
        if draw is not None:
            made["sample_params"] = lambda key: params(draw(key))
        if best is not None:
            made["optimal_return"] = lambda p: best(p.env)
        if edit is not None:
            made["edit_params"] = lambda key, p: params(edit(key, p.env))
        if can is not None:
            made["solvable"] = lambda p: can(p.env)
        if arms is not None:
            made["arms"] = arms._replace(sample=lambda key, arm: params(arms.sample(key, arm)))
        if (most := env.longest) is not None:
            made["longest"] = lambda p: most(p.env)
        if (allowed := env.check_params) is not None:
            made["check_params"] = lambda p: allowed(p.env)
        if build is not None:
            made["builder"] = build._replace(level=lambda state: params(build.level(state)))
    return dataclasses.replace(env, **made | changes)


def number(env: Env, what: str, value: Any, low: float = -np.inf, high: float = np.inf) -> jax.Array:
    """``value`` as a float32 scalar.

    Raises:
        ValueError: unless it is a finite number from ``low`` to ``high``.
    """
    kind = np.asarray(value).dtype.kind
    if (
        kind not in "iuf"
        or np.shape(value)
        or not abs(value) <= np.finfo(np.float32).max
        or not low <= value <= high
    ):
        allowed = "a finite number" if np.isinf(low) else f"a number from {low:g} to {high:g}"
        raise ValueError(f"{env.name}: {what} is {value!r}; it must be {allowed}")
    return jnp.asarray(value, jnp.float32)


def interval(env: Env, low: Any, high: Any) -> tuple[jax.Array, jax.Array]:
    """Both as float32 scalars.

    Raises:
        ValueError: unless they are finite numbers, ``low`` below ``high``.
    """
    ends = number(env, "low", low), number(env, "high", high)
    if not ends[0] < ends[1]:
        raise ValueError(f"{env.name}: low is {low!r}; it must be below high, which is {high!r}")
    return ends


def count(env: Env, what: str, value: Any) -> int:
    """``value`` itself.

    Raises:
        ValueError: unless it is a whole number of at least 1 that int32 holds.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 2**31:
        raise ValueError(f"{env.name}: {what} is {value!r}; it must be a whole number of at least 1")
    return value
