"""Craftax and Craftax-Classic, symbolic and pixels.

Craftax merges death and its step limit into one flag. Here `terminated` is craftax's own game-over
rule asked with a limit out of reach (death, lava in Classic, the boss beaten in the full game), and
`truncated` is the limit alone. ``info["achievements"]`` is a bool array with one entry per
achievement, cumulative over the episode; `achievements` gives their names.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.contract import Env, EnvStep
from jaxrl_envs.keywords import reject_unknown
from jaxrl_envs.parameters import like_default, strong_params
from jaxrl_envs.spaces import Box, Discrete
from jaxrl_envs.stable import stabilise


class _Game(NamedTuple):
    package: str
    environment: str  # module and class of the variant that does not reset itself


_CLASSIC, _FULL = "craftax.craftax_classic", "craftax.craftax"
_GAMES = {
    "Craftax-Classic-Symbolic-v1": _Game(
        _CLASSIC, "envs.craftax_symbolic_env.CraftaxClassicSymbolicEnvNoAutoReset"
    ),
    "Craftax-Classic-Pixels-v1": _Game(
        _CLASSIC, "envs.craftax_pixels_env.CraftaxClassicPixelsEnvNoAutoReset"
    ),
    "Craftax-Symbolic-v1": _Game(_FULL, "envs.craftax_symbolic_env.CraftaxSymbolicEnvNoAutoReset"),
    "Craftax-Pixels-v1": _Game(_FULL, "envs.craftax_pixels_env.CraftaxPixelsEnvNoAutoReset"),
}
NAMES = tuple(_GAMES)
_NEVER = np.iinfo(np.int32).max


def make(name: str, **kwargs: Any) -> Env:
    """A craftax environment.

    Args:
        name: one of `NAMES`.
        **kwargs: fields of craftax's static parameters, fixed at compile time (``map_size=(16, 16)``,
            ``max_zombies=3``), or of its parameters, traced (``max_timesteps=1000``).

    Raises:
        ValueError: for an unknown option or a map that is no pair of whole numbers.
    """
    game = _GAMES[name]
    with contextlib.redirect_stdout(sys.stderr):  # craftax prints while it loads its textures
        module, _, cls = f"{game.package}.{game.environment}".rpartition(".")
        cls = getattr(importlib.import_module(module), cls)
        static = cls.default_static_params()
        fixed = [f.name for f in dataclasses.fields(static)]
        given = cls(static).default_params
        traced = [f.name for f in dataclasses.fields(given) if f.name != "fractal_noise_angles"]
        reject_unknown(f"craftax/{name}", kwargs, [*fixed, *traced])
        for option in [o for o in kwargs if o in fixed]:
            static = dataclasses.replace(static, **{option: _fixed(name, option, kwargs[option])})
        environment = cls(static)
    changes = {o: like_default(name, o, getattr(given, o), v) for o, v in kwargs.items() if o in traced}
    params = strong_params(name, dataclasses.replace(given, **changes))
    action_space = Discrete(int(environment.action_space(given).n))
    box = environment.observation_space(given)

    def step(key: jax.Array, state: Any, action: Any, params: Any) -> EnvStep:
        obs, state, reward, _, _ = environment.step_env(key, state, jnp.asarray(action, jnp.int32), params)
        endless = dataclasses.replace(params, max_timesteps=jnp.asarray(_NEVER, jnp.int32))
        return EnvStep(
            obs=obs,
            state=state,
            reward=reward,
            terminated=environment.is_terminal(state, endless),
            truncated=state.timestep >= params.max_timesteps,
            info={"achievements": state.achievements},
        )

    reset, step, obs = stabilise(f"craftax/{name}", environment.reset_env, step, params, action_space)
    space = Box(float(box.low), float(box.high), tuple(int(n) for n in box.shape), obs.dtype.name)
    return Env(
        f"craftax/{name}",
        reset,
        step,
        params,
        space,
        action_space,
        _renderer(game),
        metrics=("achievements",),
    )


def achievements(name: str) -> list[str]:
    """What each entry of ``info["achievements"]`` stands for, in lower case."""
    constants = importlib.import_module(f"{_GAMES[name.removeprefix('craftax/')].package}.constants")
    return [a.name.lower() for a in sorted(constants.Achievement, key=lambda a: a.value)]


def _fixed(name: str, option: str, value: Any) -> Any:
    """A static parameter: a whole number, or a pair of them for the map."""
    sizes = tuple(value) if option == "map_size" and isinstance(value, tuple | list) else (value,)
    whole = all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in sizes)
    if not whole or len(sizes) != (2 if option == "map_size" else 1):
        what = "a pair of whole numbers, e.g. (16, 16)" if option == "map_size" else "a whole number"
        raise ValueError(f"craftax/{name}: {option} is {value!r}; it must be {what}")
    return sizes if option == "map_size" else value


def _renderer(game: _Game) -> Callable[[Any, Any], np.ndarray]:
    compiled: list[Any] = []  # textures are loaded, and the renderer compiled, at the first frame

    def render(state: Any, params: Any) -> np.ndarray:
        if not compiled:
            with contextlib.redirect_stdout(sys.stderr):
                renderer = importlib.import_module(f"{game.package}.renderer")
                compiled.append(jax.jit(renderer.make_craftax_pixel_renderer(16)))
        return np.clip(np.asarray(compiled[0](state)), 0, 255).astype(np.uint8)

    return render
