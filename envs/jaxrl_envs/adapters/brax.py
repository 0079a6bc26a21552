"""Brax environments on any of brax's physics backends.

Brax's own wrappers merge the time limit into ``done``, restart every episode from one cached first
state, and change dictionaries in place. None of them is used: this adapter counts the steps itself,
keeps the physics' flag as `terminated`, and resets afresh; an environment that comes wrapped is refused.
Actions are clipped to their range here, because brax's physics does not clip them all.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import io
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxrl_envs.adapters.brax_bodies import editor, own_bodies, ranges_of, sampler, with_bodies
from jaxrl_envs.adapters.brax_wrapped import refuse_wrapped
from jaxrl_envs.contract import Env, EnvStep
from jaxrl_envs.drawing import bodies
from jaxrl_envs.keywords import reject_unknown
from jaxrl_envs.spaces import Box, bound_of
from jaxrl_envs.stable import cast, stabilise

BACKENDS = ("generalized", "spring", "positional", "mjx")


@struct.dataclass
class BraxParams:
    """What may vary between vmapped brax environments.

    Attributes:
        episode_length: int32, physics steps (environment steps times ``action_repeat``) until truncation.
    """

    episode_length: jax.Array


@struct.dataclass
class BraxState:
    """State of a brax environment.

    Attributes:
        brax: brax's own ``State``.
        time: int32, physics steps since reset.
    """

    brax: Any
    time: jax.Array


def make(
    name: str,
    backend: str | None = None,
    episode_length: int = 1000,
    action_repeat: int = 1,
    masses: Any = None,
    frictions: Any = None,
    **kwargs: Any,
) -> Env:
    """A brax environment.

    Args:
        name: one of `NAMES`.
        backend: one of `BACKENDS`; None takes the environment's default (``"generalized"``).
        episode_length: default of the time limit, in brax steps.
        action_repeat: brax steps per environment step; their rewards are summed up to a termination.
        masses: ``(low, high)``; tasks are then drawn, with a factor from this range for the mass of every link.
        frictions: likewise, one factor for all frictions.
        **kwargs: arguments of the brax class, e.g. ``reset_noise_scale=0.05``.

    Raises:
        ValueError: for an unknown option, or a backend that brax does not support for this environment.
    """
    if backend is not None and backend not in BACKENDS:
        raise ValueError(f"brax/{name}: backend is {backend!r}; it must be one of {', '.join(BACKENDS)}")
    for option, value in (("episode_length", episode_length), ("action_repeat", action_repeat)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"brax/{name}: {option} is {value!r}; it must be a whole number of at least 1")
    with quiet_brax():
        from brax import envs

        _repair_fluid()
        arguments = [p for p in inspect.signature(envs._envs[name]).parameters if p != "kwargs"]
        own = ("n_frames", "backend", "episode_length", "action_repeat", "masses", "frictions")
        reject_unknown(f"brax/{name}", kwargs, [*arguments, *own])
        chosen = {} if backend is None else {"backend": backend}
        try:
            environment = envs.get_environment(name, **kwargs, **chosen)
        except ValueError as error:
            raise ValueError(f"brax/{name} cannot be made with backend {backend!r}: {error}") from error
        sizes = (episode_length, action_repeat)
        return from_brax(environment, f"brax/{name}", *sizes, masses=masses, frictions=frictions)


def from_brax(
    environment: Any,
    name: str,
    episode_length: int = 1000,
    action_repeat: int = 1,
    action_range: tuple[Any, Any] = (-1.0, 1.0),
    masses: Any = None,
    frictions: Any = None,
) -> Env:
    """Adapt a bare (unwrapped) brax ``Env``, one of brax's or your own.

    Args:
        environment: has ``reset(key)``, ``step(state, action)`` and ``action_size``. A wrapper of your own around it is
            welcome as long as it neither resets, nor ends episodes by a time limit, nor batches.
        name: of the environment.
        episode_length: default of the time limit, in brax steps.
        action_repeat: brax steps per environment step; their rewards are summed up to a termination.
        action_range: the lowest and the highest action that ``environment.step`` takes, each a number or one per element.
            They are the bounds of ``action_space``, to which actions are clipped; `rescale_actions` maps them instead.
        masses: ``(low, high)``; tasks are then drawn (`Env.sample_params`), with a factor from this range for the mass of every link, and
            `Env.params` is a `brax_bodies.BodyParams`.
        frictions: likewise, one factor for all frictions.

    Returns:
        The environment. Where ``environment`` observes a dictionary, so does it: see `flatten_observations`.

    Raises:
        TypeError: if it is no brax environment.
        ValueError: if it is wrapped in what the adapter does itself, or if an option does not fit.
    """
    refuse_wrapped(environment, name)
    action_space = _action_space(name, int(environment.action_size), action_range)
    low, high = action_space.bound("low"), action_space.bound("high")
    ranges = ranges_of(name, environment, masses, frictions)
    limit = jnp.asarray(episode_length, jnp.int32)
    params: Any = BraxParams(limit) if ranges is None else own_bodies(environment, limit)
    bodily = lambda params: environment if ranges is None else with_bodies(environment, params)

    def reset(key: jax.Array, params: Any) -> tuple[Any, BraxState]:
        state = bodily(params).reset(key)
        return state.obs, BraxState(state, jnp.asarray(0, jnp.int32))

    def step(key: jax.Array, state: BraxState, action: Any, params: Any) -> EnvStep:
        action = jnp.clip(jnp.asarray(action, jnp.float32).reshape(action_space.shape), low, high)
        after, reward = _repeat(bodily(params), state.brax, action, action_repeat)
        time = state.time + action_repeat
        return EnvStep(
            obs=after.obs,
            state=BraxState(after, time),
            reward=reward,
            terminated=after.done > 0,
            truncated=time >= params.episode_length,
            info=dict(after.metrics),
        )

    reset, step, obs = stabilise(name, reset, step, params, action_space)
    space = jax.tree.map(lambda x: Box(-float("inf"), float("inf"), x.shape, x.dtype.name), obs)
    env = Env(name, reset, step, params, space, action_space, _renderer(environment, name))
    if ranges is None:
        return env
    return dataclasses.replace(env, sample_params=sampler(ranges, params), edit_params=editor(ranges))


def _action_space(name: str, size: int, action_range: tuple[Any, Any]) -> Box:
    if not isinstance(action_range, tuple | list) or len(action_range) != 2:
        raise ValueError(f"{name}: action_range is {action_range!r}; it must be the pair (low, high)")
    ends = [np.asarray(end) for end in action_range]
    fits = all(end.dtype.kind in "iuf" and end.shape in ((), (size,)) for end in ends)
    if not fits or not np.all(ends[0] < ends[1]):  # NaN is below nothing
        raise ValueError(
            f"{name}: action_range is {action_range!r}; low must be below high, each a number or {size} of them"
        )
    return Box(bound_of(ends[0]), bound_of(ends[1]), (size,))


# Seen from above instead of from the side: world units across, and whether the window follows.
_FROM_ABOVE = {"brax/reacher": (0.6, False), "brax/pusher": (3.0, False), "brax/swimmer": (6.0, True)}


def _renderer(environment: Any, name: str) -> Callable[[Any, Any], np.ndarray] | None:
    """Spheres and capsules projected to a plane: brax's own renderer needs OpenGL, this does not."""
    model = getattr(getattr(environment, "sys", None), "mj_model", None)
    if model is None:
        return None
    round_shapes = (2, 3, 5)  # mujoco's numbers for sphere, capsule and cylinder
    geoms = [g for g in range(model.ngeom) if model.geom_bodyid[g] > 0 and model.geom_type[g] in round_shapes]
    width, follow = _FROM_ABOVE.get(name, (5.0, True))

    def render(state: BraxState, params: BraxParams) -> np.ndarray:
        links = state.brax.pipeline_state.x
        position, rotation = np.asarray(links.pos), np.asarray(links.rot)
        capsules = []
        for g in geoms:
            link = model.geom_bodyid[g] - 1
            half = 0.0 if model.geom_type[g] == 2 else model.geom_size[g, 1]
            along = half * _rotate(model.geom_quat[g], np.array([0.0, 0.0, 1.0]))
            ends = [
                position[link] + _rotate(rotation[link], model.geom_pos[g] + side * along) for side in (-1, 1)
            ]
            capsules.append((ends[0], ends[1], float(model.geom_size[g, 0])))
        return bodies(capsules, (0, 1) if name in _FROM_ABOVE else (0, 2), width, follow)

    return render


def _rotate(quaternion: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """`vector` turned by a unit quaternion (w, x, y, z)."""
    w, axis = quaternion[0], np.asarray(quaternion[1:])
    return vector + 2 * np.cross(axis, np.cross(axis, vector) + w * vector)


def _repeat(environment: Any, state: Any, action: jax.Array, times: int) -> tuple[Any, jax.Array]:
    """The state after `times` brax steps, or after the first that terminates, and the rewards' sum."""

    def once(state: Any) -> Any:
        # Rebuilding the tree makes new dictionaries: brax environments write into the ones they get.
        return environment.step(jax.tree.map(lambda x: x, state), action)

    if times == 1:
        after = once(state)
        return after, jnp.asarray(after.reward, jnp.float32)  # the inverted pendulum pays a Python number

    def body(carry: tuple[Any, jax.Array, jax.Array], _: None) -> tuple[Any, None]:
        state, reward, ended = carry
        after = once(state)
        kept = jax.tree.map(lambda a, b: jnp.where(ended, a, cast(b, a.dtype)), state, after)
        reward = reward + jnp.where(ended, 0.0, after.reward)
        return (kept, reward, ended | (after.done > 0)), None

    start = (state, jnp.zeros((), jnp.float32), jnp.zeros((), jnp.bool_))
    (after, reward, _), _ = jax.lax.scan(body, start, None, times)
    return after, reward


@contextlib.contextmanager
def quiet_brax() -> Iterator[None]:
    """Keep brax's import from printing that warp is absent and warning that it is unmaintained."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Brax System", category=UserWarning)
            yield
    finally:
        lines = printed.getvalue().splitlines(keepends=True)
        sys.stdout.write("".join(line for line in lines if not line.startswith("Failed to import ")))


def _repair_fluid() -> None:
    """Let brax's fluid forces (swimmer) run where `jnp.clip` no longer takes ``a_min``."""
    from brax import fluid

    if fluid.jp is jnp and "a_min" not in inspect.signature(jnp.clip).parameters:

        def clip(x: Any, a_min: Any = None, a_max: Any = None) -> jax.Array:
            return jnp.clip(x, a_min, a_max)

        fluid.jp = types.SimpleNamespace(**{**vars(jnp), "clip": clip})
