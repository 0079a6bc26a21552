"""The comparison of methods on games: cells are stored whole and not played again, and what does not fit is refused."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from jaxrl_evolve.command.main import main
from jaxrl_evolve.preferences.games import GAMES
from jaxrl_evolve.preferences.solvers.table import METHODS
from jaxrl_evolve.self_play import benchmark
from jaxrl_evolve.self_play.benchmark import drawn_settings, play_games
from jaxrl_evolve.self_play.benchmark_config import GamesConfig

SMALL = ["--steps", "40", "--queries", "90", "--seeds", "3", "--tune", "3", "--tuning_seeds", "2"]


def run(out, *words):
    return main(["preferences", "games", "--out", str(out), *SMALL, *words])


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    out = tmp_path_factory.mktemp("games") / "out"
    assert (
        run(out, "--methods", "hedge", "fictitious-play", "--games", "condorcet", "biased_rps", "--quiet")
        == 0
    )
    return out


def test_every_play_is_a_row_and_every_cell_a_number_with_an_interval(played):
    with open(played / "games.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * 2 * 3 and {int(row["queries"]) for row in rows} == {40 * 90}
    report = (played / "games.md").read_text()
    assert "| Method | biased_rps | condorcet |" in report and "3,600 hard labels" in report
    (line,) = [line for line in report.splitlines() if line.startswith("| hedge | ") and " / " in line][:1]
    late = [
        float(r["late"])
        for r in rows
        if (r["method"], r["game"], r["target"]) == ("hedge", "biased_rps", "late")
    ]
    assert f"{sum(late) / 3:.3f} [" in line and f"/ {max(late):.3f}" in line
    cell = json.loads((played / "cells" / "hedge" / "condorcet.json").read_text())
    assert cell["tried"] == 3 and len(cell["curves"]["late"]) == 20
    assert cell["tuned"]["late"] in drawn_settings(METHODS["hedge"], GamesConfig(tune=3))


def test_what_is_played_is_not_played_again_and_more_joins_it(played, monkeypatch, capsys):
    asked, real = [], benchmark.played
    monkeypatch.setattr(benchmark, "played", lambda *args: asked.append(args[2:]) or real(*args))
    before = (played / "cells" / "hedge" / "condorcet.json").read_bytes()
    assert run(played, "--methods", "hedge", "omwu", "--games", "condorcet") == 0
    assert [(name, game.name) for name, game in asked] == [("omwu", "condorcet")]
    assert (played / "cells" / "hedge" / "condorcet.json").read_bytes() == before
    assert "| fictitious_play | " in capsys.readouterr().out  # the report is of all that is there
    shutil.rmtree(played / "cells" / "omwu")


def test_who_is_interrupted_is_told_how_to_go_on(tmp_path, monkeypatch, capsys):
    def stopped(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(benchmark, "played", stopped)
    assert run(tmp_path, "--methods", "hedge", "--games", "condorcet") == 130
    assert f"in {tmp_path}, and the same command goes on" in capsys.readouterr().err


def test_the_page_names_every_method_and_game():
    text = (Path(__file__).parents[2] / "docs" / "preferences.md").read_text()
    assert not [name for name in (*METHODS, *GAMES) if f"`{name}`" not in text]


def test_a_cell_does_not_depend_on_what_else_is_played(played, tmp_path):
    assert run(tmp_path, "--methods", "hedge", "--games", "condorcet", "--quiet") == 0
    one, other = (
        json.loads((x / "cells" / "hedge" / "condorcet.json").read_text()) for x in (played, tmp_path)
    )
    assert one == other


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--methods", "ema-sop"], "methods has 'ema_sop', which is not known: did you mean ema_spo"),
        (["--methods", "spo", "spo"], "methods has 'spo' twice"),
        (["--games", "biased"], "games has 'biased', which is not known: did you mean biased_rps"),
        (["--games", "sequences"], "queries is 90; of a game of 81 options it must be a multiple of 81"),
        (["--steps", "50"], "steps is 50; it must be a multiple of 40"),
        (["--seeds", "0"], "seeds is 0; it must be a whole number of at least 1"),
        (["--metods", "spo"], "there is no option --metods: did you mean --methods"),
        (["--feedback", "soft"], "soft"),
    ],
)
def test_wrong_usage_is_one_sentence(words, told, tmp_path, capsys):
    assert run(tmp_path / "out", *words) == 2
    assert told in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_actions_are_named(capsys):
    assert main(["preferences", "--help"]) == 0 and "games" in capsys.readouterr().out
    assert main(["preferences", "gmaes"]) == 2
    assert "did you mean games?" in capsys.readouterr().err


def test_cells_of_other_settings_are_refused(played, capsys):
    words = ["--methods", "hedge", "--games", "condorcet", "--seed", "1"]
    assert run(played, *words) == 2
    assert "seed is 1, but" in capsys.readouterr().err
    # A report tells of all that is there, whatever was asked for.
    assert run(played, "--methods", "omwu", "--games", "condorcet", "--queries", "180") == 2
    said = capsys.readouterr().err
    assert "queries is 180, but" in said and "was played with 90; give another --out" in said
    assert not (played / "cells" / "omwu").exists()
    damaged = played / "cells" / "hedge" / "mixed.json"
    damaged.write_text("{}")
    with pytest.raises(ValueError, match="no cell of a comparison"):
        play_games(GamesConfig(steps=40, queries=90), played, ["hedge"], ["mixed"])
    damaged.unlink()
