"""Sweeps: points beside each other are points alone, plans are exact, refusals name the field."""

import csv
import dataclasses
import json
import math

import numpy as np
import pytest
import walk
from late import late
from same import assert_close, host

from jaxrl_evolve.results import statistics
from jaxrl_evolve.results.report import report
from jaxrl_evolve.training import loop as loops
from jaxrl_evolve.training.interrupts import Diverged, Interrupted
from jaxrl_evolve.training.restore import evaluate_folder, load
from jaxrl_evolve.training.sweep import plan, resume_sweep, sweep
from jaxrl_evolve.training.sweep_parts import of_part
from jaxrl_evolve.training.train import train

GRID = ["hp.learning_rate=1e-7,1e-2", "learner.network.hidden=(8,),(4,4)"]


def result_of(out):
    return json.loads((out / "result.json").read_text())


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Two programs of two points of two seeds, and how often the environment's step was traced for them."""
    out = tmp_path_factory.mktemp("sweeps") / "grid"
    walk.forget()
    table = sweep(walk.config(seeds=2), out, grid=GRID)
    return out, table, len(walk.traces)


@pytest.mark.core
def test_each_shape_is_compiled_once(swept):
    assert swept[2] == 1 + 2 * 2  # the check of the environment, then training and evaluation


def test_points_are_the_runs_they_name(swept):
    out, _, _ = swept
    points = result_of(out)["points"]
    assert [point["settings"] for point in points] == [
        {"learner.network.hidden": hidden, "hp.learning_rate": rate}
        for hidden in ([8], [4, 4])
        for rate in (1e-7, 1e-2)
    ]
    assert [point["folder"] for point in points] == ["shape_000"] * 2 + ["shape_001"] * 2
    for point in (points[1], points[2]):
        alone = train(
            walk.config(
                seeds=2,
                hp={"learning_rate": point["settings"]["hp.learning_rate"]},
                learner={
                    "minibatches": 2,
                    "epochs": 2,
                    "network": {"hidden": tuple(point["settings"]["learner.network.hidden"])},
                },
            )
        )
        np.testing.assert_allclose(point["eval_return"], alone.eval_return, rtol=1e-4)
        trained = load(out / point["folder"])
        runs = slice(*point["runs"])
        ours = [x[runs] for x in host(trained.learner_state)]
        assert_close(ours, host(alone.states[0].learner))


def test_points_are_evaluated_each_by_itself(swept):
    found = evaluate_folder(swept[0] / "shape_000", 4, max_steps=20)
    assert math.isnan(found["iqm"]) and np.isnan(found["ci95"]).all()
    assert [point["hp"]["learning_rate"] for point in found["points"]] == [1e-7, 1e-2]
    for point, returns in zip(found["points"], found["eval_return"].reshape(2, 2), strict=True):
        assert point["iqm"] == pytest.approx(returns.mean())
        np.testing.assert_array_equal(point["eval_return"], returns)


def test_results_agree_with_each_other(swept):
    out, table, _ = swept
    result = result_of(out)
    points = result["points"]
    for point in points:
        assert point["iqm"] == pytest.approx(statistics.iqm(point["eval_return"]))
        assert point["ci95"] == [None, None]  # of two seeds
        assert point["diverged"] == 0 and point["env_steps"] == 640
    assert result["best"] == max(points, key=lambda point: point["iqm"])
    assert len({point["iqm"] for point in points}) >= 3, "choose other rates: the points do not differ"
    assert {"algorithm", "env", "seeds", "seed", "compile_seconds", "versions", "git", "device"} <= set(
        result
    )
    assert table == (out / "sweep.md").read_text() and "2 seeds are too few for an interval" in table
    lines = table.splitlines()[4:]
    rates = [float(line.split("|")[2]) for line in lines]
    ranked = sorted(points, key=lambda point: -point["iqm"])
    assert rates == [point["settings"]["hp.learning_rate"] for point in ranked]
    with (out / "sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["iqm"]) for row in rows] == [point["iqm"] for point in points]
    assert [[float(row["seed_0"]), float(row["seed_1"])] for row in rows] == [
        p["eval_return"] for p in points
    ]
    assert (out / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "shape_000" / "curves.png").exists()


def test_a_sweep_of_one_point_is_a_plain_run_bit_for_bit(tmp_path):
    config = walk.config(seeds=2)
    sweep(config, tmp_path / "sweep", grid=["hp.learning_rate=1e-2"])
    plain = train(dataclasses.replace(config, hp=dataclasses.replace(config.hp, learning_rate=1e-2)))
    assert result_of(tmp_path / "sweep")["points"][0]["eval_return"] == plain.eval_return
    for a, b in zip(
        host(load(tmp_path / "sweep" / "shape_000").learner_state), host(plain.states[0].learner), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_random_draws_are_written_down_and_depend_on_the_seed_alone():
    config = walk.config()
    random = ["hp.learning_rate=log:1e-4:1e-2", "hp.clip=0.1:0.3"]
    made = plan(config, ["num_envs=4,8"], random, 200)
    assert made == plan(config, ["num_envs=4,8"], random, 200)
    assert [shape.settings for shape in made.shapes] == [{"num_envs": 4}, {"num_envs": 8}]
    assert made.shapes[0].points == made.shapes[1].points
    rates, clips = (
        np.array([p[f"hp.{name}"] for p in made.shapes[0].points]) for name in ("learning_rate", "clip")
    )
    # Kolmogorov's 0.1 % bound for 200 draws is 0.137.
    for uniform in (np.log(rates / 1e-4) / math.log(100), (clips - 0.1) / 0.2):
        assert uniform.min() >= 0 and uniform.max() <= 1
        assert np.abs(np.sort(uniform) - (np.arange(200) + 0.5) / 200).max() < 0.14
    assert abs(np.corrcoef(np.log(rates), clips)[0, 1]) < 0.25
    other = plan(dataclasses.replace(config, seed=1), (), random, 200)
    assert other.shapes[0].points != made.shapes[0].points
    assert plan(config, (), random, 5).shapes[0].points == made.shapes[0].points[:5]


def test_an_interrupted_sweep_goes_on_as_if_nothing_had_been(swept, tmp_path, monkeypatch):
    whole, out = result_of(swept[0]), tmp_path / "cut"
    real, calls = loops.Loop.advance, []

    def advance(self, *arguments):
        calls.append(1)
        if len(calls) == 7:  # the second row of the second program
            raise Interrupted("SIGINT", "…")
        real(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loops.Loop, "advance", advance)
        with pytest.raises(Interrupted, match=f"SIGINT in shape_001, 2 of 2; continue with: .* resume {out}"):
            sweep(walk.config(seeds=2), out, grid=GRID)
    assert not (out / "result.json").exists()
    with pytest.raises(ValueError, match="is not empty: continue its sweep with --resume"):
        sweep(walk.config(seeds=2), out, grid=GRID)
    with pytest.raises(ValueError, match="started with other settings"):
        sweep(walk.config(seeds=2), out, grid=GRID[:1], resume=True)
    # A program of the sweep is not taken for a run by itself.
    with pytest.raises(ValueError, match="other points of a sweep"):
        train(walk.config(seeds=2), out / "shape_000", resume=True)
    assert resume_sweep(out) == swept[1]
    again = result_of(out)
    assert again["points"] == whole["points"] and again["best"] == whole["best"]
    walk.forget()
    assert sweep(walk.config(seeds=2), out, grid=GRID, resume=True) == swept[1]
    assert len(walk.traces) <= 2  # nothing was trained again
    rows = report([out / "shape_000"], tmp_path / "report", resamples=200).comparison.rows
    iqms = sorted((point["iqm"] for point in again["points"][:2]), reverse=True)
    assert [row.iqm.value for row in rows] == pytest.approx(iqms)


@pytest.mark.usefixtures("swept")  # which has compiled it
def test_a_signal_during_the_last_evaluation_of_a_program_begins_no_other(tmp_path, monkeypatch):
    out = tmp_path / "cut"
    monkeypatch.setattr(loops.Loop, "finish", late(loops.Loop.finish))
    with pytest.raises(Interrupted, match=f"^SIGTERM after shape_000, 1 of 2; continue with: .* {out}$"):
        sweep(walk.config(seeds=2), out, grid=GRID)
    assert result_of(out / "shape_000") and not (out / "shape_001").exists()


def points_of(made):
    return [shape.settings | point for shape in made.shapes for point in shape.points]


@pytest.mark.parametrize("total", [1, 2, 3, 5, 12])
def test_parts_share_all_points_out_evenly(total):
    whole = plan(walk.config(), ["num_envs=4,8", "hp.gamma=0.9,0.99"], ["hp.clip=0.1:0.3"], 3)
    parts = [of_part(whole, f"{i + 1}/{total}") for i in range(total)]
    assert [point for part in parts for point in points_of(part)] == points_of(whole)
    sizes = [len(points_of(part)) for part in parts]
    assert max(sizes) - min(sizes) <= 1 and all(shape.points for part in parts for shape in part.shapes)
    assert [len(part.shapes) for part in parts].count(
        2
    ) <= 1  # programs are cut at no more borders than there are
    for part, message in [
        ("13/13", "the sweep has 12 points; it can have that many parts at most"),
        *((text, "must be I/N") for text in ("0/3", "4/3", "2", "1/2/3", "a/b", "/", "1/0", "01/2", "-1/2")),
    ]:
        with pytest.raises(ValueError, match=f"part is {part!r}.*{message}"):
            of_part(whole, part)


def test_parts_are_sweeps_of_their_own_that_a_report_merges(swept, tmp_path):
    whole, out = result_of(swept[0])["points"], tmp_path / "grid"
    for part in ("2/3", "1/3", "3/3"):
        sweep(walk.config(seeds=2), out, grid=GRID, part=part)
        if part == "1/3":
            notes = report([out], tmp_path / "early", resamples=200).notes
            assert f"{out} lacks part 3 of 3 of its sweep." in notes
    assert sorted(path.name for path in out.iterdir()) == [f"part_{i}_of_3" for i in (1, 2, 3)]
    found = [point for i in (1, 2, 3) for point in result_of(out / f"part_{i}_of_3")["points"]]
    assert [point["settings"] for point in found] == [point["settings"] for point in whole]
    for point, alike in zip(found, whole, strict=True):
        np.testing.assert_allclose(point["eval_return"], alike["eval_return"], rtol=1e-4)
    assert json.loads((out / "part_2_of_3" / "sweep.json").read_text())["part"] == "2/3"
    assert "part" not in json.loads((swept[0] / "sweep.json").read_text())
    merged = report([out], tmp_path / "report", resamples=200).comparison.rows
    by_iqm = sorted(whole, key=lambda point: -point["iqm"])
    assert [row.run.settings for row in merged] == [point["settings"] for point in by_iqm]
    before = (out / "part_2_of_3" / "sweep.md").read_text()
    assert resume_sweep(out / "part_2_of_3") == before
    assert sweep(walk.config(seeds=2), out, grid=GRID, part="2/3", resume=True) == before
    with pytest.raises(ValueError, match="part_2_of_3 was started with other settings"):
        sweep(walk.config(seeds=2), out, grid=[GRID[0], "num_envs=4,8"], part="2/3", resume=True)


def test_a_part_is_checked_by_itself(tmp_path):
    # 2 shapes of 4 points and 5 seeds: groups of 10 fit the whole, and not the single point of the second shape.
    config = dataclasses.replace(walk.config(), seeds=5, group=10)
    with pytest.raises(ValueError, match="group is 10; it must divide the number of runs, 5"):
        sweep(config, tmp_path / "out", grid=["hp.clip=0.1,0.2,0.3,0.4", "num_envs=4,8"], part="2/3")
    assert not (tmp_path / "out").exists()


def test_points_that_name_other_files_are_not_held_to_a_checksum(tmp_path):
    config = dataclasses.replace(
        walk.config(), objective="a/file/that/is/gone.json", objective_sha256="0" * 64
    )
    # What the file was is known of the one that the configuration names alone.
    assert len(plan(config, ["objective=ppo-clip"]).shapes) == 1


def test_out_is_the_same_for_every_part(tmp_path):
    out = tmp_path / "grid" / "part_1_of_2"
    with pytest.raises(
        ValueError, match=f"out is {out}, which is the folder of a part already: .* here {out.parent}"
    ):
        sweep(walk.config(), out, grid=GRID, part="2/2")
    assert not out.parent.exists()


def test_lost_seeds_are_counted_and_rank_last(tmp_path):
    # The rate is an option of the environment, so a program of its own.
    config = walk.config(updates=20, seeds=4)
    table = sweep(config, tmp_path / "some", grid=["env_options.nan_rate=0.002,0,1"])
    some, none, every = result_of(tmp_path / "some")["points"]
    assert 0 < some["diverged"] < 4 and some["eval_return"].count(None) == some["diverged"]
    assert none["diverged"] == 0 and every["diverged"] == 4
    assert every["iqm"] is None and every["eval_return"] == [None] * 4
    assert result_of(tmp_path / "some")["best"] == none
    assert [line.split("|")[1].strip() for line in table.splitlines()[4:]] == ["0", "0.002", "1"]
    with pytest.raises(Diverged, match="no run of any of the 1 points"):
        sweep(config, tmp_path / "every", grid=["env_options.nan_rate=1"])


def test_folders_are_looked_after(tmp_path):
    config = walk.config()
    with pytest.raises(ValueError, match="there is no sweep folder"):
        resume_sweep(tmp_path / "none")
    train(config, tmp_path / "run")
    with pytest.raises(
        ValueError, match="holds a training run, not a sweep: evaluate, render and report take it"
    ):
        sweep(config, tmp_path / "run", grid=["hp.clip=0.1"], resume=True)
    with pytest.raises(ValueError, match="will not overwrite .* it holds a training run, not a sweep"):
        sweep(config, tmp_path / "run", grid=["hp.clip=0.1"], overwrite=True)
    sweep(config, tmp_path / "sweep", grid=["hp.clip=0.1"])
    with pytest.raises(ValueError, match="will not overwrite .* it holds a sweep, not a training run"):
        train(config, tmp_path / "sweep", overwrite=True)
    before = sorted((tmp_path / "sweep").rglob("*"))
    with pytest.raises(ValueError, match="hp.gamma is 7.0"):
        sweep(config, tmp_path / "sweep", grid=["hp.gamma=7"], overwrite=True)
    assert sorted((tmp_path / "sweep").rglob("*")) == before
    sweep(config, tmp_path / "sweep", grid=["hp.clip=0.2"], overwrite=True)
    assert result_of(tmp_path / "sweep")["points"][0]["settings"] == {"hp.clip": 0.2}
    (tmp_path / "sweep" / "sweep.json").write_text('{"config": {}}')
    with pytest.raises(ValueError, match="is damaged: it is no plan"):
        resume_sweep(tmp_path / "sweep")


REFUSED = {
    "nothing": ({}, "needs something to vary"),
    "no values": ({"grid": ["num_envs"]}, "must read FIELD=V1,V2"),
    "empty": ({"grid": ["num_envs="]}, "must read FIELD=V1,V2"),
    "unknown": ({"grid": ["num_env=4"]}, "no field 'num_env': did you mean num_envs"),
    "unknown hp": ({"grid": ["hp.learning=1"]}, "hp has no field 'learning': did you mean learning_rate"),
    "wrong type": ({"grid": ["num_envs=4,many"]}, "num_envs is 'many'; it must be a whole number"),
    "twice": ({"grid": ["num_envs=4,8,4"]}, "gives num_envs the value 4 twice"),
    "axis twice": ({"grid": ["num_envs=4", "num_envs=8"]}, "names num_envs twice"),
    "seeds": ({"grid": ["seeds=1,2"]}, "seeds, which all points of a sweep share"),
    "env": ({"grid": ["env=a,b"]}, "env, which all points of a sweep share"),
    "rows": ({"grid": ["evaluation.times=1,2"]}, "does not change what is learned"),
    "range": ({"grid": ["hp.gamma=0.9,1.2"]}, "hp.gamma is 1.2; it must be a number between 0 and 1"),
    "sizes": ({"grid": ["learner.minibatches=2,3"]}, "minibatches is 3; it must divide"),
    "size": ({"grid": ["num_envs=4,0"]}, "num_envs is 0"),
    "resets": ({"grid": ["resets=full,half"]}, "resets is 'half'"),
    "objective": ({"grid": ["objective=pppo-clip"]}, "objective is 'pppo-clip'.*did you mean ppo-clip"),
    "no range": ({"random": ["hp.clip=0.1"]}, "must read FIELD=LOW:HIGH"),
    "three ends": ({"random": ["hp.clip=0.1:0.2:0.3"]}, "must read FIELD=LOW:HIGH"),
    "backwards": ({"random": ["hp.clip=0.3:0.1"]}, "between 0.3 and 0.1; the first must be less"),
    "log of nothing": ({"random": ["hp.clip=log:0:0.1"]}, "both ends must be above 0"),
    "endless": ({"random": ["hp.clip=0:inf"]}, "between 0.0 and inf"),
    "static": ({"random": ["num_envs=4:8"]}, "only hyperparameters"),
    "both": ({"grid": ["hp.clip=0.1"], "random": ["hp.clip=0.1:0.2"]}, "varies hp.clip twice"),
    "samples of nothing": (
        {"grid": ["hp.clip=0.1"], "samples": 50},
        "samples is 50, but nothing is drawn: it is for --random",
    ),
    "one sample": ({"grid": ["learner.minibatches=2,64"]}, "minibatches is 64, as many as there are samples"),
    "no samples": ({"random": ["hp.clip=0.1:0.2"], "samples": 0}, "samples is 0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_the_field_and_touch_nothing(name, tmp_path):
    options, message = REFUSED[name]
    with pytest.raises(ValueError, match=message) as caught:
        sweep(walk.config(), tmp_path / "out", **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
