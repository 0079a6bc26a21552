"""Reports of loops: what rows, tables and figures say of the files of a folder that is written here by hand."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from jaxrl_envs.specs import tech_tree
from jaxrl_envs.specs.grid import GRID
from jaxrl_evolve.results import loop_figures
from jaxrl_evolve.results.figures import Curve, learning_curves
from jaxrl_evolve.results.report.loops import cells, read_loop
from jaxrl_evolve.results.report.loops_figures import asked
from jaxrl_evolve.results.report.loops_text import section, skills_csv, specs_csv

RATE = [0.25, 0.1, 0.5, 16]


@pytest.fixture
def folder(tmp_path):
    """A loop of two cycles in which one spec came in each."""
    said = {"operator": "", "author": "me", "target": "", "status": "active", "belief": [1, 2], "episodes": 3}
    spec = lambda name, born: {"identity": name, "born": born, "parents": [], "reasons": [], **said}
    steps = dict.fromkeys(("original", "generated", "validation", "evaluation", "scoring", "proposing"), 0)
    files = {
        "result.json": {
            "env": "toy/hall", "loop": "dicode", "proposer": "offline", "curriculum": "sfl", "steps": steps, "specs": 2, "authors": {},
            "seconds": {"propose_seconds": 0.0}, "rejections": {"invalid": 2, "policies": 1},
        },
        "config.json": {"seed": 0},
        "archive.json": {
            "entries": [spec("a", 0), spec("b", 0), spec("c", 1)], "refused": {"invalid": "length is 99; it must be less"}
        },
        "metrics.jsonl": {"cycle": 2, "env_steps": 4, "success": 0.25},
        "cycles/skills_000002.json": {
            "cycle": 2, "success": RATE, "evaluated": {"walk": RATE}, "trained": [{"spec": "c", "success": RATE, "skills": {}}]
        },
    }  # fmt: skip
    (tmp_path / "cycles").mkdir()
    for name, data in files.items():
        (tmp_path / name).write_text(json.dumps(data) + "\n")
    return tmp_path


@pytest.fixture
def drawn(monkeypatch):
    """The figures saved during a test."""
    saved = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *_, **__: saved.append(self))
    return saved


def test_cycles_are_counted_as_in_rows_and_refusals_have_their_sentence(folder):
    row = read_loop(folder, "")
    table = lambda text: [*csv.DictReader(io.StringIO(text))]
    assert [line["cycle"] for line in table(specs_csv([row]))] == ["0", "1", "2"]
    assert {line["cycle"] for line in table(skills_csv([row]))} == {"2"}
    page = section([row], ())
    assert "Skills in cycle 2:" in page
    assert "| dicode, sfl | 0 | invalid | 2 | length is 99; it must be less |" in page
    assert "| original | evaluated | 25 [10, 50] | 25 [10, 50] |" in page


def test_a_file_of_before_has_no_success_of_the_original(folder):
    path = folder / "cycles" / "skills_000002.json"
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "success"}))
    row = read_loop(folder, "")
    assert cells(row, row.tables[-1])[-1] == ("a", "evaluated", {"walk": RATE})
    path.write_text(json.dumps({**row.tables[-1], "success": ["x"]}))
    with pytest.raises(ValueError, match="is damaged"):
        read_loop(folder, "")


def test_titles_of_maps_tell_goals_and_gifts():
    data = GRID.write(GRID.read(tech_tree.spec_data("make_key")))
    assert asked(data) == "make_key"
    data["agent"]["inventory"] = [
        {"item": "wood", "count": 2},
        {"item": "key", "count": {"low": 0, "high": 1}},
    ]
    assert asked(data) == "make_key, with 2 wood, 0 to 1 key"
    data["success"] = [
        {"all": ["make_key", "collect_iron"], "none": ["open_chest"]},
        {"all": ["collect_wood"]},
    ]
    assert asked(data).startswith("make_key and collect_iron and no\nopen_chest or")


def test_legends_lie_beside_what_is_drawn(tmp_path, drawn):
    frame = np.zeros((4, 4, 3), np.uint8)
    loop_figures.maps(
        [("a", frame)], tmp_path / "m.png", legend=[("tree", (70, 150, 90)), ("agent", (0, 0, 0))]
    )
    (legend,) = drawn[0].legends
    assert [text.get_text() for text in legend.get_texts()] == ["tree", "agent"]
    assert legend.get_patches()[0].get_facecolor()[:3] == pytest.approx((70 / 255, 150 / 255, 90 / 255))
    loop_figures.steps({"envgen": {"original": 3, "generated": 4}}, tmp_path / "s.png")
    assert drawn[1].axes[0].get_legend() is None and len(drawn[1].legends) == 1


def test_equal_shares_are_all_seen_and_begin_at_0(tmp_path, drawn):
    steps, none = np.arange(1, 4), np.zeros((1, 3))
    learning_curves([Curve(name, steps, none) for name in "abc"], tmp_path / "c.png", shares=True)
    (axis,) = drawn[0].axes
    low, high = axis.get_ylim()
    assert -0.01 < low < 0 and high == pytest.approx(0.1)
    widths = [line.get_linewidth() for line in axis.lines]
    assert widths == sorted(widths, reverse=True) and len({*widths}) == 3
    learning_curves([Curve("a", steps, none + 1)], tmp_path / "c.png", shares=True)
    assert drawn[1].axes[0].get_ylim()[1] == pytest.approx(1.03)
