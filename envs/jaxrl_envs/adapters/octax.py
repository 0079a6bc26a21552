"""Arcade games of the 1970s to today on octax's CHIP-8 machine: 64 x 32 black and white pixels, all inside one compiled program.

One step presses a key for `frame_skip` frames, or none (the last action), and shows those frames as the channels of the observation, the
newest last. Every episode of a game starts from the same state of the machine: only its random numbers differ, and with them what the game
draws after the start. ``terminated`` is octax's rule for the game, ``truncated`` the limit of steps alone.
"""

from __future__ import annotations

import contextlib
import importlib
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.contract import Env, EnvStep
from jaxrl_envs.keywords import reject_unknown
from jaxrl_envs.parameters import like_default, strong_params
from jaxrl_envs.spaces import Box, Discrete
from jaxrl_envs.stable import stabilise

_MACHINE = ("frame_skip", "instruction_frequency", "fps")  # whole numbers fixed at compile time


class OctaxParams(NamedTuple):
    """What may differ between episodes of one program.

    Attributes:
        max_steps_in_episode: int32, steps after which an episode is cut off; octax's own limit, five minutes of play.
    """

    max_steps_in_episode: Any = 4500


def make(name: str, **kwargs: Any) -> Env:
    """A game of octax.

    Args:
        name: one of `jaxrl_envs.names.OCTAX`; a number at its end is the level.
        **kwargs: ``frame_skip=4`` frames a step, ``instruction_frequency=700`` instructions and ``fps=60`` frames a second,
            all static, or ``max_steps_in_episode=4500``, traced.

    Returns:
        The environment: observations bool ``[32, 64, frame_skip]``, an action for each key of the game and one for none.

    Raises:
        ValueError: for an unknown option, or one that is no whole number of at least 1.
    """
    reject_unknown(f"octax/{name}", kwargs, [*_MACHINE, *OctaxParams._fields])
    machine = {option: _whole(name, option, kwargs[option]) for option in _MACHINE if option in kwargs}
    create = importlib.import_module("octax.environments").create_environment
    with _writing_bytes():
        game, _ = create(name, render_mode="rgb_array", **machine)
    if game.instructions_per_step < 1:
        raise ValueError(
            f"octax/{name}: instruction_frequency is {game.instruction_frequency}; it must be at least fps, {game.fps}"
        )
    default = OctaxParams()
    changes = {
        o: like_default(name, o, getattr(default, o), v) for o, v in kwargs.items() if o not in machine
    }
    params = strong_params(name, default._replace(**changes))

    def reset(key: jax.Array, params: Any) -> tuple[Any, Any]:
        state, frames, _ = game.reset(key)
        return _image(frames), state

    def step(key: jax.Array, state: Any, action: Any, params: Any) -> EnvStep:
        with _writing_bytes():
            state, frames, reward, terminated, _, info = game.step(state, jnp.asarray(action, jnp.int32))
        truncated = state.time >= params.max_steps_in_episode
        return EnvStep(_image(frames), state, reward, terminated, truncated, info)

    space = Box(0.0, 1.0, (32, 64, game.frame_skip), "bool")
    actions = Discrete(int(game.num_actions))
    reset, step, _ = stabilise(f"octax/{name}", reset, step, params, actions)
    return Env(f"octax/{name}", reset, step, params, space, actions, _renderer(game))


@contextlib.contextmanager
def _writing_bytes() -> Iterator[None]:
    """Without jax's warning that octax writes wider numbers into the machine's bytes, as CHIP-8 means it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "scatter inputs have incompatible types", FutureWarning)
        yield


def _image(frames: jax.Array) -> jax.Array:
    """Frames ``[frame_skip, 64, 32]``, across first, as an image with a channel for each."""
    return jnp.transpose(frames, (2, 1, 0))


def _whole(name: str, option: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"octax/{name}: {option} is {value!r}; it must be a whole number of at least 1")
    return value


def _renderer(game: Any) -> Any:
    def render(state: Any, params: Any) -> np.ndarray:
        return np.asarray(game.render(state), np.uint8)

    return render
