"""Atari: frames against an emulator that nobody interrupts, the protocol, and states as data."""

from __future__ import annotations

import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_envs import Env, check_env, make, sticky_actions
from jaxrl_envs.adapters import atari, emulators
from jaxrl_envs.vector import vectorize

T, N = 150, 2


@pytest.fixture(scope="module")
def breakout() -> Env:
    pytest.importorskip("ale_py")
    return make("atari/Breakout")


@pytest.fixture(scope="module")
def step(breakout: Env) -> Any:
    return jax.jit(breakout.step)


class Plain:
    """One emulator, played from its first frame to its last without being saved or restored."""

    def __init__(self, noops: int) -> None:
        ale_py = pytest.importorskip("ale_py")
        self.ale = ale_py.ALEInterface()
        self.ale.setInt("random_seed", 5)
        self.ale.setFloat("repeat_action_probability", 0.0)
        self.ale.loadROM(ale_py.roms.get_rom_path("breakout"))
        self.actions = self.ale.getMinimalActionSet()
        self.begin(noops)

    def begin(self, noops: int) -> None:
        self.ale.reset_game()
        self.last = self.ale.getScreenGrayscale()
        for _ in range(noops):
            self.frame(0)
        self.stack = [np.zeros((84, 84), np.uint8)] * 3 + [self.seen()]

    def frame(self, action: Any) -> float:
        self.before, points = self.last, self.ale.act(action)
        self.last = self.ale.getScreenGrayscale()
        return points

    def seen(self) -> np.ndarray:
        """The brighter of two frames, shrunk by way of a picture of which both sizes are parts."""
        large = np.maximum(self.before, self.last).astype(np.int64).repeat(2, 0).repeat(21, 1)
        return np.rint(large.reshape(84, 5, 84, 40).sum((1, 3)) / 200).astype(np.uint8)

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool]:
        """What is seen, points, whether a life was lost and whether the game is over."""
        lives, points = self.ale.lives(), sum(self.frame(self.actions[action]) for _ in range(4))
        over = self.ale.game_over()
        lost = not over and self.ale.lives() < lives
        if lost:
            points += self.frame(0)
        self.stack = [*self.stack[1:], self.seen()]
        return np.stack(self.stack, -1), points, lost, over


def test_frames_are_those_of_an_emulator_that_nobody_interrupts(breakout: Env):
    """Games of two slots with one emulator between them, through lost lives and new games, pixel by pixel."""
    venv = vectorize(breakout, N)
    start = venv.reset(jax.random.key(3), breakout.params)
    actions = jax.random.randint(jax.random.key(0), (T, N), 0, 4, jnp.int32)
    actions = actions.at[::7].set(1)  # serves, so that lives are lost soon

    def one(state: Any, given: Any) -> Any:
        state, seen = venv.step(given[1], state, given[0], breakout.params)
        return state, (state.obs, state.env.emulator, seen)

    keys = jax.random.split(jax.random.key(1), T)
    _, (obs, machines, seen) = jax.jit(lambda s: jax.lax.scan(one, s, (actions, keys)))(start)
    begun = np.asarray(breakout.params.starts)
    ends = 0
    for slot in range(N):
        first = int(np.flatnonzero((begun == np.asarray(start.env.emulator[slot])).all(1))[0]) + 1
        plain = Plain(first)
        np.testing.assert_array_equal(start.obs[slot], np.stack(plain.stack, -1))
        for t in range(T):
            expected, points, lost, over = plain.step(int(actions[t, slot]))
            np.testing.assert_array_equal(seen.next_obs[t, slot], expected)
            assert (float(seen.info["env_reward"][t, slot]), float(seen.reward[t, slot])) == (
                points,
                np.sign(points),
            )
            assert bool(seen.terminated[t, slot]) == (lost or over)
            assert (bool(seen.info["game_over"][t, slot]), bool(seen.truncated[t, slot])) == (over, False)
            assert int(seen.info["lives"][t, slot]) == plain.ale.lives()
            if over:
                plain.begin(int(np.flatnonzero((begun == np.asarray(machines[t, slot])).all(1))[0]) + 1)
                ends += 1
            elif lost:  # the same game, with nothing remembered
                plain.stack = [np.zeros((84, 84), np.uint8)] * 3 + plain.stack[3:]
            np.testing.assert_array_equal(obs[t, slot], np.stack(plain.stack, -1))
    assert ends >= 1 and int(seen.terminated.sum()) >= 5 * ends


def test_it_keeps_the_contract(breakout: Env):
    check_env(breakout, steps=40, eager=False)
    assert (breakout.stack.frames, breakout.stack.start) == (4, "zeros")
    assert breakout.render is not None
    obs, state = breakout.reset(jax.random.key(0), breakout.params)
    assert breakout.render(state, breakout.params).shape == (336, 336, 3)
    assert not np.asarray(obs)[..., :3].any() and np.asarray(obs)[..., 3].any()


def test_games_begin_after_one_to_thirty_no_ops(breakout: Env):
    keys = jax.random.split(jax.random.key(0), 600)
    _, states = jax.jit(jax.vmap(breakout.reset, (0, None)))(keys, breakout.params)
    found = (np.asarray(states.emulator)[:, None] == np.asarray(breakout.params.starts)[None]).all(-1)
    assert breakout.params.starts.shape == (30, emulators.STATE)
    assert (found.sum(0) > 0).all() and (found.sum(1) == 1).all()


def test_a_time_limit_cuts_the_game(breakout: Env, step: Any):
    params = breakout.params.replace(max_steps_in_episode=jnp.asarray(2, jnp.int32))
    _, state = breakout.reset(jax.random.key(0), params)
    flags = []
    for t in range(2):
        out = step(jax.random.key(t), state, jnp.asarray(0, jnp.int32), params)
        state = out.state
        flags.append((bool(out.truncated), bool(out.terminated), bool(out.info["game_over"])))
    assert flags == [(False, False, False), (True, False, True)]
    assert breakout.restart is not None
    _, again = breakout.restart(jax.random.key(5), state, params)
    assert int(again.time) == 0 and (np.asarray(params.starts) == np.asarray(again.emulator)).all(1).any()


def test_programs_that_share_an_emulator_do_not_disturb_each_other(breakout: Env, step: Any):
    """Two games by turns, and each alone; one call between them ends with an error."""
    key, action = jax.random.key(0), jnp.asarray(1, jnp.int32)
    starts = [breakout.reset(jax.random.key(seed), breakout.params)[1] for seed in (1, 2)]
    alone = [[], []]
    for found, state in zip(alone, starts, strict=True):
        for _ in range(6):
            state = step(key, state, action, breakout.params).state
            found.append(state)
    together = [[], []]
    now = list(starts)
    game = emulators.game("breakout", False)
    for _ in range(6):
        for i in (0, 1):
            now[i] = step(key, now[i], action, breakout.params).state
            together[i].append(now[i])
        with pytest.raises(IndexError):
            emulators.advance(game, np.asarray(now[0].emulator), np.asarray(99), np.asarray(False))
    for a, b in zip(jax.tree.leaves(alone), jax.tree.leaves(together), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.timeout(120)
def test_devices_that_call_at_once_do_not_wait_for_each_other(breakout: Env):
    """A dozen games on each of eight devices: by `pure_callback` all of their threads would wait for ever."""
    split = jax.sharding.PartitionSpec("device")
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("device",))

    def play(keys: Any) -> Any:
        _, states = jax.vmap(breakout.reset, (0, None))(keys, breakout.params)
        actions = jnp.zeros(keys.shape[0], jnp.int32)
        for _ in range(2):
            states = jax.vmap(breakout.step, (0, 0, 0, None))(keys, states, actions, breakout.params).state
        return states.time

    games = 12 * mesh.size
    played = jax.jit(jax.shard_map(play, mesh=mesh, in_specs=split, out_specs=split, check_vma=False))
    np.testing.assert_array_equal(played(jax.random.split(jax.random.key(0), games)), np.full(games, 2))


def test_whole_games_raw_points_and_all_actions_are_options():
    pytest.importorskip("ale_py")
    env = make("atari/Breakout", lives=False, clip=False, full_actions=True, noops=2)
    assert (env.action_space.n, env.restart, env.params.starts.shape[0]) == (18, None, 2)
    assert sticky_actions(env, 0.25).action_space == env.action_space


@pytest.mark.parametrize("size", [(210, 160), (250, 160), (84, 84)])
def test_screens_shrink_to_means_over_areas(size: tuple[int, int]):
    screen = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    large = screen.astype(np.float64).repeat(84, 0).repeat(84, 1)
    means = large.reshape(84, size[0], 84, size[1]).mean((1, 3))
    found = np.asarray(jax.jit(atari.shrink)(jnp.asarray(screen)))
    assert found.dtype == np.uint8 and np.abs(found - means).max() <= 0.5 + 1e-9
    np.testing.assert_array_equal(atari.shrink(jnp.full(size, 255, jnp.uint8)), 255)


def test_file_names_of_games():
    names = [emulators.rom_name(game) for game in ("Pong", "UpNDown", "MsPacman", "KungFuMaster")]
    assert names == ["pong", "up_n_down", "ms_pacman", "kung_fu_master"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"live": True}, r"atari/Pong has no option 'live'; did you mean 'lives'"),
        ({"lives": 1}, "atari/Pong: lives is 1; it must be True or False"),
        ({"noops": 0}, "atari/Pong: noops is 0; it must be a whole number from 1 to 1000"),
        ({"max_steps_in_episode": 0}, "max_steps_in_episode is 0; it must be at least 1"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], message: str):
    pytest.importorskip("ale_py")
    with pytest.raises(ValueError, match=message):
        make("atari/Pong", **options)


def test_names_that_do_not_exist_are_refused_with_near_ones():
    with pytest.raises(
        ValueError, match="there is no environment 'atari/Brekout'; did you mean 'atari/Breakout'"
    ):
        make("atari/Brekout")


def test_what_is_missing_or_too_old_is_told(monkeypatch: pytest.MonkeyPatch):
    emulators.ale.cache_clear()
    emulators.game.cache_clear()
    monkeypatch.setattr(emulators, "_idle", {})
    monkeypatch.setitem(sys.modules, "ale_py", None)
    told = r"atari/Pong needs the module 'ale_py': run `pip install 'jaxrl_evolve\[atari\]'`"
    with pytest.raises(ImportError, match=told):
        make("atari/Pong")
    with pytest.raises(ImportError, match="ale-py is 0.11.2; it must be at least 0.12.1: run `pip install"):
        emulators.check_versions("0.11.2", "2.4.0")
    with pytest.raises(ImportError, match="numpy is 1.26.4; ale-py needs at least 2"):
        emulators.check_versions("0.12.1", "1.26.4")
    emulators.check_versions("0.13", "2.4.0")
