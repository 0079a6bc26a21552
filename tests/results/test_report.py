"""Reports made from written run folders: numbers, files, notes, and refusals."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jaxrl_evolve.results import figures, statistics
from jaxrl_evolve.results.report import ReportError, compare, read_run, read_runs, report
from jaxrl_evolve.results.report.pooled import pooled
from jaxrl_evolve.results.scores import normalise
from jaxrl_evolve.storage.unwritten import ASIDE

FAST = {"resamples": 300}


def _run(
    folder: Path,
    algorithm="ppo",
    env="CartPole-v1",
    returns=(500.0, 480.0, 450.0, 500.0, 490.0),
    evals=5,
    **fields,
):
    """Write a run folder as `train` does; ``evals=0`` leaves training returns only."""
    folder.mkdir(parents=True)
    returns = list(returns)
    result = {
        "algorithm": algorithm,
        "env": env,
        "seeds": len(returns),
        "env_steps": 5000,
        "eval_return": returns,
        "iqm": 0.0,
        "ci95": [0.0, 0.0],
        "compile_seconds": 4.5,
        "run_seconds": 20.0,
        "steps_per_second": 123456.0,
        "device": {"platform": "cpu", "kind": "cpu", "count": 1},
        "versions": {"jax": "0.10.2"},
        "seed": 7,
        "git": {"commit": "0123456789abcdef", "dirty": True},
    } | fields
    (folder / "config.json").write_text(json.dumps({"env": env}))
    (folder / "result.json").write_text(json.dumps(result))
    lines = []
    for i in range(1, 6):
        row = {"env_steps": i * 1000, "updates": i, "seconds": i * 0.1}
        row["episode_return"] = [None if i == 1 or r is None else r * i / 5 for r in returns]
        if i <= evals:
            row["eval_return"] = [None if r is None else r * i / 5 for r in returns]
        lines.append(json.dumps(row) + "\n")
    (folder / "metrics.jsonl").write_text("".join(lines))
    return folder


def _cells(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _two_by_two(root: Path) -> Path:
    rng = np.random.default_rng(0)
    for env, top, names in (("CartPole-v1", 500, ("ppo", "a2c")), ("Breakout-MinAtar", 50, ("ppo", "a2c"))):
        for i, algorithm in enumerate(names):
            _run(
                root / f"{algorithm}-{env}", algorithm, env, top * rng.uniform(0.7 - 0.4 * i, 1 - 0.4 * i, 6)
            )
    return root


def test_runs_that_were_evaluated_on_drawn_tasks_are_on_a_task_of_their_own(tmp_path):
    _run(tmp_path / "fixed", env="grid/random-small")
    _run(tmp_path / "drawn", env="grid/random-small", curriculum="random", tasks="drawn")

    tasks = {read_run(tmp_path / name).task for name in ("fixed", "drawn")}

    assert tasks == {"grid/random-small", "grid/random-small, drawn tasks"}


def test_one_run(tmp_path):
    folder = _run(tmp_path / "cartpole")
    found = report([folder], tmp_path / "out", **FAST)
    (row,) = found.comparison.rows
    assert (row.label, row.run.task, row.run.env_steps) == ("ppo", "CartPole-v1", 5000)
    returns = [500.0, 480.0, 450.0, 500.0, 490.0]
    assert row.iqm.value == pytest.approx(490.0)
    assert row.iqm[1:] == statistics.stratified_bootstrap(returns, resamples=300)
    assert row.normalised.value == pytest.approx(statistics.iqm(normalise("CartPole-v1", returns)))
    assert row.mean == pytest.approx(484.0)
    names = {path.name for path in found.files}
    assert names == {"report.md", "results.csv", "returns.csv", "final_returns.png", "learning_curves.png"}
    assert names == {path.name for path in (tmp_path / "out").iterdir()}
    assert not found.comparison.aggregates
    assert not found.comparison.improvement
    assert (tmp_path / "out/report.md").read_text() == found.markdown
    assert "| CartPole-v1 | ppo | 5 | 5,000 | 490.0 |" in found.markdown
    assert "| 123,456 | 4.50 | 20.0 |" in found.markdown
    assert f"| {folder} | 7 | 0123456789 (changed) | cpu | 0.10.2 |" in found.markdown
    assert found.notes == ()


def test_tables_for_programs_hold_full_precision(tmp_path):
    returns = [0.1 + 0.2, 1e-9, None, 12345.678901234567]
    report([_run(tmp_path / "run", returns=returns, env="mine/Unknown-v0")], tmp_path / "out", **FAST)
    lines = _cells(tmp_path / "out/returns.csv")
    assert [line["eval_return"] for line in lines] == [repr(r) if r is not None else "" for r in returns]
    assert {line["normalised"] for line in lines} == {""}
    (line,) = _cells(tmp_path / "out/results.csv")
    assert float(line["iqm"]) == pytest.approx(statistics.iqm([0.3, 1e-9, 1e-9, 12345.678901234567]))
    assert line["normalised_iqm"] == ""
    assert line["steps_per_second"] == "123456.0"


def test_algorithms_and_environments_are_compared(tmp_path):
    found = report([_two_by_two(tmp_path / "runs")], tmp_path / "out", **FAST)
    comparison = found.comparison
    assert [(row.run.task, row.label) for row in comparison.rows] == [
        ("Breakout-MinAtar", "a2c"),
        ("Breakout-MinAtar", "ppo"),
        ("CartPole-v1", "a2c"),
        ("CartPole-v1", "ppo"),
    ]
    by = {(row.label, row.run.task): row.run.returns for row in comparison.rows}
    tasks = ["Breakout-MinAtar", "CartPole-v1"]
    scores = np.stack([normalise(task, by["ppo", task]) for task in tasks], axis=1)
    assert comparison.aggregates["ppo"].iqm.value == pytest.approx(statistics.iqm(scores))
    assert comparison.aggregates["ppo"].optimality_gap.value == pytest.approx(
        statistics.optimality_gap(scores)
    )
    matrix = [np.stack([by[label, task] for task in tasks], axis=1) for label in ("a2c", "ppo")]
    assert list(comparison.improvement) == [("a2c", "ppo")]
    expected = statistics.probability_of_improvement(*matrix, resamples=300)
    assert comparison.improvement["a2c", "ppo"] == expected
    assert expected.value < 0.2
    assert {"aggregates.png", "probability_of_improvement.png"} <= {path.name for path in found.files}
    assert "| a2c over ppo |" in found.markdown
    for path in found.files:
        assert path.stat().st_size > 100
        assert path.suffix != ".png" or path.name in found.markdown


def test_same_runs_same_report(tmp_path):
    root = _two_by_two(tmp_path / "runs")
    first = report([root], tmp_path / "a", **FAST)
    second = report([root], tmp_path / "b", **FAST)
    for x, y in zip(first.files, second.files, strict=True):
        assert x.read_bytes() == y.read_bytes()


def test_only_shared_environments_are_aggregated(tmp_path):
    root = _two_by_two(tmp_path / "runs")
    _run(root / "extra", "ppo", "Acrobot-v1", [-80.0, -90.0])
    _run(root / "unscaled", "ppo", "mine/Own-v0", [1.0, 2.0])
    found = report([root], tmp_path / "out", **FAST).comparison
    assert {a.tasks for a in found.aggregates.values()} == {2}
    (root / "a2c-CartPole-v1/result.json").unlink()
    found = report([root], tmp_path / "out", **FAST)
    assert not found.comparison.aggregates
    assert f"{root / 'a2c-CartPole-v1'} is left out: it has no result.json yet." in found.notes


def test_seed_counts_may_differ_between_environments(tmp_path):
    folders = [
        _run(tmp_path / "p1", "ppo", "CartPole-v1", [500.0, 400.0, 300.0]),
        _run(tmp_path / "p2", "ppo", "Acrobot-v1", [-80.0, -90.0]),
        _run(tmp_path / "a1", "a2c", "CartPole-v1", [100.0, 90.0]),
        _run(tmp_path / "a2", "a2c", "Acrobot-v1", [-500.0, -490.0]),
    ]
    found = report(folders, tmp_path / "out", **FAST)
    assert found.comparison.aggregates["ppo"].runs == 2
    assert found.comparison.improvement["ppo", "a2c"].value == 1.0
    notes = [note for note in found.notes if "first 2 seeds of ppo" in note]
    assert len(notes) == 1


def test_diverged_seeds_count_as_the_worst_and_are_told(tmp_path):
    found = report(
        [_run(tmp_path / "run", returns=[500.0, None, 400.0, 300.0, 350.0])], tmp_path / "out", **FAST
    )
    (row,) = found.comparison.rows
    assert row.mean == pytest.approx((500 + 300 + 400 + 300 + 350) / 5)
    assert found.notes == ("ppo on CartPole-v1: 1 of 5 seeds diverged and count as the worst of the others.",)


def test_seeds_that_diverged_among_the_first_do_not_end_a_report(tmp_path):
    """Of the first three seeds none is finite; the worst of all five stands in for each."""
    acrobat = [-80.0, -90.0, -100.0]
    folders = [
        _run(tmp_path / "p1", "ppo", "CartPole-v1", [None, None, None, 400.0, 450.0]),
        _run(tmp_path / "p2", "ppo", "Acrobot-v1", acrobat),
        _run(tmp_path / "a1", "a2c", "CartPole-v1", [100.0, 90.0, 95.0]),
        _run(tmp_path / "a2", "a2c", "Acrobot-v1", [-500.0, -490.0, -495.0]),
    ]
    found = report(folders, tmp_path / "out", **FAST)
    scores = [*normalise("CartPole-v1", [400.0] * 3), *normalise("Acrobot-v1", acrobat)]
    assert found.comparison.aggregates["ppo"].mean.value == pytest.approx(np.mean(scores))
    # Whoever diverged is never better; the others always are.
    assert found.comparison.improvement["ppo", "a2c"].value == 0.5


def test_root_seeds_are_pooled_where_that_is_asked_for(tmp_path):
    first, second = [500.0, 480.0, None], [450.0, 400.0]
    folders = [
        _run(tmp_path / "spr/Pole/seed-0", "spr", returns=first),
        _run(tmp_path / "spr/Pole/seed-1", "spr", returns=second, seed=8, evals=4, run_seconds=30.0),
        _run(tmp_path / "spr/Bot/seed-0", "spr", "Acrobot-v1", [-80.0, -90.0, -85.0]),
    ]
    found = report(folders, tmp_path / "out", labels=["mine"] * 3, pool=True, notes=["Said before."], **FAST)
    pole, bot = found.comparison.rows
    assert (pole.label, bot.label, len(bot.run.returns)) == ("mine", "mine", 3)
    np.testing.assert_array_equal(pole.run.returns, np.array([*first, *second], np.float64))
    assert pole.iqm.value == pytest.approx(statistics.iqm([500.0, 480.0, 400.0, 450.0, 400.0]))
    steps, values = pole.run.curves["eval_return"]
    assert (steps.tolist(), values.shape) == ([1000, 2000, 3000, 4000], (5, 4))
    np.testing.assert_allclose(values[3:, 3], np.array(second) * 0.8)
    assert (pole.run.folder, pole.run.result["run_seconds"]) == (tmp_path / "spr/Pole", 50.0)
    assert pole.run.result["steps_per_second"] == 5 * 5000 / 50.0
    for folder, seed in zip(folders, (7, 8, 7), strict=True):
        assert f"| {folder} | {seed} |" in found.markdown
    assert found.comparison.aggregates["mine"].runs == 3
    assert found.notes[0] == "Said before."
    apart = report(folders, tmp_path / "apart", labels=["mine"] * 3, **FAST)
    assert [row.label[-8:] for row in apart.comparison.rows] == ["(seed-0)", "(seed-1)", "(seed-0)"]


def test_that_too_little_is_shared_is_told(tmp_path):
    folders = [
        _run(tmp_path / "p1", "ppo", "CartPole-v1"),
        _run(tmp_path / "p2", "ppo", "Acrobot-v1", [-80.0] * 5),
        _run(tmp_path / "a1", "a2c", "CartPole-v1"),
    ]
    found = report(folders, tmp_path / "out", **FAST)
    said = "Nothing is said across environments: of those with a scale ppo, a2c share 1."
    assert said in found.notes and not found.comparison.aggregates


def test_runs_of_one_name_are_told_apart(tmp_path):
    for rate, value in (("1e-3", 500.0), ("1e-4", 300.0)):
        _run(tmp_path / "sweep" / rate, returns=[value, value - 1])
    _run(tmp_path / "other" / "1e-3", returns=[400.0, 399.0])
    found = report([tmp_path / "sweep"], tmp_path / "out", **FAST)
    assert [row.label for row in found.comparison.rows] == ["ppo (1e-3)", "ppo (1e-4)"]
    found = report([tmp_path / "sweep", tmp_path / "other"], tmp_path / "out", **FAST)
    assert [row.label for row in found.comparison.rows] == [
        "ppo (sweep/1e-3)",
        "ppo (sweep/1e-4)",
        "ppo (other/1e-3)",
    ]
    folders = [tmp_path / "sweep" / "1e-4", tmp_path / "other"]
    found = report(folders, tmp_path / "out", labels=["fast", "slow"], **FAST)
    assert list(found.comparison.improvement) == [("fast", "slow")]
    found = report([tmp_path / "sweep", *folders[1:]], tmp_path / "out", labels=["x", "y"], **FAST)
    assert [row.label for row in found.comparison.rows] == ["x (1e-3)", "x (1e-4)", "y"]
    with pytest.raises(ReportError, match="there are 1 labels for 2 folders; give one for each"):
        report(folders, tmp_path / "none", labels=["x"])
    assert not (tmp_path / "none").exists()


def test_a_seed_each_says_nothing_of_how_often_one_is_better(tmp_path):
    for name, returns in {"ppo": [400.0], "a2c": [300.0], "lpo": [200.0, 210.0]}.items():
        _run(tmp_path / "runs" / name, name, returns=returns)
    found = report([tmp_path / "runs"], tmp_path / "out", **FAST)
    assert list(found.comparison.improvement) == [("a2c", "lpo"), ("lpo", "ppo")]
    assert "a2c and ppo have a seed each, which says nothing of how often one is better." in found.notes


def test_many_algorithms_are_compared_with_the_first_only(tmp_path):
    for i in range(8):
        _run(tmp_path / f"runs/{i}", f"algorithm{i}", returns=[float(i), i + 1.0])
    found = report([tmp_path / "runs"], tmp_path / "out", **FAST)
    assert list(found.comparison.improvement) == [("algorithm0", f"algorithm{i}") for i in range(1, 8)]
    assert any("against algorithm0 only" in note for note in found.notes)


def test_environment_options_make_another_task(tmp_path):
    folders = [
        _run(tmp_path / "a", env="brax/ant", env_options={"backend": "positional"}, returns=[6517.0, 6517.0]),
        _run(tmp_path / "b", env="brax/ant", returns=[3000.0, 2000.0]),
    ]
    rows = report(folders, tmp_path / "out", **FAST).comparison.rows
    assert [row.run.task for row in rows] == ["brax/ant[backend=positional]", "brax/ant"]
    assert rows[0].normalised.value == pytest.approx(1.0)
    assert rows[1].normalised is None


def test_learning_curves_prefer_evaluations(tmp_path):
    run = read_run(_run(tmp_path / "run", returns=[10.0, None], evals=3))
    steps, values = run.curves["eval_return"]
    np.testing.assert_array_equal(steps, [1000, 2000, 3000])
    np.testing.assert_allclose(values, [[2, 4, 6], [np.nan] * 3])
    assert len(run.curves["episode_return"][0]) == 5
    assert np.isnan(run.curves["episode_return"][1][0, 0])
    _run(tmp_path / "few", "a2c", evals=1)
    found = report([tmp_path / "run", tmp_path / "few"], tmp_path / "out", **FAST)
    assert any("show training episodes" in note for note in found.notes)


def test_a_last_line_cut_short_is_forgiven_but_no_other(tmp_path):
    folder = _run(tmp_path / "run")
    metrics = folder / "metrics.jsonl"
    whole = metrics.read_text()
    metrics.write_text(whole + '{"env_steps": 60')
    assert len(read_run(folder).curves["eval_return"][0]) == 5
    metrics.write_text('{"env_steps": 60\n' + whole)
    with pytest.raises(ReportError, match=r"metrics\.jsonl is damaged: line 1"):
        read_run(folder)
    metrics.write_text(whole + '{"env_steps": 6000, "eval_return": [1.0]}\n')
    with pytest.raises(ReportError, match="line 6: eval_return must have 5 numbers"):
        read_run(folder)
    metrics.unlink()
    assert read_run(folder).curves == {}
    found = report([folder], tmp_path / "out", **FAST)
    assert found.notes == ("ppo on CartPole-v1 has no learning curve in its metrics.jsonl.",)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"eval_return": None}, r"result\.json: eval_return is None; it must be a list"),
        ({"eval_return": [1.0, "x"]}, "eval_return must be a list with one number"),
        ({"eval_return": []}, "eval_return must be a list with one number"),
        ({"eval_return": [None, None]}, "no seed has a finite eval_return"),
        ({"env_steps": "many"}, "env_steps is 'many'; it must be a whole number"),
    ],
)
def test_wrong_fields_are_named(tmp_path, fields, sentence):
    folder = _run(tmp_path / "run", **fields)
    with pytest.raises(ReportError, match=sentence):
        report([folder], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_folders_without_results_are_refused(tmp_path):
    folder = _run(tmp_path / "run")
    result = folder / "result.json"
    whole = json.loads(result.read_text())
    result.write_text(json.dumps({k: v for k, v in whole.items() if k != "algorithm"}))
    with pytest.raises(ReportError, match=r"result\.json lacks the field 'algorithm'"):
        report([folder], tmp_path / "out")
    for damaged in (b'{"algorithm": "pp', b"\xff\xfe\x00", b"[1, 2]"):
        result.write_bytes(damaged)
        with pytest.raises(ReportError, match=r"run/result\.json is damaged"):
            report([folder], tmp_path / "out")
    result.unlink()
    with pytest.raises(ReportError, match=r"run has no result\.json: its run has not finished"):
        report([folder], tmp_path / "out")
    _run(tmp_path / "empty" / "run" / ASIDE)  # which another run is about to overwrite
    with pytest.raises(ReportError, match="empty holds no finished run"):
        report([tmp_path / "empty"], tmp_path / "out")
    with pytest.raises(ReportError, match="nowhere is not a folder"):
        report([tmp_path / "nowhere"], tmp_path / "out")
    with pytest.raises(ReportError, match="at least one run folder"):
        report([], tmp_path / "out")


def _sweep(folder: Path, shapes, seeds=2, part=None, finished=True):
    """Write a sweep: ``shapes`` are pairs of settings and the returns of each learning rate, None of an unfinished one."""
    folder.mkdir(parents=True)
    rates = [1e-3, 3e-4]
    plan = [
        {"settings": settings, "points": [{"hp.learning_rate": r} for r in rates]} for settings, _ in shapes
    ]
    (folder / "sweep.json").write_text(json.dumps({"kind": "sweep", "config": {}, "shapes": plan}))
    for i, (_, returns) in enumerate(shapes):
        if returns is not None:
            _run(folder / f"shape_{i:03d}", returns=np.ravel(returns).tolist(), seeds=seeds)
    if finished:
        (folder / "result.json").write_text("{}")
    return folder


def test_points_of_a_sweep_are_rows_with_their_settings(tmp_path):
    root = tmp_path / "runs"
    shapes = [
        ({"num_envs": 4}, [[100.0, 300.0], [500.0, 400.0]]),
        ({"num_envs": 8}, [[10.0, None], [20.0, 30.0]]),
    ]
    _sweep(root / "sweep", shapes)
    _run(root / "plain", returns=[50.0, 60.0])
    found = report([root], tmp_path / "out", **FAST)
    rows = found.comparison.rows
    assert [(row.label, row.iqm.value) for row in rows] == [
        ("ppo", 55.0),
        ("ppo num_envs=4, learning_rate=0.0003", 450.0),
        ("ppo num_envs=4, learning_rate=0.001", 200.0),
        ("ppo num_envs=8, learning_rate=0.0003", 25.0),
        ("ppo num_envs=8, learning_rate=0.001", 10.0),
    ]
    assert rows[1].run.settings == {"num_envs": 4, "hp.learning_rate": 3e-4}
    np.testing.assert_allclose(rows[1].run.curves["eval_return"][1][:, -1], [500.0, 400.0])
    lines = _cells(tmp_path / "out/results.csv")
    assert [line["settings"] for line in lines][:2] == ["", json.dumps(rows[1].run.settings)]
    assert "| ppo num_envs=4, learning_rate=0.0003 | 2 | 5,000 | 450.0 | none |" in found.markdown
    assert lines[0]["steps_per_second"] == "123456.0" and lines[1]["steps_per_second"] == ""
    assert any("ppo num_envs=8, learning_rate=0.001 on CartPole-v1: 1 of 2" in note for note in found.notes)
    assert any("is partly luck" in note for note in found.notes)
    named = report([root / "sweep", root / "plain"], tmp_path / "out", labels=["tuned", "plain"], **FAST)
    assert [row.label for row in named.comparison.rows][:2] == [
        "plain",
        "tuned num_envs=4, learning_rate=0.0003",
    ]


def _point(clip=0.2, **hp):
    return {"hp": {"gamma": 0.99, "clip": clip} | hp}


def test_points_of_a_run_are_rows_and_not_its_seeds(tmp_path):
    rates = [_point(learning_rate=rate) for rate in (1e-3, 3e-4)]
    folder = _run(tmp_path / "run", returns=[1.0, 2.0, 5.0, 6.0], seeds=2, points=rates)
    found = report([folder], tmp_path / "out", **FAST)
    rows = found.comparison.rows
    assert [(row.label, row.iqm.value, len(row.run.returns)) for row in rows] == [
        ("ppo learning_rate=0.0003", 5.5, 2),
        ("ppo learning_rate=0.001", 1.5, 2),
    ]
    np.testing.assert_allclose(rows[0].run.curves["eval_return"][1][:, -1], [5.0, 6.0])
    assert any("is partly luck" in note for note in found.notes)
    with pytest.raises(ReportError, match="run has points"):
        read_run(folder)


@pytest.mark.parametrize(
    ("points", "settings"),
    [
        ([_point(0.1)], [{"hp.clip": 0.1}]),  # what the configuration has otherwise
        ([_point()], [{}]),
        ([_point(), _point()], [{"point": 0}, {"point": 1}]),
        ([_point(0.1), _point(0.1)], [{"point": 0, "hp.clip": 0.1}, {"point": 1, "hp.clip": 0.1}]),
    ],
)
def test_settings_of_points_are_what_tells_them_from_others(tmp_path, points, settings):
    folder = _run(tmp_path / "run", returns=[2.0, 1.0], seeds=1, points=points)
    (folder / "config.json").write_text(json.dumps(_point()))
    assert [
        row.run.settings for row in report([folder], tmp_path / "out", **FAST).comparison.rows
    ] == settings


@pytest.mark.parametrize("points", [[], None, 3 * [{}], {"hp": 1}])
def test_points_that_do_not_fit_are_refused(tmp_path, points):
    folder = _run(tmp_path / "run", points=points)
    with pytest.raises(ReportError, match=r"result\.json: points must be a list of objects, each with the "):
        report([folder], tmp_path / "out")
    _run(tmp_path / "lost", returns=[None, 1.0], points=[_point(0.1), _point()])
    assert (
        f"Point 0 of {tmp_path / 'lost'} is left out: all of its seeds diverged."
        in read_runs(tmp_path / "lost")[1]
    )


def test_parts_of_a_sweep_are_merged_and_what_is_missing_is_told(tmp_path):
    root = tmp_path / "sweep"
    _sweep(root / "part_1_of_3", [({"num_envs": 4}, [[1.0, 2.0], [3.0, 4.0]])])
    _sweep(
        root / "part_3_of_3",
        [({"num_envs": 8}, [[5.0, 6.0], [None, None]]), ({"num_envs": 9}, None)],
        finished=False,
    )
    found = report([root], tmp_path / "out", **FAST)
    assert [row.iqm.value for row in found.comparison.rows] == [5.5, 3.5, 1.5]
    assert f"{root} lacks part 2 of 3 of its sweep." in found.notes
    left_out = root / "part_3_of_3"
    assert f"{left_out / 'shape_001'} is left out: it has no result.json yet." in found.notes
    assert f"Point 1 of {left_out / 'shape_000'} is left out: all of its seeds diverged." in found.notes
    for damage, message in [
        ('{"shapes": 3}', "sweep.json is damaged: it is no plan of a sweep"),
        (
            '{"shapes": [{"settings": {}, "points": [{}, {}, {}]}]}',
            "has 4 numbers, which 3 points cannot share",
        ),
    ]:
        (root / "part_1_of_3" / "sweep.json").write_text(damage)
        with pytest.raises(ReportError, match=message):
            report([root / "part_1_of_3"], tmp_path / "none")


def test_parts_in_folders_of_their_own_are_not_missing(tmp_path):
    for part in ("part_1_of_2", "part_2_of_2"):
        _sweep(tmp_path / "sweep" / part / part, [({"num_envs": int(part[5])}, [[1.0, 2.0], [3.0, 4.0]])])
    found = report([tmp_path / "sweep"], tmp_path / "out", **FAST)
    assert len(found.comparison.rows) == 4 and not any("lacks part" in note for note in found.notes)
    found = report([tmp_path / "sweep" / part], tmp_path / "out", **FAST)
    assert f"{tmp_path / 'sweep'} lacks part 1 of 2 of its sweep." in found.notes


def test_figures_show_the_best_points_of_a_large_sweep(tmp_path, monkeypatch):
    shapes = [({"num_envs": n}, [[n, n], [n + 0.5, n + 0.5]]) for n in range(1, 21)]
    _sweep(tmp_path / "sweep", [*shapes])
    drawn = {}
    monkeypatch.setattr(
        figures, "comparison", lambda found, path, **_: drawn.setdefault(path.name, found) and path
    )
    monkeypatch.setattr(
        figures, "learning_curves", lambda curves, path, **_: drawn.setdefault(path.name, curves) and path
    )
    monkeypatch.setattr(figures, "probability_of_improvement", lambda found, path: path)
    found = report([tmp_path / "sweep"], tmp_path / "out", **FAST)
    assert len(found.comparison.rows) == 40
    assert [e.value for e in drawn["final_returns.png"]["CartPole-v1"].values()][::29] == [20.5, 6.0]
    assert [len(drawn["final_returns.png"]["CartPole-v1"]), len(drawn["learning_curves.png"])] == [30, 10]
    assert (
        "Of the 40 points of sweeps on CartPole-v1 the best 30 are drawn; the table has all." in found.notes
    )


META = {"objective": "ta-lpg", "env": "grid/random-small", "generations": 7, "env_steps": 9000}


def _meta(folder: Path, **fields):
    """Write a meta-training of two held-out tasks, the second of which has no optimum to be a fraction of."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"kind": "meta-train", "env_options": {"size": 5}}))
    result = META | {"test_fitness": [3.0, -2.0], "test_optimum": [4.0, 0.0]} | fields
    (folder / "result.json").write_text(json.dumps(result))
    return folder


def test_meta_trainings_have_a_table_of_their_own(tmp_path):
    root = tmp_path / "runs"
    _run(root / "ppo")
    _meta(root / "meta")
    _meta(root / "raw", test_optimum=None, objective="lpo")
    swept = root / "swept"
    swept.mkdir()
    (swept / "sweep.json").write_text(
        json.dumps({"kind": "meta-sweep", "points": [], "config": {"generations": 8}})
    )
    points = [
        {"settings": {"evolution.sigma": s}, "test_fitness": x, "env_steps": 12}
        for s, x in ((0.1, [0.1, 0.3, None]), (0.3, [0.5, 0.5, 0.6]))
    ]
    (swept / "result.json").write_text(json.dumps(META | {"points": points, "measure": "held-out fitness"}))
    under_way = root / "under_way"
    _meta(under_way / "seed_3")
    (under_way / "sweep.json").write_text(json.dumps({"kind": "meta-sweep", "points": [{}], "config": {}}))
    (root / "test").mkdir()
    (root / "test" / "config.json").write_text(json.dumps({"kind": "meta-test"}))
    found = report([root], tmp_path / "out", **FAST)
    assert [row.run.folder for row in found.comparison.rows] == [root / "ppo"]
    fraction = "held-out fitness as a fraction of the optimal return"
    told = [(r.label, r.task, r.iqm.value, r.generations, r.env_steps, r.measure) for r in found.metas]
    assert told == [
        ("ta-lpg", "grid/random-small[size=5]", 0.75, 7, 9000, fraction),
        ("lpo", "grid/random-small[size=5]", 0.5, 7, 9000, "held-out fitness"),
        ("ta-lpg sigma=0.3", "grid/random-small", pytest.approx(1.6 / 3), 8, 12, "held-out fitness"),
        ("ta-lpg sigma=0.1", "grid/random-small", pytest.approx(0.5 / 3), 8, 12, "held-out fitness"),
        ("ta-lpg", "grid/random-small[size=5]", 0.75, 7, 9000, fraction),
    ]
    assert (
        "| grid/random-small | ta-lpg sigma=0.3 | 3 | 8 | 12 | 0.533 | [0.500, 0.600] (too narrow) |"
        in found.markdown
    )
    assert "| ta-lpg | 1 | 7 | 9,000 | 0.750 | none |" in found.markdown
    assert f"{root / 'test'} is left out: it holds a meta-test." in found.notes
    assert (
        "ta-lpg sigma=0.1 on grid/random-small: 1 of 3 meta-trainings were lost and count as the worst of the others."
        in found.notes
    )
    assert "An interval from 3 meta-seeds is too narrow." in found.notes
    assert [line["folder"] for line in _cells(tmp_path / "out/meta_trainings.csv")] == [
        str(r.folder) for r in found.metas
    ]
    alone = report([root / "meta", root / "test"], tmp_path / "alone", labels=["mine", ""], **FAST)
    assert {path.name for path in alone.files} == {"report.md", "meta_trainings.csv"}
    assert [row.label for row in alone.metas] == ["mine"] and "Final returns" not in alone.markdown
    assert (
        f"{root / 'test'} holds a meta-test, not a training run: its tables and figures lie in it."
        in alone.notes
    )
    with pytest.raises(ReportError, match=f"^{root / 'test'} holds a meta-test, not a training run: "):
        report([root / "test"], tmp_path / "none")
    (root / "meta" / "result.json").write_text(json.dumps(META | {"test_fitness": ["x"]}))
    with pytest.raises(ReportError, match="test_fitness must be a list of numbers"):
        report([root / "meta"], tmp_path / "none")
    assert f"{root / 'meta'} is left out: " in "".join(report([root], tmp_path / "others", **FAST).notes)


def test_notes_on_single_seeds_and_unequal_training(tmp_path):
    folders = [
        _run(tmp_path / "a", "ppo", returns=[1.0]),
        _run(tmp_path / "b", "a2c", returns=[2.0, 3.0], env_steps=9000),
    ]
    found = report(folders, tmp_path / "out", **FAST)
    assert "A single seed has no interval: ppo on CartPole-v1." in found.notes
    assert "2 seeds are too few for an interval: a2c on CartPole-v1." in found.notes
    assert "Training lengths differ on CartPole-v1: ppo 5,000, a2c 9,000 steps per seed." in found.notes
    assert "| ppo | 1 | 5,000 | 1.00 | none |" in found.markdown


def test_runs_that_are_not_from_the_beginning_are_marked_and_told(tmp_path):
    longer, tuned = _run(tmp_path / "longer"), _run(tmp_path / "tuned", "a2c", start="runs/x:3")
    plain = _run(tmp_path / "plain", "dqn")
    history = [
        {"steps": 640, "env_steps": 640, "updates": 10},
        {"steps": 2000, "env_steps": 2048, "updates": 32},
    ]
    (longer / "config.json").write_text(json.dumps({"history": history}))
    found = report([longer, tuned, plain], tmp_path / "out", **FAST)
    assert [row.label for row in found.comparison.rows] == ["ppo", "a2c", "dqn"]
    for cell in ("| ppo (extended) |", "| a2c (from trained weights) |", "| dqn | 5 |"):
        assert cell in found.markdown
    about = [note for note in found.notes if "no equal" in note]
    assert len(about) == 2
    assert about[0].startswith("ppo on CartPole-v1: extended after 640 and 2,048 steps, to 5,000; schedules")
    assert about[1].startswith(
        "a2c on CartPole-v1: started from the trained weights of runs/x:3, whose training"
    )
    lines = _cells(tmp_path / "out/results.csv")
    assert [(line["extended_after"], line["start"]) for line in lines] == [
        ("[640, 2048]", ""),
        ("", "runs/x:3"),
        ("", ""),
    ]
    # Until it has come to the new end its result is that of the old one, which is another run's.
    (longer / "config.json").write_text(json.dumps({"history": [*history, {"env_steps": 5000}]}))
    old = "is from before the run was given more steps, after 5,000, and it has not finished since; resume it first"
    with pytest.raises(ReportError, match=old):
        report([longer, plain], tmp_path / "out", **FAST)
    found = report([tmp_path], tmp_path / "below", **FAST)
    assert [row.label for row in found.comparison.rows] == ["dqn", "a2c"]
    assert f"{longer} is left out: {longer / 'result.json'} {old}." in found.notes
    for history in (3, [1], [{"env_steps": "many"}]):
        (longer / "config.json").write_text(json.dumps({"history": history}))
        with pytest.raises(
            ReportError, match=r"config\.json: history must be a list of objects, each with env_steps"
        ):
            read_run(longer)


def _asked(folder: Path, **settings):
    whole = {"objective": "", "evaluation": {"mode": "greedy"}} | settings
    (folder / "config.json").write_text(json.dumps(whole))
    return folder


def test_one_name_for_different_methods_is_told(tmp_path):
    """Regression: one aggregate was made of all, without a word."""
    pole = _asked(_run(tmp_path / "pole"), curriculum="plr", curriculum_options={"score": "pvl"})
    bot = _asked(
        _run(tmp_path / "bot", env="Acrobot-v1", returns=[-80.0] * 5),
        objective="ta-lpo",
        objective_sha256="0123456789",
    )
    found = compare([read_run(pole), read_run(bot)], **FAST)
    assert list(found.aggregates) == ["ppo"]
    assert [note for note in found.notes if "not the same" in note] == [
        f"ppo is not the same on all environments: its {told}, so what is said of it across them is of no one method."
        for told in (
            "objective differs (the algorithm's own: CartPole-v1; ta-lpo (sha256 01234567): Acrobot-v1)",
            "curriculum differs (plr score=pvl: CartPole-v1; none: Acrobot-v1)",
        )
    ]
    named = compare([read_run(pole), replace(read_run(bot), name="lpo")], **FAST)
    assert not [note for note in named.notes if "not the same" in note]


def test_evaluations_that_differ_are_told(tmp_path):
    greedy, sample = _asked(_run(tmp_path / "a")), _run(tmp_path / "b", "sac")
    plain = _run(tmp_path / "c", "dqn")  # whose folder does not tell
    _asked(sample, evaluation={"mode": "sample"})
    found = compare([read_run(folder) for folder in (greedy, sample, plain)], **FAST)
    assert "Evaluations differ on CartPole-v1: greedy: ppo; sample: sac." in found.notes
    _asked(sample)
    found = compare([read_run(folder) for folder in (greedy, sample, plain)], **FAST)
    assert not [note for note in found.notes if "differ" in note]


def test_only_runs_of_one_method_are_pooled(tmp_path):
    one, other = _asked(_run(tmp_path / "a/x")), _asked(_run(tmp_path / "b/x", seed=8), objective="lpo")
    same = _asked(_run(tmp_path / "c/x", seed=9))
    runs = pooled([read_run(folder) for folder in (one, other, same)])
    assert [len(run.returns) for run in runs] == [10, 5]


def test_a_damaged_folder_is_left_out_unless_it_was_named(tmp_path):
    root = tmp_path / "runs"
    _run(root / "whole")
    (_run(root / "cut") / "result.json").write_text('{"algorithm": "pp')
    _run(root / "lost", returns=[None, None])
    shapes = [({"num_envs": n}, [[n, n], [n, n]]) for n in (4, 8)]
    _sweep(root / "sweep", shapes)
    (root / "sweep" / "shape_000" / "metrics.jsonl").write_text("[]\n")
    found = report([root], tmp_path / "out", **FAST)
    assert [row.iqm.value for row in found.comparison.rows][1:] == [8.0, 8.0]
    damaged = root / "sweep" / "shape_000"
    for path, why in (
        (root / "cut", f"{root / 'cut' / 'result.json'} is damaged: "),
        (root / "lost", f"{root / 'lost' / 'result.json'}: no seed has a finite eval_return"),
        (damaged, f"{damaged / 'metrics.jsonl'} is damaged: line 1"),
    ):
        assert any(note.startswith(f"{path} is left out: {why}") for note in found.notes)
    with pytest.raises(ReportError, match=r"cut/result\.json is damaged"):
        report([root, root / "cut"], tmp_path / "none", **FAST)
    (root / "sweep" / "shape_001" / "metrics.jsonl").write_text("[]\n")
    with pytest.raises(ReportError, match=r"shape_000/metrics\.jsonl is damaged"):
        report([root / "sweep"], tmp_path / "none", **FAST)
    (root / "whole" / "result.json").unlink()
    with pytest.raises(ReportError, match=r"cut/result\.json is damaged"):
        report([root], tmp_path / "none", **FAST)


def test_the_same_folder_twice_is_one_run(tmp_path):
    folder = _run(tmp_path / "runs/a")
    found = report([folder, tmp_path / "runs", folder], tmp_path / "out", **FAST)
    assert len(found.comparison.rows) == 1


def test_only_a_report_is_written_over(tmp_path):
    root, out = _two_by_two(tmp_path / "runs"), tmp_path / "out"
    _meta(root / "meta")
    first = report([root], out, **FAST)
    assert len(first.files) == 8 and {*first.files} == {*out.iterdir()}
    (out / ".mine").write_text("mine")
    alone = report([root / "meta"], out, **FAST)  # what the first had besides would be taken for the second's
    assert {*alone.files, out / ".mine"} == {*out.iterdir()}
    (out / "thesis.tex").write_text("mine")
    before = {path: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(
        ReportError, match=f"^will not write over {out}: it holds thesis.tex, and not a report alone"
    ):
        report([root], out, **FAST)
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    for name, content in (("results.csv", b"mine"), ("report.md", b"mine"), ("report.md", b"\xff")):
        (folder := tmp_path / name / str(len(content))).mkdir(parents=True)
        (folder / name).write_bytes(content)
        with pytest.raises(ReportError, match=f"it holds {name}, and not a report alone"):
            report([root], folder, **FAST)
        assert (folder / name).read_bytes() == content
    with pytest.raises(ReportError, match="it holds checkpoints|it holds config.json"):
        report([root], root / "meta", **FAST)


def test_unwritable_output_is_named(tmp_path):
    folder = _run(tmp_path / "run")
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ReportError, match=r"cannot write the report to .*file"):
            report([folder], out, **FAST)
    assert (tmp_path / "file").read_text() == "mine"
