"""`jaxrl-evolve spec`: exit codes, sentences, pictures."""

import json

import numpy as np
import pytest
from PIL import Image

from jaxrl_envs.specs import tech_tree
from jaxrl_evolve.command.main import main


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tree.json"
    path.write_text(json.dumps(tech_tree.spec_data("collect_wood", time_limit=4)))
    return path


def test_faults_end_with_2_and_a_sentence_each(tmp_path, capsys):
    data = {**tech_tree.spec_data(), "width": 0, "hight": 9}
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(data))
    for words in (["check"], ["render"], ["play"]):
        assert main(["spec", *words, str(path)]) == 2
        assert capsys.readouterr().err.splitlines() == [
            "jaxrl-evolve: width is 0; it must be a whole number from 3 to 21",
            "hight: there is no such field; did you mean height?",
        ]
    impossible = {**tech_tree.spec_data(), "rules": []}
    path.write_text(json.dumps(impossible))
    assert main(["spec", "check", str(path)]) == 2
    assert "success[0] cannot come about: 'open_chest' needs 1 'gold'" in capsys.readouterr().err
    assert main(["spec", "check", str(tmp_path / "none.json")]) == 1
    assert main(["spec", "chekc", str(path)]) == 2
    assert "did you mean check?" in capsys.readouterr().err


def test_a_start_is_drawn_and_an_episode_is_played(file, tmp_path, capsys):
    out = tmp_path / "episode.gif"
    assert main(["spec", "play", str(file), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "4 steps of random actions" in said or "the episode succeeded" in said
    with Image.open(out) as film:
        assert getattr(film, "n_frames", 1) >= 2 and film.size[1] >= 9 * 24
    assert main(["spec", "render", str(file)]) == 0
    frame = np.asarray(Image.open(file.with_suffix(".png")))
    tree, agent = np.array([70, 150, 90]), np.array([30, 60, 160])
    board = frame[: 9 * 24, : 9 * 24]
    cells = board.reshape(9, 24, 9, 24, 3)[:, 4, :, 4]
    assert (cells == tree).all(-1).sum() == 5 and (board == agent).all(-1).any()
