"""Atari games by the protocol of Atari-100k, through ale-py.

An action is held for four frames; observations are the last four of its episode, the oldest first, grey, 84 x 84, each the brighter of
the last two frames pixel by pixel, averaged over areas. A game begins after 1 to 30 no-ops, and is cut off after 27,000 steps (108,000
frames). No action is repeated by chance. Rewards to learn from are the signs of the points; returns are reported in points.

A lost life ends an episode for the learner, and the same game goes on from there after a no-op, its stack of frames empty but for the
newest (Schwarzer et al. 2021). Returns and lengths are reported of whole games, and evaluation plays whole games.

`step` and `reset` are pure: the state holds the machine, see `jaxrl_envs.adapters.emulators`. The one callback of a step goes to the host.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.experimental.buffer_callback import buffer_callback

from jaxrl_envs import names
from jaxrl_envs.adapters import emulators
from jaxrl_envs.adapters.emulators import Stepped
from jaxrl_envs.contract import ENV_REWARD, GAME_OVER, Env, EnvStep, Stack
from jaxrl_envs.fusion import computed_once
from jaxrl_envs.keywords import reject_unknown
from jaxrl_envs.parameters import like_default, strong_params
from jaxrl_envs.spaces import Box, Discrete

NAMES = names.ATARI
SIZE = 84
FRAMES = 4
NOOPS = 30
STEPS = 27_000
_OPTIONS = ("lives", "clip", "full_actions", "noops", "max_steps_in_episode")
_DRAWN = 4  # pixels of a drawing for each of an observation


@struct.dataclass
class AtariParams:
    """Parameters of a game.

    Attributes:
        starts: saved states of new games, uint8 ``[starts, bytes]``, of which one is drawn.
        start_frames: what is seen of them, uint8 ``[starts, 84, 84]``.
        max_steps_in_episode: int32, steps until a game is cut off.
    """

    starts: jax.Array
    start_frames: jax.Array
    max_steps_in_episode: jax.Array


@struct.dataclass
class AtariState:
    """State of a game.

    Attributes:
        emulator: the machine, uint8 ``[bytes]``.
        frames: the observation, uint8 ``[84, 84, 4]``.
        time: steps in this game, int32.
        over: bool, the game is over.
    """

    emulator: jax.Array
    frames: jax.Array
    time: jax.Array
    over: jax.Array


def make(name: str, **kwargs: Any) -> Env:
    """An Atari game.

    Args:
        name: one of `NAMES`.
        **kwargs: ``lives`` (whether a lost life ends an episode for the learner, True), ``clip`` (whether the sign of the points
            is learned from, True), ``full_actions`` (whether all 18 actions may be taken instead of those that do something in
            the game, False), ``noops`` (the most no-ops that a game begins after, 30), ``max_steps_in_episode`` (27,000).

    Raises:
        ModuleNotFoundError: ale-py is not installed.
        ImportError: it is too old.
        ValueError: for an unknown option, or one of another kind.
    """
    title = f"atari/{name}"
    reject_unknown(title, kwargs, _OPTIONS)
    lives, clip, full = (
        _flag(title, kwargs, *o) for o in (("lives", True), ("clip", True), ("full_actions", False))
    )
    noops = kwargs.get("noops", NOOPS)
    if not isinstance(noops, int) or isinstance(noops, bool) or not 1 <= noops <= 1_000:
        raise ValueError(f"{title}: noops is {noops!r}; it must be a whole number from 1 to 1000")
    game = emulators.game(emulators.rom_name(name), full)
    states, screens = emulators.starts(game.rom, noops)
    limit = like_default(title, "max_steps_in_episode", STEPS, kwargs.get("max_steps_in_episode", STEPS))
    params = strong_params(title, AtariParams(jnp.asarray(states), shrink(jnp.asarray(screens)), limit))
    return Env(
        title,
        _reset,
        functools.partial(_step, _on_host(game), lives, clip),
        params,
        Box(0, 255, (SIZE, SIZE, FRAMES), "uint8"),
        Discrete(len(game.actions)),
        _render,
        restart=_restart if lives else None,
        stack=Stack(FRAMES, "zeros"),
    )


def _flag(title: str, kwargs: dict[str, Any], option: str, default: bool) -> bool:
    value = kwargs.get(option, default)
    if not isinstance(value, bool):
        raise ValueError(f"{title}: {option} is {value!r}; it must be True or False")
    return value


@functools.cache  # one function for each game, so that what was compiled with it is found again
def _on_host(game: emulators.Game) -> Any:
    shape = jax.ShapeDtypeStruct
    one = Stepped(
        shape((emulators.STATE,), jnp.uint8),
        shape((game.height, game.width), jnp.uint8),
        shape((), jnp.float32),
        shape((), jnp.int32),
        shape((), jnp.bool_),
        shape((), jnp.bool_),
    )
    advance = functools.partial(emulators.advance, game)

    def in_place(context: Any, out: Any, *given: Any) -> None:
        del context
        for held, new in zip(out, advance(*given), strict=True):
            np.asarray(held)[...] = new

    # On CPU `pure_callback` copies its arguments by the threads that execute programs. Where all of those wait in callbacks, as
    # on several devices with a dozen games each, it waits for ever.
    here = buffer_callback(in_place, one, vmap_method="broadcast_all")
    elsewhere = functools.partial(jax.pure_callback, advance, one, vmap_method="broadcast_all")
    return functools.partial(jax.lax.platform_dependent, cpu=here, default=elsewhere)


def _reset(key: jax.Array, params: AtariParams) -> tuple[jax.Array, AtariState]:
    start = computed_once(jax.random.randint(key, (), 0, params.starts.shape[0], jnp.int32))
    frames = _alone(params.start_frames[start])
    state = AtariState(params.starts[start], frames, jnp.zeros((), jnp.int32), jnp.zeros((), jnp.bool_))
    return frames, state


def _step(
    advance: Any,
    lives: bool,
    clip: bool,
    key: jax.Array,
    state: AtariState,
    action: jax.Array,
    params: AtariParams,
) -> EnvStep:
    del key
    seen = advance(state.emulator, jnp.asarray(action, jnp.int32), state.over)
    frame = computed_once(jnp.where(state.over, state.frames[..., -1], shrink(seen.screen)))
    frames = jnp.concatenate([state.frames[..., 1:], frame[..., None]], -1)
    after = AtariState(seen.emulator, frames, state.time + 1, seen.over)
    cut = after.time >= params.max_steps_in_episode
    return EnvStep(
        obs=frames,
        state=after,
        reward=jnp.sign(seen.reward) if clip else seen.reward,
        terminated=seen.over | seen.lost if lives else seen.over,
        truncated=cut,
        info={ENV_REWARD: seen.reward, GAME_OVER: seen.over | cut, "lives": seen.lives},
    )


def _restart(key: jax.Array, state: AtariState, params: AtariParams) -> tuple[jax.Array, AtariState]:
    """A new game after one that is over, or else the same, with nothing remembered."""
    fresh = _reset(key, params)
    alone = _alone(state.frames[..., -1])
    whole = state.over | (state.time >= params.max_steps_in_episode)
    return jax.tree.map(
        lambda a, b: jnp.where(whole, a, b), fresh, (alone, dataclasses.replace(state, frames=alone))
    )


def _alone(frame: jax.Array) -> jax.Array:
    """A stack that begins with a frame ``[84, 84]``."""
    return jnp.where(jnp.arange(FRAMES) == FRAMES - 1, frame[..., None], jnp.zeros((), jnp.uint8))


def shrink(screen: jax.Array) -> jax.Array:
    """Screens ``[..., height, width]`` as ``[..., 84, 84]``, uint8: means over areas, rounded, halves to the even number.

    Weights are whole numbers, so that sums are exact whatever their order.
    """
    rows, columns = (_weights(n) for n in screen.shape[-2:])
    lead, (height, width) = screen.shape[:-2], screen.shape[-2:]
    blocks = screen.astype(jnp.float32).reshape(
        *lead, height // rows.shape[1], rows.shape[1], width // columns.shape[1], columns.shape[1]
    )
    exact = jax.lax.Precision.HIGHEST
    sums = jnp.einsum("...aibj,ui,vj->...aubv", blocks, rows, columns, precision=exact)
    total = int(rows[0].sum() * columns[0].sum())
    sums = sums.reshape(*lead, SIZE, SIZE).astype(jnp.int32)
    whole, rest = sums // total, 2 * (sums % total)
    up = (rest > total) | ((rest == total) & (whole % 2 == 1))
    return (whole + up).astype(jnp.uint8)


@functools.cache
def _weights(length: int) -> np.ndarray:
    """Shares of ``length`` pixels in 84, of one of the blocks that repeat: whole numbers, float32 ``[out, in]``."""
    blocks = math.gcd(length, SIZE)
    out, wide = SIZE // blocks, length // blocks
    edges = lambda n, size: np.arange(n + 1) * size
    to, of = edges(out, wide), edges(wide, out)
    overlap = np.minimum(to[1:, None], of[None, 1:]) - np.maximum(to[:-1, None], of[None, :-1])
    return np.maximum(overlap, 0).astype(np.float32)


def _render(state: AtariState, params: AtariParams) -> np.ndarray:
    """The newest frame as the agent sees it, enlarged."""
    del params
    grey = np.asarray(state.frames[..., -1]).repeat(_DRAWN, 0).repeat(_DRAWN, 1)
    return np.stack([grey] * 3, -1)
