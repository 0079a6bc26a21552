"""Episodes as GIFs: every frame of one episode, written whole or not at all."""

import os
from pathlib import Path

import jax
import numpy as np
import pytest
import walk
from PIL import Image, ImageSequence

from jaxrl_envs import make
from jaxrl_evolve.training.config import TrainConfig
from jaxrl_evolve.training.render import episode, render
from jaxrl_evolve.training.restore import load
from jaxrl_evolve.training.train import train


@pytest.fixture(scope="module")
def cartpole(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "cartpole"
    small = walk.config()
    config = TrainConfig.preset(
        "ppo",
        "CartPole-v1",
        steps=640,
        num_envs=4,
        rollout_length=16,
        seeds=2,
        rows=2,
        learner=small.learner,
        evaluation=small.evaluation,
    )
    train(config, out)
    return out


def test_a_gif_shows_a_whole_episode(cartpole, tmp_path):
    path = render(cartpole, run=1, seed=3, fps=25)
    assert path == str(cartpole / "episode.gif")
    trained = load(cartpole)
    env, learner, *_ = trained.experiment
    state = jax.tree.map(lambda x: x[1], trained.learner_state)
    frames = episode(env, learner, state, jax.random.key(3), "greedy", 1000)
    assert 9 <= len(frames) < 502 and len({frame.shape for frame in frames}) == 1
    with Image.open(path) as image:
        durations = [frame.info["duration"] for frame in ImageSequence.Iterator(image)]
        assert image.size == frames[0].shape[1::-1] and image.info["loop"] == 0
        image.seek(0)
        first = np.asarray(image.convert("RGB"), np.int32)
        image.seek(image.n_frames - 1)
        last = np.asarray(image.convert("RGB"), np.int32)
    # Equal frames in a row are one that is shown longer.
    assert sum(durations) == 40 * (len(frames) - 1) + 1000 and durations[-1] >= 1000
    for shown, drawn in ((first, frames[0]), (last, frames[-1])):
        assert np.abs(shown - drawn).mean() < 2  # a palette of 256 colours
    assert np.abs(first - last).max() > 50
    assert render(cartpole, tmp_path / "deep" / "a.gif", run=1, seed=3, fps=25) == str(
        tmp_path / "deep" / "a.gif"
    )
    assert (tmp_path / "deep" / "a.gif").read_bytes() == (cartpole / "episode.gif").read_bytes()
    assert os.listdir(tmp_path / "deep") == ["a.gif"]


def test_runs_modes_and_limits(cartpole, tmp_path):
    gifs = [
        render(cartpole, tmp_path / f"{i}.gif", **options)
        for i, options in enumerate([{}, {"seed": 1}, {"run": 1}, {"mode": "sample"}, {"max_steps": 3}])
    ]
    contents = [Path(path).read_bytes() for path in gifs]
    assert len(set(contents)) == 5
    with Image.open(gifs[-1]) as image:
        assert image.n_frames <= 4


def test_what_cannot_be_drawn_is_refused(cartpole, tmp_path):
    train(walk.config(), tmp_path / "walk")
    for folder, options, message in [
        (tmp_path / "walk", {}, "the suite of tiny/Walk offers no drawing"),
        (tmp_path / "none", {}, "there is no run folder"),
        (cartpole, {"run": 2}, "run is 2; .* has 2, counted from 0"),
        (cartpole, {"run": -1}, "run is -1"),
        (cartpole, {"fps": 0}, "fps is 0"),
        (cartpole, {"fps": 100}, "fps is 100"),
        (cartpole, {"max_steps": 0}, "max_steps is 0"),
        (cartpole, {"out": tmp_path / "a.mp4"}, "must end in .gif"),
    ]:
        with pytest.raises(ValueError, match=message) as caught:
            render(folder, **options)
        assert "\n" not in str(caught.value)


def test_cartpole_looks_as_it_stands():
    env = make("CartPole-v1")
    assert env.render is not None
    _, state = env.reset(jax.random.key(0), env.params)
    red = lambda frame: np.argwhere((frame[..., 0] > 150) & (frame[..., 1] < 110)).mean(0)
    upright = env.render(state.replace(x=0.0, theta=0.0), env.params)
    tilted = env.render(state.replace(x=0.0, theta=0.5), env.params)
    moved = env.render(state.replace(x=1.2, theta=0.0), env.params)
    assert upright.dtype == np.uint8 and upright.shape == (240, 320, 3)
    assert abs(red(upright)[1] - 160) < 3
    assert red(tilted)[1] > 165 and red(tilted)[0] > red(upright)[0]  # to the right, and lower
    assert red(moved)[1] > 200 and abs(red(moved)[0] - red(upright)[0]) < 2
