"""Sweeps of meta-trainings: the runs they name, what is made of them, resumption, and what is refused."""

from __future__ import annotations

import csv
import dataclasses
import json
from typing import Any

import jax
import numpy as np
import pytest
from late import late
from tiny import tiny

from jaxrl_evolve.command.main import main
from jaxrl_evolve.meta import sweep as module
from jaxrl_evolve.meta import train as trains
from jaxrl_evolve.meta.outcome import MetaTrainResult
from jaxrl_evolve.meta.sweep import meta_sweep, resume_meta_sweep
from jaxrl_evolve.meta.train import meta_train
from jaxrl_evolve.objectives import load_objective
from jaxrl_evolve.results import statistics
from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.training.interrupts import Diverged, Interrupted

GRID = ["evolution.sigma=0.1,3.0", "horizons.high=4,8"]


def result_of(out: Any) -> dict[str, Any]:
    return json.loads((out / "result.json").read_text())


@pytest.fixture
def instant(monkeypatch: Any) -> list[Any]:
    """A meta-training that takes no time, and which ones were asked for.

    Its held-out fitness is its seed, beside an optimum of 10 for reachable tasks; sigma of 3 doubles it. A
    horizon of 8 is lost: with an even seed all its agents diverge, with an odd one it fails.
    """
    asked: list[Any] = []

    def fake(config: Any, out: Any, *, resume: bool, quiet: bool) -> MetaTrainResult:
        assert resume
        asked.append((out, config))
        if config.horizons.high == 8 and config.seed % 2:
            raise OSError("no space\nleft")
        fitness = config.seed * (2.0 if config.evolution.sigma == 3.0 else 1.0)
        lost = config.horizons.high == 8
        summary = {
            "test_fitness": [None, None, None] if lost else [fitness, 3.0 * fitness, 99.0],
            "test_optimum": [10.0, 10.0, 0.0],
            "env_steps": 100,
            "run_seconds": 2.0,
            "compile_seconds": 1.0,
        }
        out.mkdir(parents=True)
        folders.write_json(out / "result.json", summary)
        return MetaTrainResult(config, summary, None, None, [])  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(module, "meta_train", fake)
    return asked


def test_points_and_meta_seeds_are_the_runs_they_name(instant: Any, tmp_path: Any, capsys: Any):
    out = tmp_path / "sweep"
    table = meta_sweep(tiny(seed=1), out, seeds=3, grid=GRID, quiet=False)
    assert [str(path.relative_to(out)) for path, _ in instant] == [
        f"point_{i:03d}/seed_{seed}" for i in range(4) for seed in (1, 2, 3)
    ]
    settings = [{"evolution.sigma": sigma, "horizons.high": high} for sigma in (0.1, 3.0) for high in (4, 8)]
    for i, (_, config) in enumerate(instant):
        assert (config.evolution.sigma, config.horizons.high) == tuple(settings[i // 3].values())
        assert config.seed == 1 + i % 3
        assert config.generations == 4
    result = result_of(out)
    points = result["points"]
    assert [point["settings"] for point in points] == settings
    # The mean of fitness / 10 and 3 * fitness / 10; the task without a reachable optimum does not count.
    np.testing.assert_allclose(points[0]["test_fitness"], [0.2, 0.4, 0.6], rtol=1e-6)
    np.testing.assert_allclose(points[2]["test_fitness"], [0.4, 0.8, 1.2], rtol=1e-6)
    expected = statistics.estimate(points[2]["test_fitness"])
    assert (points[2]["iqm"], *points[2]["ci95"]) == pytest.approx(tuple(expected), rel=1e-6)
    assert result["best"] == points[2]
    assert result["measure"] == "held-out fitness as a fraction of the optimal return"
    assert result["run_seconds"] == 2.0 * (12 - 4)
    assert points[1]["test_fitness"] == [None] * 3 and points[1]["iqm"] is None and points[1]["failed"] == 3
    assert points[1]["failures"] == {
        "point_001/seed_1": "no space",
        "point_001/seed_2": "every agent of its last held-out test diverged",
        "point_001/seed_3": "no space",
    }
    said = capsys.readouterr().err
    assert "jaxrl-evolve: point_001/seed_1: no space; the sweep goes on\n" in said
    assert table == (out / "sweep.md").read_text()
    first, second = (line.split("|")[1:] for line in table.splitlines()[4:6])
    assert [cell.strip() for cell in first[:3]] == ["3", "4", "0.8"]
    assert [cell.strip() for cell in second[:3]] == ["0.1", "4", "0.4"]
    assert table.count("3 of 3") == 2
    with (out / "sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["failed"] for row in rows] == ["0", "3", "0", "3"]
    assert [float(row["seed_1"]) for row in rows if row["seed_1"]] == pytest.approx([0.4, 0.8])
    assert (out / "sweep.png").read_bytes().startswith(b"\x89PNG")
    # Taken up again, what has a result is left alone, and what failed is tried again.
    instant.clear()
    resume_meta_sweep(out)
    assert [path.name for path, _ in instant] == ["seed_1", "seed_3"] * 2
    assert result_of(out)["points"] == points


def test_a_single_point_has_its_seeds_in_the_folder_itself(instant: Any, tmp_path: Any):
    out = tmp_path / "sweep"
    assert "IQM" in meta_sweep(tiny(), out, seeds=2)
    assert [path for path, _ in instant] == [out / "seed_0", out / "seed_1"]
    assert result_of(out)["best"]["folder"] == "." and result_of(out)["best"]["settings"] == {}
    assert (out / "sweep.png").exists()
    meta_sweep(tiny(), out, seeds=1, overwrite=True)
    assert not (out / "seed_1").exists()


def test_nothing_finite_is_said_at_the_end(instant: Any, tmp_path: Any):
    with pytest.raises(Diverged, match="no run of any of the 1 points in .* has a finite fitness"):
        meta_sweep(tiny(horizons={"low": 2, "high": 8}), tmp_path / "out", seeds=2)
    assert result_of(tmp_path / "out")["best"]["iqm"] is None


def test_an_interrupted_sweep_goes_on_where_it_stopped(instant: Any, tmp_path: Any, monkeypatch: Any):
    out, real = tmp_path / "sweep", module.meta_train

    def cut(config: Any, out: Any, **options: Any) -> MetaTrainResult:
        if config.seed == 1:
            raise Interrupted("SIGTERM", "…")
        return real(config, out, **options)

    with monkeypatch.context() as patch:
        patch.setattr(module, "meta_train", cut)
        with pytest.raises(Interrupted, match=f"SIGTERM in seed_1, 2 of 3; continue with: .* resume {out}"):
            meta_sweep(tiny(), out, seeds=3)
    assert not (out / "result.json").exists()
    assert main(["resume", str(out), "--quiet"]) == 0
    assert [path.name for path, _ in instant] == ["seed_0", "seed_1", "seed_2"]
    np.testing.assert_allclose(result_of(out)["points"][0]["test_fitness"], [0.0, 0.4, 0.8], rtol=1e-6)


def test_a_signal_in_the_last_stretch_of_a_run_begins_no_other(
    instant: list[Any], tmp_path: Any, monkeypatch: Any
):
    monkeypatch.setattr(module, "meta_train", late(module.meta_train))
    where = f"^SIGTERM after seed_0, 1 of 2; continue with: .* resume {tmp_path / 'sweep'}$"
    with pytest.raises(Interrupted, match=where):
        meta_sweep(tiny(), tmp_path / "sweep", seeds=2)
    assert [path.name for path, _ in instant] == ["seed_0"]


def test_the_command_sweeps_real_meta_trainings(tmp_path: Any):
    """The sizes are those of `test_meta_train.command_run`, so that the compiled program is too."""
    out = tmp_path / "sweep"
    words = "meta-sweep lpg --env chain/delayed-short --generations 1 --population 2 --num-envs 4 --seeds 2"
    words += " --rollout-length 5 --horizons.low 2 --horizons.high 3 --settings.width 3 --tests 1"
    words += " --fitness.episodes 2 --fitness.max-steps 10"
    assert main([*words.split(), "--out", str(out), "--quiet"]) == 0
    assert [load_objective(out / f"seed_{seed}").seeds for seed in (0, 1)] == [(0,), (1,)]
    for seed, score in enumerate(result_of(out)["points"][0]["test_fitness"]):
        run = result_of(out / f"seed_{seed}")
        assert run["seed"] == seed
        assert score == pytest.approx(np.divide(run["test_fitness"], run["test_optimum"]).mean(), rel=1e-6)


@pytest.mark.slow
def test_resumed_inside_a_run_is_uninterrupted(tmp_path: Any, monkeypatch: Any):
    """Real trainings: the second of two is cut, and comes out as if it had been trained alone."""
    config = tiny(generations=2, evolution={"population": 2, "sigma": 3.0})
    out, advance = tmp_path / "sweep", trains._Run.advance

    def cut(self: Any) -> None:
        if self.config.seed == 1 and self.generations == 1:
            raise Interrupted("SIGTERM", "…")
        advance(self)

    with monkeypatch.context() as patch:
        patch.setattr(trains._Run, "advance", cut)
        with pytest.raises(Interrupted, match=f"SIGTERM in seed_1, 2 of 2; continue with: .* resume {out}"):
            meta_sweep(config, out, seeds=2)
    assert (out / "seed_0" / "objective.npz").exists() and not (out / "seed_1" / "objective.npz").exists()
    assert main(["resume", str(out), "--quiet"]) == 0
    alone = meta_train(dataclasses.replace(config, seed=1))
    resumed = load_objective(out / "seed_1")
    jax.tree.map(np.testing.assert_array_equal, resumed.eta, alone.objective.eta)
    fitness = result_of(out)["points"][0]["test_fitness"]
    own = np.divide(alone.summary["test_fitness"], alone.summary["test_optimum"]).mean()
    assert fitness[1] == pytest.approx(own, rel=1e-6)
    assert fitness[0] != fitness[1]


REFUSED = {
    "unknown": ("evolutoin.sigma=0.1", "there is no field 'evolutoin': did you mean evolution"),
    "unknown inside": ("evolution.sigm=0.1", "evolution has no field 'sigm': did you mean sigma"),
    "group of fields": ("evolution=1", "evolution has fields of its own"),
    "no values": ("evolution.sigma", "must read FIELD=V1,V2"),
    "shared": ("seed=0,1", "grid varies seed, which all points of a sweep share"),
    "objective": ("objective=lpg,lpo", "grid varies objective, which all points of a sweep share"),
    "not learned": ("lanes=1,2", "grid varies lanes, which does not change what is learned; a sweep varies"),
    "value": ("evolution.sigma=0.1,0", "sigma is 0.0; it must be above 0"),
    "odd": ("evolution.population=4,5", "population is 5; members come in antithetic pairs"),
    "estimator": (
        "estimator=es,gradient",
        "estimator is 'gradient', which is not known: did you mean meta-gradient",
    ),
    "does not fit": ("resets=full,half", "resets is 'half'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_the_field_and_touch_nothing(name: str, instant: Any, tmp_path: Any):
    text, message = REFUSED[name]
    with pytest.raises(ValueError, match=message) as caught:
        meta_sweep(tiny(), tmp_path / "out", grid=[text])
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists() and not instant


def test_folders_are_looked_after(instant: Any, tmp_path: Any, capsys: Any):
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="seeds is 0; it must be a whole number of at least 1"):
        meta_sweep(tiny(), out, seeds=0)
    meta_sweep(tiny(), out, seeds=1)
    with pytest.raises(ValueError, match="is not empty: continue its sweep with --resume"):
        meta_sweep(tiny(), out, seeds=1)
    with pytest.raises(ValueError, match="started with other settings"):
        meta_sweep(tiny(), out, seeds=2, resume=True)
    (out / "sweep.json").write_text('{"points": [3]}')
    with pytest.raises(ValueError, match="is damaged: it is no plan"):
        resume_meta_sweep(out)
    assert main(["meta-sweep", "--out", str(out)]) == 2
    assert "meta-sweep needs an objective: meta-sweep lpg|" in capsys.readouterr().err
