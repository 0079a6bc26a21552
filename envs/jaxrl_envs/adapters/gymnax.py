"""gymnax 1.x environments (classic control, MinAtar, bsuite, misc) and a user's own gymnax classes.

The adapter calls ``reset_env``, ``step_env`` and ``is_truncated``, never gymnax's own ``step``, which
resets by itself. Continuous actions are clipped to the action space here, because not every gymnax
environment does it. What gymnax computes is otherwise left as it is; where its declared observation
bounds are not what it returns, the bounds are corrected (`_BOUNDS`).
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.contract import Env, EnvStep
from jaxrl_envs.drawing import CLASSIC_CONTROL, board, maze
from jaxrl_envs.keywords import reject_unknown
from jaxrl_envs.names import GYMNAX as NAMES
from jaxrl_envs.parameters import like_default, strong_params
from jaxrl_envs.spaces import Box, Discrete, Space, bound_of
from jaxrl_envs.stable import stabilise

_INF = float("inf")
# Bounds of observations that leave the box gymnax declares, as (low, high) from (environment, params).
_BOUNDS: dict[str, Callable[[Any, Any], tuple[Any, Any]]] = {
    # The context is shown as -1 or 1.
    "MemoryChain-bsuite": lambda env, params: (-1.0, float(max(1, env.num_bits - 1))),
    # [last reward, one-hot action, time]: normalised time is measured by t_max, whatever the limit.
    "BernoulliBandit-misc": lambda env, params: (
        (0.0, 0.0, 0.0, -1.0),
        (1.0, 1.0, 1.0, max(1.0, float(params.max_steps_in_episode))),
    ),
    # [last reward, one-hot action, time]: rewards are Gaussian, normalised time starts at -1.
    "GaussianBandit-misc": lambda env, params: (
        (-_INF, 0.0, 0.0, -1.0),
        (_INF, 1.0, 1.0, max(1.0, float(params.max_steps_in_episode))),
    ),
    # [view, one-hot action, last reward, time]: the reward is a parameter, normalised time starts at -1.
    "MetaMaze-misc": lambda env, params: (
        (0.0,) * (env.rf_size**2 + env.num_actions) + (-_INF, -1.0),
        (1.0,) * (env.rf_size**2 + env.num_actions) + (_INF, max(3.0, float(params.max_steps_in_episode))),
    ),
}


def make(name: str, **kwargs: Any) -> Env:
    """A registered gymnax environment.

    Args:
        name: one of `NAMES`.
        **kwargs: arguments of the environment's class (``rows=10``) or fields of its parameters
            (``max_steps_in_episode=200``).

    Raises:
        ValueError: for a keyword that is neither.
    """
    import gymnax

    if name not in NAMES:
        raise ValueError(f"{name!r} is not a gymnax environment; see available('gymnax')")
    from gymnax.registration import _builtins  # the class, to read its arguments before making it

    arguments = [
        p.name
        for p in inspect.signature(_builtins[name]).parameters.values()
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    made = {k: v for k, v in kwargs.items() if k in arguments}
    environment, params = gymnax.make(name, **made)
    fields = [field.name for field in dataclasses.fields(params)]
    reject_unknown(name, kwargs, [*arguments, *fields])
    changes = {k: like_default(name, k, getattr(params, k), v) for k, v in kwargs.items() if k not in made}
    return from_gymnax(environment, dataclasses.replace(params, **changes), name=name)


def from_gymnax(
    environment: Any, params: Any = None, name: str | None = None, static: tuple[str, ...] = ()
) -> Env:
    """Adapt a gymnax 1.x ``Environment``, a registered one or your own.

    Args:
        environment: the gymnax object; its ``step_env`` must not include the time limit in its flag.
        params: its parameters; ``environment.default_params`` if None. Numbers become int32, float32 or
            bool arrays.
        name: defaults to the environment's own.
        static: parameter fields that must stay Python values, e.g. because they size an array. They
            are closed over and appear as None in ``Env.params``.

    Raises:
        TypeError: if the object is not a gymnax 1.x environment, or is in one of gymnax's wrappers.
        ValueError: for spaces other than Box and Discrete, a parameter that is no number, or reset and
            step that disagree in structure or shape.
    """
    for method in ("reset_env", "step_env", "is_truncated", "observation_space", "action_space"):
        if not hasattr(environment, method):
            raise TypeError(
                f"{type(environment).__name__} has no {method}; from_gymnax takes a gymnax >= 1.0 Environment"
            )
    # Its `step_env` is that of the environment inside: what the wrapper does would be left out in silence.
    if any(kind.__name__ == "GymnaxWrapper" for kind in type(environment).__mro__):
        raise TypeError(
            f"{environment.name} is in gymnax's {type(environment).__name__}, whose step is not called here; "
            "from_gymnax takes the bare environment, see jaxrl_envs.wrappers for its like"
        )
    name = str(environment.name if name is None else name)
    given = environment.default_params if params is None else params
    held = {field: getattr(given, field) for field in static}
    params = strong_params(name, dataclasses.replace(given, **dict.fromkeys(static)) if static else given)
    action_space = space_from_gymnax(environment.action_space(given), f"the action space of {name}")

    def full(params: Any) -> Any:
        return dataclasses.replace(params, **held) if held else params

    def reset(key: jax.Array, params: Any) -> tuple[Any, Any]:
        return environment.reset_env(key, full(params))

    def step(key: jax.Array, state: Any, action: Any, params: Any) -> EnvStep:
        params = full(params)
        obs, state, reward, terminated, info = environment.step_env(
            key, state, to_action_space(action, action_space), params
        )
        # gymnax's "discount" is the terminated flag once more.
        facts = {k: v for k, v in dict(info).items() if k != "discount"}
        return EnvStep(obs, state, reward, terminated, environment.is_truncated(state, params), facts)

    try:
        reset, step, obs = stabilise(name, reset, step, params, action_space)
    except TypeError as error:  # jax says so with one of two exceptions, both TypeErrors
        if "concrete value" not in str(error):
            raise
        raise ValueError(
            f"{name} needs the value of a parameter while tracing; name that field in from_gymnax(static=...)"
        ) from error
    if not isinstance(obs, jax.ShapeDtypeStruct):
        raise ValueError(f"{name} returns {jax.tree.structure(obs)} as observation; it must be one array")
    space = space_from_gymnax(environment.observation_space(given), f"the observation space of {name}")
    if isinstance(space, Box):
        low, high = _BOUNDS[name](environment, given) if name in _BOUNDS else (space.low, space.high)
        # Where gymnax's space and array disagree in kind (FourRooms, Catch), floating point wins.
        floating = np.issubdtype(obs.dtype, np.floating) or np.issubdtype(space.dtype, np.floating)
        space = Box(low, high, space.shape, "float32" if floating else space.dtype_name)
    if space.shape != obs.shape:
        raise ValueError(f"{name} returns observations of shape {obs.shape}; its space says {space.shape}")
    reset, step = _with_obs_dtype(reset, step, space.dtype)
    return Env(name, reset, step, params, space, action_space, _renderer(environment, name, space))


def _renderer(environment: Any, name: str, space: Space) -> Callable[[Any, Any], np.ndarray] | None:
    """A drawing of the classic control tasks, of mazes, and of observations that are boards of cells."""
    if name in CLASSIC_CONTROL:
        return CLASSIC_CONTROL[name]
    if hasattr(environment, "occupied_map"):
        return lambda state, params: maze(
            np.asarray(environment.occupied_map), np.asarray(state.pos), np.asarray(state.goal)
        )
    if isinstance(space, Box) and len(space.shape) in (2, 3):
        key = jax.random.key(0)
        return lambda state, params: board(np.asarray(environment.observe(key, state, None, params)))
    return None


def to_action_space(action: Any, space: Space) -> jax.Array:
    """An action in the space's dtype; continuous ones are clipped to its bounds."""
    action = jnp.asarray(action, space.dtype).reshape(space.shape)
    if isinstance(space, Box):
        action = jnp.clip(action, space.bound("low"), space.bound("high"))
    return action


def space_from_gymnax(space: Any, what: str) -> Space:
    """A gymnax Box or Discrete as ours; bounds of float32's largest number mean unbounded."""
    kind = type(space).__name__
    if kind == "Discrete":
        return Discrete(int(space.n))
    if kind != "Box":
        raise ValueError(f"{what} is a {kind}; jaxrl_envs knows Box and Discrete (return one array)")
    shape = tuple(int(n) for n in np.atleast_1d(space.shape)) if np.size(space.shape) else ()
    return Box(_bound(space.low, shape), _bound(space.high, shape), shape, np.dtype(space.dtype).name)


def _bound(value: Any, shape: tuple[int, ...]) -> float | tuple[float, ...]:
    array = np.broadcast_to(np.asarray(value, np.float64), shape).reshape(-1)
    return bound_of(np.where(np.abs(array) >= np.finfo(np.float32).max, np.copysign(np.inf, array), array))


def _with_obs_dtype(reset: Any, step: Any, dtype: np.dtype) -> tuple[Any, Any]:
    def typed_reset(key: jax.Array, params: Any) -> tuple[Any, Any]:
        obs, state = reset(key, params)
        return jax.lax.convert_element_type(obs, dtype), state

    def typed_step(key: jax.Array, state: Any, action: Any, params: Any) -> EnvStep:
        out = step(key, state, action, params)
        return out._replace(obs=jax.lax.convert_element_type(out.obs, dtype))

    return typed_reset, typed_step


def registered() -> Mapping[str, Any]:
    """gymnax's own table of classes, for the test that `NAMES` is complete."""
    from gymnax.registration import _builtins

    return _builtins
