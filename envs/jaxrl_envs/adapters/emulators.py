"""Atari emulators on the host, used as a pure function: from a saved state and an action to the next saved state.

The Arcade Learning Environment (Bellemare et al. 2013) saves the whole machine in some 14 kB, to the bit, its random numbers
included. So a game is data, like any state: it is copied, vmapped, stored in a checkpoint and gone on with, by whichever emulator
is at hand, and no emulator has anything of its own that counts.

Of the machine only the console's switches are not saved. `reset_game` holds the reset switch for one frame more, so an emulator
plays a frame before it is used.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterator
from importlib import metadata
from typing import Any, NamedTuple

import numpy as np

OLDEST = (0, 12, 1)
"""The first version of ale-py whose states have been compared with uninterrupted games."""
FRAME_SKIP = 4
"""Frames that an action is held."""
STATE = 16_384
"""Bytes of a saved state: four for its length, the state, zeros."""
NOOP = 0

_idle: dict[str, list[Any]] = {}
"""Emulators by ROM that nobody uses at the moment."""


class Stepped(NamedTuple):
    """What came of one action; leading axes are those of the states.

    Attributes:
        emulator: saved states, uint8 ``[..., STATE]``.
        screen: greys of the last two frames, the brighter of each pixel, uint8 ``[..., height, width]``.
        reward: points, float32.
        lives: lives left, int32; 0 in games that have none.
        lost: bool, a life was lost and the game goes on.
        over: bool, the game is over.
    """

    emulator: Any
    screen: Any
    reward: Any
    lives: Any
    lost: Any
    over: Any


class Game(NamedTuple):
    """What is static of a game.

    Attributes:
        rom: name of its file.
        actions: codes of the emulator for the actions 0, 1, ….
        height: of the screen, pixels.
        width: likewise.
    """

    rom: str
    actions: tuple[int, ...]
    height: int
    width: int


def rom_name(game: str) -> str:
    """``ms_pacman`` for ``MsPacman``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", game).lower()


def check_versions(ale_py: str, numpy: str) -> None:
    """Refuse versions whose saved states are not known to be whole.

    Raises:
        ImportError: naming what to install.
    """
    number = lambda text: tuple(int(n) for n in re.findall(r"\d+", text)[:3])
    wanted = ".".join(map(str, OLDEST))
    if number(ale_py) < OLDEST:
        raise ImportError(
            f"ale-py is {ale_py}; it must be at least {wanted}: run `pip install 'jaxrl_evolve[atari]'`"
        )
    if number(numpy) < (2,):
        raise ImportError(
            f"numpy is {numpy}; ale-py needs at least 2: run `pip install 'jaxrl_evolve[atari]'`"
        )


@functools.cache
def ale() -> Any:
    """The module `ale_py`, told to be quiet.

    Raises:
        ModuleNotFoundError: it is not installed.
        ImportError: it is too old.
    """
    import ale_py  # pyright: ignore[reportMissingImports]

    check_versions(metadata.version("ale-py"), np.__version__)
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    return ale_py


@functools.cache
def game(rom: str, full_actions: bool) -> Game:
    """The game of a ROM.

    Args:
        rom: its name.
        full_actions: whether all 18 actions may be taken, instead of those that do something in this game.

    Raises:
        ValueError: ale-py has no such ROM.
    """
    with _borrowed(rom) as machine:
        actions = machine.getLegalActionSet() if full_actions else machine.getMinimalActionSet()
        return Game(rom, tuple(int(action.value) for action in actions), *machine.getScreenDims())


def starts(rom: str, noops: int) -> tuple[np.ndarray, np.ndarray]:
    """New games after 1, 2, … no-ops: saved states ``[noops, STATE]`` and screens ``[noops, height, width]``, as in `Stepped`."""
    states, screens = [], []
    with _borrowed(rom) as machine:
        machine.reset_game()
        before = machine.getScreenGrayscale()
        for _ in range(noops):
            machine.act(NOOP)
            now = machine.getScreenGrayscale()
            states.append(_saved(machine))
            screens.append(np.maximum(before, now))
            before = now
    return np.stack(states), np.stack(screens)


def advance(game: Game, emulator: Any, action: Any, over: Any) -> Stepped:
    """Hold an action for `FRAME_SKIP` frames in each of any number of games.

    After a lost life one no-op is played. What is over stays as it is, and its screen is black.

    Args:
        game: which game.
        emulator: saved states, uint8 ``[..., STATE]``.
        action: numbers of actions, ``[...]``.
        over: bool ``[...]``.
    """
    states, actions, ended = np.asarray(emulator), np.asarray(action), np.asarray(over)
    shape, flat = actions.shape, states.reshape(-1, STATE)
    screens = np.zeros((actions.size, game.height, game.width), np.uint8)
    rewards, lives = np.zeros(actions.size, np.float32), np.zeros(actions.size, np.int32)
    lost, over_now = np.zeros(actions.size, bool), ended.reshape(-1).copy()
    after = flat.copy()
    with _borrowed(game.rom) as machine:
        for i in np.flatnonzero(~over_now):
            _restore(machine, flat[i])
            rewards[i], lost[i] = _held(machine, game.actions[actions.flat[i]], screens[i])
            lives[i], over_now[i] = machine.lives(), machine.game_over(with_truncation=False)
            after[i] = _saved(machine)
    whole = (after, screens, rewards, lives, lost, over_now)
    return Stepped(*(x.reshape((*shape, *x.shape[1:])) for x in whole))


def _held(machine: Any, action: int, screen: np.ndarray) -> tuple[float, bool]:
    """Points, and whether a life was lost; writes the screen."""
    before, points = machine.lives(), 0.0
    for _ in range(FRAME_SKIP - 1):
        points += machine.act(action)
    frame = machine.getScreenGrayscale()
    points += machine.act(action)
    lost = 0 < machine.lives() < before and not machine.game_over(with_truncation=False)
    if lost:
        frame = machine.getScreenGrayscale()
        points += machine.act(NOOP)
    np.maximum(frame, machine.getScreenGrayscale(), out=screen)
    return points, lost


@contextlib.contextmanager
def _borrowed(rom: str) -> Iterator[Any]:
    """An emulator of a ROM for one call: devices call at the same time. Its state is whatever it was last used for.

    One whose call ends with an error is not used again.
    """
    idle = _idle.setdefault(rom, [])
    try:
        machine = idle.pop()
    except IndexError:
        machine = _new(rom)
    yield machine
    idle.append(machine)


def _new(rom: str) -> Any:
    ale_py = ale()
    if rom not in ale_py.roms.get_all_rom_ids():
        raise ValueError(f"ale-py {metadata.version('ale-py')} has no ROM {rom!r}")
    machine = ale_py.ALEInterface()
    machine.setInt("random_seed", 0)  # decides nothing: no action is repeated by chance
    machine.setFloat("repeat_action_probability", 0.0)
    machine.loadROM(ale_py.roms.get_rom_path(rom))
    machine.act(NOOP)  # lets go of the reset switch
    return machine


def _restore(machine: Any, state: np.ndarray) -> None:
    length = int(state[:4].view("<u4")[0])
    machine.restoreState(ale().ALEState(state[4 : 4 + length].tobytes()))


def _saved(machine: Any) -> np.ndarray:
    state = np.frombuffer(machine.cloneState(include_rng=True).serialize(), np.uint8)
    if state.size > STATE - 4:
        raise ValueError(f"a saved state has {state.size} bytes; at most {STATE - 4} are provided for")
    length = np.array([state.size], "<u4").view(np.uint8)
    return np.concatenate([length, state, np.zeros(STATE - 4 - state.size, np.uint8)])
