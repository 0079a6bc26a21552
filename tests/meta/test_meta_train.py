"""A meta-training from the host: its folder, its resumption, its command, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from typing import Any

import jax
import numpy as np
import pytest
from compiled import counted
from same import assert_same_run, rows_of
from tiny import TINY, tiny

from jaxrl_evolve.command.main import main
from jaxrl_evolve.compilation import forget_programs
from jaxrl_evolve.meta import train as module
from jaxrl_evolve.meta.config import MetaTrainConfig
from jaxrl_evolve.meta.experiment import build_meta, identity
from jaxrl_evolve.meta.outcome import sentence, stored_objective, summarise
from jaxrl_evolve.meta.start import started_from
from jaxrl_evolve.meta.train import META_TRAIN, meta_train
from jaxrl_evolve.objectives import StoredObjective, load_objective, save_objective
from jaxrl_evolve.objectives.families import families, made, members
from jaxrl_evolve.objectives.time_config import HorizonRange, HorizonWarning, TimeFeatures
from jaxrl_evolve.storage.folder import configuration, plain


@pytest.fixture(
    scope="module",
    # Minutes of compiling; what a checkpoint must hold is tested for each in its own file.
    params=["es", *(pytest.param(name, marks=pytest.mark.slow) for name in ("meta-gradient", "pes"))],
)
def run(request: Any, tmp_path_factory: Any) -> Any:
    out = tmp_path_factory.mktemp("meta") / "run"
    return meta_train(tiny(estimator=request.param, hp={"learning_rate": 0.3}), out), out


@pytest.mark.core("es")
def test_the_folder_is_that_of_a_run_with_an_objective(run: Any):
    result, out = run
    assert {path.name for path in out.iterdir()} >= {
        *("config.json", "metrics.jsonl", "metrics.csv", "curves.png", "checkpoints", "result.json"),
        "objective.npz",
    }
    assert json.loads((out / "config.json").read_text())["kind"] == "meta-train"
    assert configuration(out, META_TRAIN) == result.config
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert rows == result.rows
    assert [row["generation"] for row in rows] == [0, 1, 2, 3, 4]
    assert ["test_fitness" in row for row in rows] == [True, False, True, False, True]
    assert np.all(np.diff([row["env_steps"] for row in rows]) > 0)
    summary = json.loads((out / "result.json").read_text())
    assert summary["generations"] == 4
    assert len(summary["test_fitness"]) == len(summary["test_optimum"]) == 2
    assert summary["env_steps"] == rows[-1]["env_steps"]
    evaluated = [row["evaluation_steps"] for row in rows]
    assert evaluated[0] > 0 and summary["evaluation_steps"] == evaluated[-1]
    if result.config.estimator == "es":  # 4 agents, evaluated on 8 episodes of up to 40 steps
        assert 4 * 8 < evaluated[1] - evaluated[0] <= 4 * 8 * 40


def test_the_objective_that_is_stored_is_the_one_that_was_trained(run: Any):
    result, out = run
    stored = load_objective(out)
    jax.tree.map(np.testing.assert_array_equal, stored.eta, jax.device_get(result.state.eta))
    assert stored.kind == "lpg"
    assert stored.settings.time.names == ("fraction", "log_horizon")
    # Horizons of 2 to 4 updates of 20 steps, in the unit of the clock that agents are trained with.
    assert stored.horizons == stored.settings.time.horizons == HorizonRange(40.0, 80.0, "env_steps")
    assert stored.budget["generations"] == 4
    assert stored.budget["evaluation_steps"] == result.summary["evaluation_steps"]
    assert stored.budget["learning_rate_end"] == 1.0
    assert any(np.abs(leaf).max() > 0 for leaf in stored.eta.values())


@pytest.mark.core("es")
def test_resumed_is_uninterrupted(run: Any, tmp_path: Any, monkeypatch: Any):
    result, _ = run
    advance = module._Run.advance

    def killed(self: Any) -> None:
        if self.generations == 2:
            raise KeyboardInterrupt
        advance(self)

    monkeypatch.setattr(module._Run, "advance", killed)
    monkeypatch.setattr(sys, "argv", ["/usr/bin/jaxrl-evolve", "meta-train", "lpg"])
    with pytest.raises(KeyboardInterrupt):
        meta_train(result.config, tmp_path / "run")
    assert not (tmp_path / "run" / "objective.npz").exists()
    monkeypatch.undo()
    monkeypatch.setattr(sys, "argv", ["/usr/bin/jaxrl-evolve", "resume", "run"])
    resumed = meta_train(result.config, tmp_path / "run", resume=True)
    jax.tree.map(np.testing.assert_array_equal, resumed.state.eta, result.state.eta)
    assert [row["generation"] for row in resumed.rows] == [0, 1, 2, 3, 4]
    assert (
        resumed.objective.command == load_objective(tmp_path / "run").command == "jaxrl-evolve meta-train lpg"
    )
    monkeypatch.setattr(module._Run, "advance", None)  # nothing is left to be done
    monkeypatch.setattr(module, "make_test", None)  # or to be compiled
    again = meta_train(result.config, tmp_path / "run", resume=True)
    assert again.summary["test_fitness"] == resumed.summary["test_fitness"]
    jax.tree.map(np.testing.assert_array_equal, again.objective.eta, resumed.objective.eta)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    clocks = ("seconds",)
    strip = lambda row: {k: v for k, v in row.items() if k not in clocks}
    assert [strip(json.loads(line)) for line in lines] == [strip(row) for row in result.rows]


@pytest.mark.parametrize("killed", [False, True])
def test_going_back_makes_the_rest_anew_bit_for_bit(killed: bool, run: Any, tmp_path: Any, monkeypatch: Any):
    """By the command; also where that is killed when later rows are gone, and the run then resumed as it is."""
    _, whole = run
    back, made = tmp_path / "back", []
    shutil.copytree(whole, back)
    words, again = ["resume", str(back), "--quiet"], ["--step", "3"]
    advance = module._Run.advance

    def one(self: Any) -> None:
        if killed and not made:
            made.append("killed")
            raise KeyboardInterrupt
        advance(self)
        made.append(self.generations)

    monkeypatch.setattr(module._Run, "advance", one)
    with counted() as counts:
        if killed:
            assert main([*words, *again]) == 130
            assert [row["generation"] for row in rows_of(back)] == [0, 1, 2, 3]
            assert not {"result.json", "objective.npz"} & {path.name for path in back.iterdir()}
        assert main(words if killed else [*words, *again]) == 0
    assert counts["compiled"] == 0
    assert made == (["killed", 4] if killed else [4])
    assert_same_run(back, whole, "generation")
    for name, leaf in load_objective(whole).eta.items():
        np.testing.assert_array_equal(load_objective(back).eta[name], leaf)


def test_another_seed_compiles_nothing_and_is_the_same_as_compiled_anew(run: Any):
    config = dataclasses.replace(run[0].config, seed=3, generations=4, test_every=1)
    with counted() as counts:
        kept = meta_train(config)
    assert counts["compiled"] == 0
    forget_programs()
    with counted() as counts:
        anew = meta_train(config)
    assert counts["compiled"] >= 3
    jax.tree.map(np.testing.assert_array_equal, kept.state.eta, anew.state.eta)
    assert [row["test_fitness"] for row in kept.rows] == [row["test_fitness"] for row in anew.rows]


@pytest.mark.parametrize(
    "change",
    [
        {"generations": 5},
        {"tests": 3},
        {"env_options": {"observation": "planes"}},
        {"hp": {"learning_rate": 0.4}},
        {"evolution": {"sigma": 2.0}},
        {"start": "ta-lpg"},
        {"lanes": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_determines_the_programs_compiles_anew(change: Any):
    config = tiny()
    assert identity(dataclasses.replace(config, seed=5, keep=4)) == identity(config)
    assert identity(tiny(**change)) != identity(config)


def test_another_configuration_is_refused(run: Any):
    result, out = run
    with pytest.raises(ValueError, match="seed is 7, but the run in .* was started with 0"):
        meta_train(dataclasses.replace(result.config, seed=7), out, resume=True)


@pytest.fixture(scope="module")
def command_run(tmp_path_factory: Any) -> Any:
    out = tmp_path_factory.mktemp("command") / "run"
    words = "meta-train lpg --env chain/delayed-short --generations 1 --population 2 --num-envs 4"
    words += " --rollout-length 5 --horizons.low 2 --horizons.high 3 --settings.width 3 --tests 1"
    words += " --fitness.episodes 2 --fitness.max-steps 10"
    assert main([*words.split(), "--out", str(out), "--quiet"]) == 0
    return out


def test_the_command_meta_trains_and_resumes_and_agents_train_by_the_result(
    command_run: Any, tmp_path: Any, capsys: Any
):
    assert main(["resume", str(command_run), "--quiet"]) == 0
    words = f"train lpg --env chain/delayed-short --objective {command_run} --steps 100 --num-envs 4"
    words += " --rollout-length 5 --evaluation.times 1 --evaluation.episodes 2 --evaluation.final-episodes 2"
    assert main([*words.split(), "--out", str(tmp_path / "agents"), "--quiet"]) == 0
    warned = capsys.readouterr().err
    assert main(["evaluate", str(command_run)]) == 2
    told = f"{command_run} holds a meta-training, not a training run: agents train by its objective with: "
    assert f"{told}jaxrl-evolve train … --objective {command_run}\n" in capsys.readouterr().err
    # 100 steps are 5 updates, more than the 2 or 3 of its training.
    assert "the horizon of 100 env steps is not one that objective" in warned


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("meta-train", "meta-train needs an objective: meta-train lpg|ta-lpg|lpo|ta-lpo"),
        ("meta-train lgp --env chain/delayed-short", "objective is 'lgp', which cannot be meta-trained"),
        (
            "meta-train lpg --env chain/delayed-short --population 3",
            "evolution.population is 3; members come",
        ),
        ("meta-train lpg --env chain/delayed-short --generations 0", "generations is 0; it must be a whole"),
        ("meta-train lpg --env chain/delayed-shirt", "there is no environment 'chain/delayed-shirt'"),
        ("meta-train lpg --env chain/delayed-short --start lpo", "start is 'lpo', an objective 'lpo' whose"),
        (
            "train lpg --env chain/delayed-short",
            "objective is none; the lpg agent needs one that gives targets",
        ),
        ("train ppo --env CartPole-v1 --objective lpgg", "objective is 'lpgg', which is not known"),
    ],
)
def test_bad_input_is_one_sentence(words: str, message: str, tmp_path: Any, capsys: Any):
    split = words.split()
    out = ["--out", str(tmp_path / "run")] if len(split) > 1 else []
    assert main([*split, *out]) == 2
    assert message in capsys.readouterr().err


def stored(path: Any, kind: str, horizons: HorizonRange | None = None, **settings: Any) -> str:
    """A file of an objective with these settings."""
    family = families()[kind]
    chosen = family.settings(**settings)
    eta = jax.device_get(made(family, chosen).init(jax.random.key(0)))
    save_objective(path, StoredObjective(kind, chosen, eta, horizons))
    return str(path)


FRACTION, LENGTH = (
    TimeFeatures((kind, "log_horizon"), HorizonRange(60.0, 600.0)) for kind in ("fraction", "remaining")
)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"margin": 0.01},
            r"whose margin is 0.01; settings.margin is 0.0001, which gives its parameters another",
        ),
        ({"ppo_start": False}, "whose ppo_start is False; settings.ppo_start is True"),
        ({"feature_clip": 3.0}, "whose feature_clip is 3.0; settings.feature_clip is 2.0"),
        (
            {"time": LENGTH},
            "which reads of the time remaining, log_horizon; settings.time has fraction, log_horizon",
        ),
        (
            {"time": dataclasses.replace(FRACTION, kinds=FRACTION.kinds[::-1])},
            "reads of the time log_horizon, fraction; ",
        ),
        (
            {"time": dataclasses.replace(FRACTION, horizons=HorizonRange(60.0, 900.0))},
            "scales log_horizon for horizons of 60 to 900 env steps; here horizons are 60 to 600 env steps",
        ),
    ],
)
def test_a_start_whose_parameters_mean_something_else_is_refused(settings: Any, message: str, tmp_path: Any):
    file = stored(tmp_path / "start.npz", "lpo", **{"width": 4, "time": FRACTION, **settings})
    with pytest.raises(ValueError, match=message):
        started(file, "ta-lpo")


def started(file: str, name: str, **settings: Any) -> Any:
    sizes = {"num_envs": 4, "rollout_length": 5, "horizons": {"low": 3, "high": 30}}
    config = MetaTrainConfig.preset(
        name, "CartPole-v1", start=file, settings={"width": 4, **settings}, **sizes
    )
    return started_from(config, made(config.family, config.complete_settings()))(jax.random.key(0))


def test_a_start_of_the_same_meaning_keeps_its_parameters(tmp_path: Any):
    """Drawn in another way, and blind ones at other horizons, which is told."""
    file = stored(
        tmp_path / "aware.npz", "lpo", HorizonRange(60.0, 600.0), width=4, time=FRACTION, start="hidden"
    )
    there = load_objective(file).eta
    jax.tree.map(np.testing.assert_array_equal, started(file, "ta-lpo"), there)
    blind = stored(tmp_path / "blind.npz", "lpo", HorizonRange(60.0, 900.0), width=4, start="hidden")
    with pytest.warns(
        HorizonWarning, match="trained at horizons of 60 to 900 env steps; here they are 60 to 600"
    ):
        eta = started(blind, "ta-lpo")
    np.testing.assert_array_equal(eta["input"], load_objective(blind).eta["input"])
    limit = stored(tmp_path / "disco.npz", "disco", limit=30.0)
    with pytest.raises(ValueError, match=r"whose limit is 30.0; settings.limit is 25.0"):
        started(limit, "disco", width=32)


def test_how_many_agents_a_generation_has_is_told_of_the_estimator():
    for estimator, agents in (("es", 4), ("pes", 4), ("meta-gradient", 2)):
        config = tiny(estimator=estimator)
        told = summarise(config, 1, 2, 3, [], {"compile_seconds": 1.0, "run_seconds": 1.0})
        eta = jax.device_get(build_meta(config).start(jax.random.key(0)))
        kept = stored_objective(config, eta, 1, 2, 3, [])
        assert told["population"] == kept.budget["population"] == agents
        assert f"1 generations of {agents}, " in sentence(told, "run")


def test_a_time_blind_objective_starts_an_aware_one(command_run: Any):
    config = tiny(start=str(command_run), settings={"width": 3}, evolution={"population": 2})
    with pytest.warns(
        HorizonWarning, match="trained at horizons of 40 to 60 env steps; here they are 40 to 80"
    ):
        eta = build_meta(config).start(jax.random.key(0))
    blind = load_objective(command_run).eta
    for name, leaf in blind.items():
        np.testing.assert_array_equal(eta[name], leaf)
    np.testing.assert_array_equal(eta["core_time"], 0.0)


def test_a_configuration_survives_json():
    for name in members():
        config = MetaTrainConfig.preset(name, "CartPole-v1", seed=3, horizons={"kind": "fixed", "high": 300})
        assert MetaTrainConfig.from_json(json.loads(json.dumps(plain(config)))) == config
    with pytest.raises(ValueError, match="there is no field 'generation': "):
        MetaTrainConfig.preset("lpg", "CartPole-v1", generation=3)


def test_lpo_is_meta_trained_in_ppo(tmp_path: Any):
    config = MetaTrainConfig.preset(
        "ta-lpo",
        "CartPole-v1",
        **{
            **TINY,
            "settings": {"width": 4},
            "horizons": {"kind": "fixed", "low": 6, "high": 6},
            "learner": {"minibatches": 2, "epochs": 2},
            "hp": {"learning_rate": 0.02},
            "evolution": {"population": 8, "sigma": 3.0},
            "generations": 2,
        },
    )
    result = meta_train(config, tmp_path / "run")
    stored = load_objective(tmp_path / "run")
    assert stored.kind == "lpo"
    assert stored.objective().name == "ta-lpo"
    assert np.abs(result.state.eta["output"]).max() > 0
