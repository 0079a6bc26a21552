"""The octax adapter: the game's own frames and scores, and the limit apart from its end."""

import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_envs import available, make

environments = pytest.importorskip("octax.environments")


@pytest.fixture(scope="module")
def brix():
    env = make("octax/brix", max_steps_in_episode=12)
    return env, jax.jit(env.reset), jax.jit(env.step)


def test_an_episode_is_the_games_own(brix):
    env, reset, step = brix
    game, _ = environments.create_environment("brix")
    obs, state = reset(jax.random.key(3), env.params)
    its_state, frames, _ = game.reset(jax.random.key(3))
    for t in range(25):
        assert obs.dtype == bool
        np.testing.assert_array_equal(obs, np.asarray(frames).transpose(2, 1, 0))
        out = step(jax.random.key(0), state, jnp.asarray(t % 3, jnp.int32), env.params)
        with warnings.catch_warnings(action="ignore"):
            its_state, frames, reward, terminated, _, _ = game.step(its_state, jnp.asarray(t % 3))
        obs, state = out.obs, out.state
        assert float(out.reward) == float(reward)
        assert bool(out.terminated) == bool(terminated)
        assert bool(out.truncated) == (t + 1 >= 12)
    assert bool(out.terminated)  # the ball was lost


def test_every_episode_starts_alike_with_random_numbers_of_its_own(brix):
    env, reset, _ = brix
    (one, first), (other, second) = (reset(jax.random.key(seed), env.params) for seed in (0, 1))
    np.testing.assert_array_equal(one, other)
    assert one.any()
    assert first.rng != second.rng


def test_a_frame_is_drawn(brix):
    env, reset, _ = brix
    obs, state = reset(jax.random.key(0), env.params)
    frame = env.render(state, env.params)
    assert frame.dtype == np.uint8
    lit = frame.max(-1) > 0
    np.testing.assert_array_equal(lit[::8, ::8], obs[..., -1])


def test_all_games_of_octax_are_known():
    folder = Path(environments.__file__).parent
    roms = {rom.stem for rom in (folder.parents[1] / "roms").iterdir()}
    games = {file.stem for file in folder.glob("[a-z]*.py")}
    levels = {rom for rom in roms if rom.rstrip("0123456789") in games and rom[-1].isdigit()}
    alone = {game for game in games if not any(level.startswith(game) for level in levels)}
    assert {name.removeprefix("octax/") for name in available("octax")} == levels | alone


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"frame_skip": 0}, "frame_skip is 0; it must be a whole number of at least 1"),
        ({"fps": 60.0}, "fps is 60.0; it must be a whole number of at least 1"),
        ({"instruction_frequency": 30}, "instruction_frequency is 30; it must be at least fps, 60"),
        ({"frame_skips": 2}, "has no option 'frame_skips'; did you mean 'frame_skip'"),
        ({"max_steps_in_episode": 0}, "max_steps_in_episode is 0; it must be at least 1"),
    ],
)
def test_options_are_checked(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        make("octax/brix", **options)
