"""Episodes as GIFs: every frame of one episode, written whole or not at all."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import walk
from PIL import Image, ImageSequence

from jaxrl_envs import make
from jaxrl_evolve.command.main import main
from jaxrl_evolve.random import KeyTag
from jaxrl_evolve.training.config import TrainConfig
from jaxrl_evolve.training.render import film, play, render
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


def frames_of(folder, runs, seed):
    trained = load(folder)
    env, policies = trained.experiment.env, [trained.policy(run) for run in runs]
    key = jax.random.fold_in(jax.random.key(seed), KeyTag.FILMS)
    shown = film(env, play(env, policies, key, 1000))
    return [shown.frame(i) for i in range(shown.count)]


def test_a_gif_shows_a_whole_episode(cartpole, tmp_path):
    path = render(cartpole, run=1, seed=3, fps=25)
    assert path == str(cartpole / "episode.gif")
    frames = frames_of(cartpole, [1], 3)
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


def test_a_film_has_a_key_that_no_training_has(cartpole, monkeypatch):
    class Seen(Exception):
        pass

    def seen(env, policies, key, max_steps):
        raise Seen(jax.random.key_data(key).tolist())

    monkeypatch.setattr(sys.modules[render.__module__], "play", seen)
    with pytest.raises(Seen) as found:
        render(cartpole, seed=3)
    key = jax.random.fold_in(jax.random.key(3), KeyTag.FILMS)
    assert found.value.args[0] == jax.random.key_data(key).tolist()


def test_runs_modes_and_limits(cartpole, tmp_path):
    gifs = [
        render(cartpole, tmp_path / f"{i}.gif", **options)
        for i, options in enumerate([{}, {"seed": 1}, {"run": 1}, {"mode": "sample"}, {"max_steps": 3}])
    ]
    contents = [Path(path).read_bytes() for path in gifs]
    assert len(set(contents)) == 5
    with Image.open(gifs[-1]) as image:
        assert image.n_frames <= 4


def test_several_runs_are_a_grid_that_waits_for_the_longest(cartpole, tmp_path):
    alone = [frames_of(cartpole, [run], 3) for run in (0, 1)]
    together = frames_of(cartpole, [0, 1, 1], 3)
    (height, width, _), (rows, columns, _) = alone[0][0].shape, together[0].shape
    assert (rows, columns) == (2 * height + 2, 2 * width + 2)
    assert len(together) == max(map(len, alone)) and len(alone[0]) != len(alone[1])
    for i in (0, 5, len(together) - 1):
        for run, top, left in ((0, 0, 0), (1, 0, width + 2), (1, height + 2, 0)):
            shown = together[i][top : top + height, left : left + width]
            np.testing.assert_array_equal(shown, alone[run][min(i, len(alone[run]) - 1)])
        assert (together[i][height + 2 :, width + 2 :] == 128).all()
    assert (
        main(["render", str(cartpole), "--run", "all", "--seed", "3", "--out", str(tmp_path / "a.gif")]) == 0
    )
    with Image.open(tmp_path / "a.gif") as image:
        assert image.size == (2 * width + 2, height)
    pair = render(cartpole, tmp_path / "b.gif", run=[0, 1], seed=3)
    assert Path(pair).read_bytes() == (tmp_path / "a.gif").read_bytes()


ENCODER = """#!{python}
import json, sys
data = sys.stdin.buffer.read()
json.dump([sys.argv[1:], len(data), data[-1:].hex()], open(sys.argv[-1], "w"))
{more}
"""


def test_an_mp4_is_made_by_ffmpeg_if_it_is_there(cartpole, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    words = [
        "render",
        str(cartpole),
        "--out",
        str(tmp_path / "out" / "a.mp4"),
        "--fps",
        "10",
        "--max-steps",
        "4",
    ]
    assert main(words) == 1
    assert capsys.readouterr().err == (
        "jaxrl-evolve: an mp4 needs ffmpeg, which is not there: install it, or pip install 'jaxrl_evolve[video]'; a "
        ".gif needs nothing\n"
    )
    assert not (tmp_path / "out").exists()
    encoder = tmp_path / "ffmpeg"
    encoder.write_text(ENCODER.format(python=sys.executable, more=""))
    encoder.chmod(0o755)
    assert main(words) == 0
    arguments, size, _ = json.loads((tmp_path / "out" / "a.mp4").read_text())
    frame = frames_of(cartpole, [0], 0)[0]
    assert size == frame.size * (5 + 9)  # five frames, the last of them for a second
    assert f"{frame.shape[1]}x{frame.shape[0]}" in arguments and "libx264" in arguments
    encoder.write_text(ENCODER.format(python=sys.executable, more="sys.exit('Unknown encoder libx264')"))
    assert main(words) == 1
    assert "ffmpeg could not write the video: Unknown encoder libx264" in capsys.readouterr().err
    assert os.listdir(tmp_path / "out") == ["a.mp4"]


def test_what_ffmpeg_makes_can_be_read_back(cartpole, tmp_path):
    encoder = pytest.importorskip("imageio_ffmpeg", reason="of the extra `video`").get_ffmpeg_exe()
    path = render(cartpole, tmp_path / "a.mp4", run=[0, 1, 1], fps=10, max_steps=4)
    words = [encoder, "-loglevel", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    read = subprocess.run(words, capture_output=True, check=True).stdout
    frames = frames_of(cartpole, [0, 1, 1], 0)[:5]
    shown = np.frombuffer(read, np.uint8).reshape(14, *frames[0].shape).astype(int)
    for seen, drawn in ((shown[0], frames[0]), (shown[-1], frames[4])):
        assert np.abs(seen - drawn).mean() < 4


def test_what_cannot_be_drawn_is_refused(cartpole, finished, tmp_path):
    for folder, options, message in [
        (finished[1], {}, "the suite of tiny/Walk offers no drawing"),
        (tmp_path / "none", {}, "there is no run folder"),
        (cartpole, {"run": 2}, "run is 2; .* has 2, counted from 0"),
        (cartpole, {"run": (0, 7)}, "run is 7; .* has 2, counted from 0"),
        (cartpole, {"run": ("all", 1)}, "'all' must stand alone"),
        (cartpole, {"run": ()}, "run names 0 runs; it must be from 1 to 64"),
        (cartpole, {"run": [0] * 65}, "run names 65 runs"),
        (cartpole, {"run": -1}, "run is -1"),
        (cartpole, {"fps": 0}, "fps is 0"),
        (cartpole, {"fps": 100}, "fps is 100"),
        (cartpole, {"max_steps": 0}, "max_steps is 0"),
        (
            cartpole,
            {"out": tmp_path / "a.mp4", "fps": 121},
            "fps is 121; in a .mp4 it must lie between 1 and 120",
        ),
        (cartpole, {"out": tmp_path / "a.avi"}, "must end in .gif or .mp4"),
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
