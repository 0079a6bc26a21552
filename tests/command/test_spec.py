"""`jaxrl-evolve spec`: exit codes, sentences, pictures."""

import json

import numpy as np
import pytest
from PIL import Image

from jaxrl_envs.specs import tech_tree
from jaxrl_envs.specs.environments import read_file
from jaxrl_envs.specs.puzzles.collection import collection
from jaxrl_evolve.command import generate
from jaxrl_evolve.command.arguments import PROGRAM
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
    assert main(["spec", "check", str(path), "--tries", "-1"]) == 2
    assert "tries is -1; it must be at least 0" in capsys.readouterr().err
    assert main(["spec", "chekc", str(path)]) == 2
    assert "did you mean check?" in capsys.readouterr().err


def test_help_shows_an_example(capsys):
    assert main(["spec", "--help"]) == 0
    assert "\nFor example: jaxrl-evolve spec check door.json\n" in capsys.readouterr().out
    assert f"For example: {PROGRAM} generate --loop dicode" in generate._DESCRIPTION


def test_files_and_numbers_are_looked_at_before_anything_is_played(file, tmp_path, capsys):
    none = tmp_path / "none.json"
    for words, sentence in (
        (["check", none], f"cannot read {none}: No such file or directory"),
        (["render", tmp_path], f"cannot read {tmp_path}: Is a directory"),
        (
            ["check", file, "--out", "nowhere/a.json"],
            "out is 'nowhere/a.json', which lies in 'nowhere', which is no folder",
        ),
        (["check", file, "--seed", "-1"], "seed is -1; it must be a whole number of at least 0"),
        (
            ["render", file, "--seed", 2**32],
            f"seed is {2**32}; it must be a whole number from 0 to {2**32 - 1}",
        ),
        (
            ["play", file, "--level", "2"],
            "level is 2, but only games of PuzzleScript have levels; it must be 1",
        ),
        (["play", file, "--fps", "1000"], "fps is 1000; it must be at most 50"),
    ):
        assert main(["spec", *map(str, words)]) == 2, words
        assert sentence in capsys.readouterr().err


def test_a_spec_may_say_its_language_and_begin_with_a_mark(file):
    text = json.dumps({"language": "grid", **json.loads(file.read_text())})
    same = read_file(file)
    file.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_file(file) == same


def test_a_game_of_puzzlescript_is_checked_and_written_as_a_spec(tmp_path, capsys):
    text = next(puzzle.text for puzzle in collection() if puzzle.name == "crates")
    path, out = tmp_path / "crates.txt", tmp_path / "crates.json"
    path.write_text(text)
    assert main(["spec", "check", str(path), "--out", str(out), "--resets", "2", "--episodes", "2"]) == 0
    assert read_file(out) == read_file(path)
    assert "success: win1" in capsys.readouterr().out
    for words, sentence in (
        (["check", "--level", "2"], "level is 2; the game has 1, so it must be from 1 to 1"),
        (["render", "--level", "0"], "level is 0; the game has 1, so it must be from 1 to 1"),
    ):
        assert main(["spec", words[0], str(path), *words[1:]]) == 2
        assert sentence in capsys.readouterr().err
    path.write_text(text.replace("All Target on Crate", "All Target"))
    assert main(["spec", "check", str(path)]) == 2
    assert "line 41 is 'All Target'; it must be No X" in capsys.readouterr().err


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
