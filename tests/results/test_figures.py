"""Figures: what is drawn is what was given; files appear whole, repeatably and without a display."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure

from jaxrl_evolve.results import panels
from jaxrl_evolve.results.figures import Curve, comparison, learning_curves, probability_of_improvement
from jaxrl_evolve.results.statistics import Estimate, bootstrap_curve, iqm, mean

STEPS = np.arange(1, 11) * 1000
RETURNS = np.random.default_rng(0).normal(size=(5, 10)).cumsum(axis=1)


@pytest.fixture
def drawn(monkeypatch):
    """The figures saved during a test."""
    saved = []
    save = Figure.savefig

    def spy(self, *args, **kwargs):
        saved.append(self)
        return save(self, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", spy)
    return saved


def test_learning_curve_shows_statistic_band_and_runs(tmp_path, drawn):
    path = learning_curves(
        [Curve("ppo", STEPS, RETURNS, "CartPole-v1")], tmp_path / "curves.png", per_seed=True, statistic=mean
    )
    assert path.read_bytes().startswith(b"\x89PNG")
    (axis,) = drawn[0].axes
    *runs, line = axis.lines
    assert len(runs) == 5
    np.testing.assert_allclose(runs[2].get_ydata(), RETURNS[2])
    np.testing.assert_array_equal(line.get_xdata(), STEPS)
    np.testing.assert_allclose(line.get_ydata(), RETURNS.mean(0))
    vertices = axis.collections[0].get_paths()[0].vertices
    _, low, high = bootstrap_curve(RETURNS, mean)
    assert vertices[:, 1].min() == pytest.approx(low.min())
    assert vertices[:, 1].max() == pytest.approx(high.max())
    assert axis.get_title(loc="left") == "CartPole-v1"
    assert "10k" in {tick.get_text() for tick in axis.get_xticklabels()}


def test_one_panel_per_task_and_one_colour_per_algorithm(tmp_path, drawn):
    labels = ["ppo", "a2c"]
    curves = [Curve(label, STEPS, RETURNS + i, task) for task in "xyzw" for i, label in enumerate(labels)]
    learning_curves(curves[:-1], tmp_path / "c.png")  # a2c has no curve on w
    figure = drawn[0]
    assert [axis.get_title(loc="left") for axis in figure.axes] == list("xyzw")
    colours = [[line.get_color() for line in axis.lines] for axis in figure.axes]
    assert colours == [[panels.COLOURS[0], panels.COLOURS[1]]] * 3 + [[panels.COLOURS[0]]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == labels


def test_many_algorithms_stay_distinguishable():
    styles = panels.styles_of([f"algorithm {i}" for i in range(20)])
    assert len({(s["color"], s["linestyle"]) for s in styles.values()}) == 20


def test_missing_values_and_single_runs_are_drawn(tmp_path, drawn):
    gaps = RETURNS.copy()
    gaps[:, :3] = np.nan
    alone = np.full((1, 10), np.nan)
    alone[0, 4] = 2.0
    learning_curves([Curve("gaps", STEPS, gaps), Curve("alone", STEPS, alone)], tmp_path / "c.png")
    first, second = drawn[0].axes[0].lines
    np.testing.assert_array_equal(np.isnan(first.get_ydata()), np.arange(10) < 3)
    assert first.get_ydata()[5] == pytest.approx(iqm(RETURNS[:, 5]))
    assert second.get_marker() == "o"  # a lone point would be an invisible line


@pytest.mark.parametrize(
    ("runs", "about"),
    [
        (1, "one run"),
        (2, "IQM, no interval from 2 runs"),
        (3, "IQM, 95 % interval from 3 runs"),
        (5, "IQM, 95 % interval"),
    ],
)
def test_few_runs_are_told_on_the_axis(runs, about, tmp_path, drawn):
    learning_curves([Curve("ppo", STEPS, RETURNS[:runs])], tmp_path / "c.png", ylabel="Return")
    assert drawn[0].get_supylabel() == f"Return ({about})"


def test_long_curves_are_thinned_but_keep_their_ends(tmp_path, drawn):
    steps = np.arange(5000) * 10
    learning_curves([Curve("ppo", steps, np.zeros((2, 5000)))], tmp_path / "c.png")
    x = drawn[0].axes[0].lines[0].get_xdata()
    assert len(x) == 200
    assert (x[0], x[-1]) == (0, 49990)


def test_comparison_draws_each_interval(tmp_path, drawn):
    estimates = {
        "Acrobot-v1": {"ppo": Estimate(-80.0, -90.0, -75.0), "a2c": Estimate(-100.0, -120.0, -99.0)},
        "Pendulum-v1": {"a2c": Estimate(-300.0, np.nan, np.nan)},
    }
    comparison(estimates, tmp_path / "c.png")
    left, right = drawn[0].axes
    bars = [(tuple(line.get_xdata()), line.get_ydata()[0]) for line in left.lines]
    assert bars == [((-90.0, -75.0), 1), ((-80.0,), 1), ((-120.0, -99.0), 0), ((-100.0,), 0)]
    assert [tuple(line.get_xdata()) for line in right.lines] == [(-300.0,)]  # no interval, no bar
    assert [text.get_text() for text in left.get_yticklabels()] == ["ppo", "a2c"]


def test_long_labels_leave_room_for_the_data(tmp_path, drawn):
    labels = [f"algorithm ({'folder/' * 12}{i})" for i in range(9)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns when a layout collapses
        comparison({"a": dict.fromkeys(labels, Estimate(1.0, 0.0, 2.0))}, tmp_path / "c.png")
        probability_of_improvement({(labels[0], labels[1]): Estimate(0.5, 0.1, 0.9)}, tmp_path / "p.png")
        learning_curves(
            [Curve(label, STEPS, RETURNS, p) for label in labels for p in "xy"], tmp_path / "l.png"
        )
    for figure in drawn:
        for axis in figure.axes:
            assert axis.get_position().width * figure.get_figwidth() > 1.5


def test_probability_of_improvement_names_both_sides(tmp_path, drawn):
    pairs = {("ppo", "a2c"): Estimate(0.9, 0.7, 1.0), ("ppo", "dqn"): Estimate(0.4, 0.2, 0.6)}
    probability_of_improvement(pairs, tmp_path / "p.png")
    (axis,) = drawn[0].axes
    named = dict(zip(axis.get_yticks(), (text.get_text() for text in axis.get_yticklabels()), strict=True))
    centre = {
        named[line.get_ydata()[0]]: line.get_xdata()[0] for line in axis.lines if len(line.get_xdata()) == 1
    }
    assert centre == {"ppo over a2c": 0.9, "ppo over dqn": 0.4}


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_same_data_same_bytes(tmp_path, suffix):
    curves = [Curve("ppo", STEPS, RETURNS)]
    first = learning_curves(curves, tmp_path / f"a.{suffix}").read_bytes()
    assert first == learning_curves(curves, tmp_path / f"b.{suffix}").read_bytes()
    other = [Curve("ppo", STEPS, RETURNS + STEPS / 1000)]
    assert first != learning_curves(other, tmp_path / f"b.{suffix}").read_bytes()


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "curves.png"
    path.write_bytes(b"old")

    def full(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        learning_curves([Curve("ppo", STEPS, RETURNS)], path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda path: learning_curves([], path / "c.png"), "no curves"),
        (lambda path: comparison({}, path / "c.png"), "no estimates"),
        (lambda path: probability_of_improvement({}, path / "c.png"), "no pairs"),
        (
            lambda path: learning_curves([Curve("a", STEPS, RETURNS)], path / "c.jpg"),
            "must end in one of .png",
        ),
        (lambda path: Curve("a", STEPS[:3], RETURNS), r"curve of 'a'.*\(3,\).*\(5, 10\)"),
    ],
)
def test_bad_input_is_named(tmp_path, call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call(tmp_path)


def test_matplotlib_comes_late_and_pyplot_never(tmp_path):
    """In a fresh process: importing figures imports no matplotlib, drawing changes no global setting."""
    code = (
        "import sys, numpy as np\n"
        "from jaxrl_evolve.results import figures\n"
        "assert 'matplotlib' not in sys.modules\n"
        f"figures.learning_curves([figures.Curve('a', np.arange(3), np.ones((2, 3)))], r'{tmp_path / 'c.png'}')\n"
        "import matplotlib\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert matplotlib.rcParams['font.size'] == matplotlib.rcParamsDefault['font.size']\n"
    )
    result = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
