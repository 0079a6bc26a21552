"""A meta-test: arms share tasks and random numbers, tuning sees none of them, and a folder is resumed exactly."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from compiled import program

from jaxrl_evolve.command.main import main
from jaxrl_evolve.meta.lifetimes import FitnessConfig, make_lifetime
from jaxrl_evolve.meta_test import MetaTestConfig, TuningConfig, drawing, lives, meta_test, run
from jaxrl_evolve.meta_test import tested as one_arm
from jaxrl_evolve.meta_test.arms import find_arms
from jaxrl_evolve.meta_test.comparison import ALL, compare
from jaxrl_evolve.meta_test.outcome import Outcome, load, result_path
from jaxrl_evolve.meta_test.tasks import Normaliser, draw_tasks
from jaxrl_evolve.meta_test.tuning import choose, untuned
from jaxrl_evolve.objectives import (
    ClockAblation,
    HorizonRange,
    HorizonWarning,
    LPGConfig,
    LPOConfig,
    StoredObjective,
    TimeFeatures,
    lpg,
    random_eta,
    save_objective,
    zero_eta,
)
from jaxrl_evolve.runs.chunk import make_chunk
from jaxrl_evolve.storage.folder import configuration, plain
from jaxrl_evolve.training.experiment import traced

ENV = "chain/delayed-short"
TRAINED = HorizonRange(60.0, 100.0)  # 3 to 5 updates of 20 steps
AWARE = LPGConfig(
    width=3,
    predictions=2,
    embedding=2,
    start="random",
    time=TimeFeatures(("fraction", "log_horizon"), TRAINED),
)
BLIND = replace(AWARE, time=TimeFeatures(), start="zeros")


def store(path: Path, settings: Any, seed: int, **facts: Any) -> str:
    path.mkdir(parents=True)
    eta = jax.tree.map(lambda x: 4.0 * x, program(lpg(settings).init)(jax.random.key(seed)))
    facts = {"horizons": TRAINED, "budget": {"num_envs": 4, "rollout_length": 5}, **facts}
    save_objective(path / "objective.npz", StoredObjective("lpg", settings, eta, **facts))
    return str(path)


@pytest.fixture(scope="module")
def files(tmp_path_factory: Any) -> Path:
    folder = tmp_path_factory.mktemp("objectives")
    for seed in range(2):
        store(folder / "aware" / f"seed_{seed}", AWARE, seed)
    store(folder / "zero", BLIND, 0)
    frozen = replace(AWARE, time=replace(AWARE.time, ablation=ClockAblation("frozen")))
    store(folder / "frozen", frozen, 0)
    return folder


def tiny(files: Path, **changes: Any) -> MetaTestConfig:
    a, b = (files / "aware" / f"seed_{i}" for i in range(2))
    values = {
        "objectives": (str(files / "aware"), f"same={a},{b}", str(files / "zero")),
        "envs": (ENV,),
        "horizons": (7, 3),
        "seeds": 3,
        "baselines": ("ppo", "random"),
        "ablations": ("frozen",),
        "agents": (
            *("lpg.learner.network.encoder=tabular", "lpg.hp.learning_rate=2.0"),
            *("ppo.learner.network.encoder=tabular", "ppo.learner.minibatches=1"),
        ),
        "tuning": TuningConfig(learning_rates=(1e-6,), entropy_coefs=(0.0,)),
        "episodes": 8,
        "max_steps": 40,
        "bins": 2,
        "resamples": 50,
    }
    return MetaTestConfig(**{**values, **changes})


@pytest.fixture(scope="module")
def tested(files: Path, tmp_path_factory: Any) -> Any:
    out = tmp_path_factory.mktemp("meta_test") / "out"
    with pytest.warns(HorizonWarning, match=r"objective 'aware' was trained at .*60 to 100.* \(7 updates\)"):
        return meta_test(tiny(files), out), out


def outcome(tested: Any, label: str) -> Outcome:
    return tested[0].outcomes[ENV, label]


def test_the_same_objective_twice_has_the_same_results(tested: Any):
    one, other = outcome(tested, "aware"), outcome(tested, "same")
    assert one.returns.shape == (2, 3, 2)
    np.testing.assert_array_equal(one.returns, other.returns)
    jax.tree.map(np.testing.assert_array_equal, one.schedules, other.schedules)
    assert len(np.unique(one.returns)) > 4


def test_side_by_side_in_parts_is_alone_in_one_piece(tested: Any, files: Path):
    """Every life is, to the bit, the one that meta-training would have it live."""
    settings = tested[0].config
    arms = find_arms(settings)
    (stage,) = run.build_stages(settings, arms)
    agents = stage.agents[0]
    chunk = make_chunk(agents.learner, agents.venv, stage.sizes.rollout_length)
    alone = program(make_lifetime(stage.env, agents.learner, chunk, FitnessConfig(8, 40)))
    tasks = draw_tasks(stage.env, settings.seed, settings.seeds, "reported")
    found = outcome(tested, "aware")
    for h, horizon in enumerate(settings.lengths):
        keys = tasks.keys(horizon)
        for meta, seed in ((0, 0), (1, 2)):
            eta = jax.tree.map(lambda x, m=meta: np.asarray(x)[m], arms[0].eta)
            params = jax.tree.map(lambda x, s=seed: np.asarray(x)[s], tasks.params)
            fitness, metrics = alone(keys[seed], eta, traced(agents.hp), params, np.int32(horizon))
            assert found.returns[meta, seed, h] == fitness
            lengths = np.array([horizon // 2, horizon - horizon // 2])
            parts = found.schedules["entropy"][meta, seed, h]
            np.testing.assert_allclose((parts * lengths).sum() / horizon, metrics["entropy"], rtol=1e-5)


def test_other_parameters_and_tasks_compile_nothing(tested: Any, monkeypatch: Any):
    settings = replace(tested[0].config, seed=5)
    (stage,) = run.build_stages(settings, find_arms(settings))
    aware, same = stage.agents[0], next(a for a in stage.agents if a.arm.label == "same")

    class Anew(Exception):
        pass

    def refuse(*arguments: Any) -> None:
        raise Anew

    monkeypatch.setattr(lives, "_jit", refuse)
    for agents in (aware, same):
        live = run.test_arm(settings, stage, agents, lambda *_: None)
    assert np.any(live.returns != outcome(tested, "same").returns)
    for other in ({"episodes": 9}, {"max_steps": 41}, {"bins": 1}, {"lanes": 3}):
        with pytest.raises(Anew):
            run.test_arm(replace(settings, **other), stage, aware, lambda *_: None)
    wrong = replace(aware, arm=replace(aware.arm, settings=replace(AWARE, width=4)))
    named = replace(aware, arm=replace(aware.arm, files=()))
    for agents in (wrong, named, replace(aware, arm=replace(aware.arm, learns=False))):
        with pytest.raises(Anew):
            run.test_arm(settings, stage, agents, lambda *_: None)


def test_zero_parameters_are_an_agent_that_never_learns(tested: Any):
    np.testing.assert_array_equal(
        outcome(tested, "zero").returns[..., 0], outcome(tested, "random").returns[..., 0]
    )
    np.testing.assert_array_equal(outcome(tested, "zero").schedules["update_norm"], 0.0)
    assert np.all(outcome(tested, "aware").schedules["update_norm"] > 0)


def test_a_frozen_arm_is_an_objective_stored_with_a_frozen_clock(tested: Any, files: Path):
    settings = replace(tested[0].config, objectives=(str(files / "frozen"),), ablations=(), baselines=())
    (stage,) = run.build_stages(settings, find_arms(settings))
    found = run.test_arm(settings, stage, stage.agents[0], lambda *_: None)
    ablated = outcome(tested, "aware frozen")
    np.testing.assert_array_equal(found.returns[0], ablated.returns[0])
    assert np.any(ablated.schedules["policy_target"] != outcome(tested, "aware").schedules["policy_target"])


def test_the_folder_and_its_tables(tested: Any):
    result, out = tested
    names = {"config.json", "meta_test.csv", "improvement.csv", "tuning.csv", "meta_test.md", "meta_test.png"}
    assert {path.name for path in out.iterdir()} >= {*names, "schedules.png", "results"}
    assert json.loads((out / "config.json").read_text())["kind"] == "meta-test"
    assert configuration(out, run.META_TEST) == result.config
    lines = (out / "meta_test.csv").read_text().splitlines()
    assert len(lines) == 1 + 7 * 3  # 7 arms at 2 horizons and at both together
    few = "an interval from 3 agent seeds is too narrow; 2 meta-seeds are too few for an interval"
    assert f"Intervals are rough: {few}." in result.markdown.splitlines()
    (row,) = [line for line in result.markdown.splitlines() if line.startswith("| aware |")]
    cells = row.split(" | ")
    assert [cell.rstrip(" |").endswith("*") for cell in cells[2:]] == [False, True, False]
    facts = load(result_path(out, ENV, "aware")).facts
    assert facts["env_steps"] == 2 * 3 * (3 + 7) * 20  # two meta-seeds of three agents, 20 steps an update
    assert 2 * 3 * 2 * 8 < facts["evaluation_steps"] <= 2 * 3 * 2 * 8 * 40 and facts["seconds"] > 0
    assert {"commit", "jax", "device", "cores"} <= facts.keys()
    assert f"| {ENV} | aware | 1,200 | {facts['evaluation_steps']:,} |" in result.markdown
    pairs = {(one.x, one.y) for one in result.comparison.improvements}
    others = {"aware frozen", "zero", "ppo", "random"}
    assert {y for x, y in pairs if x == "aware"} == others
    assert {y for x, y in pairs if x == "zero"} == {"ppo", "random"}
    assert any("next to nothing" in note for note in result.comparison.notes) == bool(
        (outcome(tested, "zero").optimum < 0.01).any()
    )


@pytest.mark.core
def test_resumed_is_uninterrupted_and_makes_only_what_is_missing(
    tested: Any, tmp_path: Any, monkeypatch: Any
):
    result, out = tested
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.suffix in (".csv", ".md")}
    missing = result_path(out, ENV, "random")
    missing.unlink()
    made = []
    real = run.test_arm
    monkeypatch.setattr(
        run, "test_arm", lambda c, s, a, done: made.append(a.arm.label) or real(c, s, a, done)
    )
    assert main(["resume", str(out), "--quiet"]) == 0
    assert made == ["random"]
    assert {name: (out / name).read_bytes() for name in before} == before
    missing.write_bytes(missing.read_bytes()[:100])
    with pytest.raises(ValueError, match="random.npz is damaged: delete it"):
        load(missing)
    missing.unlink()
    with pytest.raises(ValueError, match="seeds is 4, but the run in .* was started with 3"):
        meta_test(replace(result.config, seeds=4), out, resume=True)


def test_another_file_of_the_same_name_is_refused(tested: Any, files: Path, tmp_path: Any):
    result, out = tested
    own = tmp_path / "zero"
    own.mkdir()
    original = Path(files / "zero" / "objective.npz").read_bytes()
    changed = replace(BLIND, start="random")
    eta = program(lpg(changed).init)(jax.random.key(5))
    try:
        save_objective(files / "zero" / "objective.npz", StoredObjective("lpg", BLIND, eta, horizons=TRAINED))
        with pytest.raises(ValueError, match=r"files.zero is .* but the run in .* was started with"):
            meta_test(result.config, out, resume=True)
    finally:
        (files / "zero" / "objective.npz").write_bytes(original)


def test_reported_and_validation_tasks_have_nothing_in_common_and_do_not_depend_on_their_number(files: Path):
    settings = tiny(files)
    env = run.build_stages(settings, find_arms(settings))[0].env
    few, many = (draw_tasks(env, 0, count, "reported") for count in (2, 5))
    held = draw_tasks(env, 0, 5, "validation")
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b[:2]), few.params, many.params)
    data = lambda tasks: np.asarray(jax.random.key_data(tasks.keys(3)))
    np.testing.assert_array_equal(data(few), data(many)[:2])
    assert not set(map(tuple, data(many))) & set(map(tuple, data(held)))
    assert any(
        np.any(np.asarray(a) != b)
        for a, b in zip(*map(jax.tree.leaves, (many.params, held.params)), strict=True)
    )


def test_tuning_finds_the_best_candidate_on_validation_tasks_alone(files: Path):
    settings = tiny(files, tuning=TuningConfig(learning_rates=(0.1, 0.2, 0.4), entropy_coefs=(0.0, 0.5)))
    stage = run.build_stages(settings, find_arms(settings))[0]
    agents = next(a for a in stage.agents if a.arm.label == "ppo")
    assert len(agents.candidates) == 7  # the preset's, and six
    held = draw_tasks(stage.env, settings.seed, settings.seeds, "validation")
    seen = []

    def live(tasks: Any, hps: list[Any], horizon: int) -> Any:
        seen.append(jax.random.key_data(tasks.root))
        best = {3: (0.2, 0.5), 7: (0.4, 0.0)}[horizon]
        value = [
            10.0 * ((hp.learning_rate, hp.entropy_coef) == best) * (2 if horizon == 7 else 1) for hp in hps
        ]
        score = jax.device_put(np.tile(np.float32(value)[:, None, None], (1, 1, settings.seeds)))
        return lives.Life(score, score, {})

    both = one_arm.tuned(settings, stage, agents.candidates, live)
    assert {(both.learning_rates[i], both.entropy_coefs[i]) for i in both.chosen} == {(0.4, 0.0)}
    assert both.at_the_edge
    each = one_arm.tuned(
        replace(settings, tuning=replace(settings.tuning, per_horizon=True)), stage, agents.candidates, live
    )
    assert [(each.learning_rates[i], each.entropy_coefs[i]) for i in each.chosen] == [(0.2, 0.5), (0.4, 0.0)]
    assert all(np.array_equal(root, jax.random.key_data(held.root)) for root in seen)


def test_a_clock_that_lies_keeps_the_step_size_of_the_true_one(tested: Any, monkeypatch: Any):
    settings = replace(tested[0].config, tuning=TuningConfig(learning_rates=(1e-6,), objectives=True))
    (stage,) = run.build_stages(settings, find_arms(settings))
    frozen = next(a for a in stage.agents if a.arm.label == "aware frozen")
    assert [hp.learning_rate for hp in frozen.candidates] == [2.0, 1e-6]
    chosen = replace(untuned(frozen.hp, 2), chosen=np.array([0, 1]))
    monkeypatch.setattr(one_arm, "tuned", None)
    found = run.test_arm(settings, stage, frozen, lambda *_: None, chosen)
    before = outcome(tested, "aware frozen").returns
    np.testing.assert_array_equal(found.returns[..., 0], before[..., 0])
    assert np.any(found.returns[..., 1] != before[..., 1])


def test_arms_carry_their_own_settings(files: Path, tmp_path: Path):
    budget = {"num_envs": 4, "rollout_length": 5, "learning_rate_end": 0.25}
    own = store(tmp_path / "own", BLIND, 0, budget=budget)
    agents = ("lpg.hp.learning_rate=2.0", "again.hp.learning_rate_end=0.5", "aware.hp.learning_rate=7.0")
    settings = tiny(files, objectives=(own, f"again={own}", str(files / "aware")), agents=agents)
    (stage,) = run.build_stages(settings, find_arms(settings))
    hp = {a.arm.label: (a.hp.learning_rate, a.hp.learning_rate_end) for a in stage.agents}
    # As in meta-training where the file says so, else the preset's; an arm's own before those of its algorithm.
    assert (hp["own"], hp["again"]) == ((2.0, 0.25), (2.0, 0.5))
    assert hp["aware"] == hp["aware frozen"] == (7.0, 1.0)
    wrong = replace(settings, agents=("agian.hp.learning_rate=1",))
    with pytest.raises(ValueError, match="but 'agian' is no agent here: did you mean again"):
        run.build_stages(wrong, find_arms(wrong))


def test_a_candidate_that_diverges_is_not_chosen(files: Path):
    hps = [dataclasses.make_dataclass("HP", ["learning_rate", "entropy_coef"])(x, 0.0) for x in (1.0, 2.0)]
    scores = np.array([[[[np.nan], [np.nan]]], [[[-5.0], [-4.0]]]])  # the worst finite one is the other's
    assert choose(hps, scores, per_horizon=False).chosen.tolist() == [1]


def test_environments_are_pooled_and_levels_without_an_optimum_left_out(files: Path):
    settings = tiny(files, envs=("a", "b"), objectives=(), ablations=(), baselines=("ppo", "random"))
    arms = find_arms(settings)
    optimum = np.array([2.0, 0.0, 4.0])
    made = lambda x: Outcome(x, x, {}, optimum, np.array([3, 7]), untuned(Preset, 2))
    good, bad = (
        np.array([[[1.0, 1.5], [9.0, 9.0], [4.0, 4.0]]]),
        np.array([[[0.0, np.nan], [9.0, 9.0], [2.0, 2.0]]]),
    )
    outcomes = {(env, arm.label): made(x) for env in "ab" for arm, x in zip(arms, (good, bad), strict=True)}
    found = compare(settings, arms, {e: Normaliser("auto", e, {}) for e in "ab"}, outcomes, lambda *_: False)
    score = {(row.env, row.label, row.horizon): row.score.value for row in found.rows}
    assert score["a", "ppo", 3] == pytest.approx((0.5 + 1.0) / 2)
    assert score["a", "random", 7] == pytest.approx(0.5)  # the diverged counts as the worst, 0.5
    assert score[ALL, "ppo", ALL] == pytest.approx((0.75 + 0.75 + 1.0 + 1.0) / 4)  # the middle half
    assert sum("1 of 3 levels" in note for note in found.notes) == 2
    assert sum("1 of 6 agents diverged" in note for note in found.notes) == 2


def test_levels_of_which_none_counts_are_told_by_their_returns(files: Path):
    """Regression: all lives were lived, and then no table could be made of them; of several environments it was enough that no seed counts in all."""
    settings = tiny(files, envs=("a", "b"), objectives=(), ablations=(), baselines=("ppo", "random"))
    arms = find_arms(settings)
    returns = np.array([[[1.0, 1.5], [9.0, 9.0], [4.0, 4.0]]])
    made = lambda optimum: Outcome(
        returns, returns, {}, np.array(optimum), np.array([3, 7]), untuned(Preset, 2)
    )
    for optima, several in (
        ({"a": [0.0, -1.0, 0.0], "b": [0.0] * 3}, True),
        ({"a": [0.5, 0.7, 0.0], "b": [0.0, 0.0, 0.5]}, False),
    ):
        outcomes = {(env, arm.label): made(optima[env]) for env in "ab" for arm in arms}
        found = compare(
            settings, arms, {e: Normaliser("auto", e, {}) for e in "ab"}, outcomes, lambda *_: False
        )
        score = {(row.env, row.label, row.horizon): row.score.value for row in found.rows}
        assert found.measures["a"] == ("return" if several else "return / optimum")
        assert score["a", "ppo", 3] == pytest.approx(14 / 3 if several else (1 / 0.5 + 9 / 0.7) / 2)
        assert (ALL, "ppo", ALL) not in score


class Preset:
    learning_rate, entropy_coef = 0.1, 0.0


def test_drifts_are_drawn_at_three_times(tmp_path: Path):
    blind, aware = LPOConfig(width=4), LPOConfig(width=4, time=TimeFeatures(("fraction",)))
    sources = []
    for name, settings, eta in (
        ("zero", blind, program(zero_eta, "config")(blind)),
        ("timed", aware, program(random_eta, "config", "scale")(jax.random.key(0), aware, 5.0)),
    ):
        (tmp_path / name).mkdir()
        save_objective(
            tmp_path / name / "objective.npz", StoredObjective("lpo", settings, jax.device_get(eta))
        )
        sources.append(str(tmp_path / name))
    arms = find_arms(MetaTestConfig(objectives=tuple(sources), baselines=()))
    r, a = np.meshgrid(np.linspace(0.5, 1.5, 11, dtype=np.float32), np.linspace(-2, 2, 9, dtype=np.float32))
    zero, start, end = (
        drawing.drift_surface(arm, f, 100.0, np.log(r), a)
        for arm, f in ((arms[0], 0.5), (arms[1], 0.0), (arms[1], 1.0))
    )
    clipped = np.maximum(np.maximum((r - np.clip(r, 0.8, 1.2)) * a, 0.0) - 1e-4, 0.0)
    np.testing.assert_allclose(zero, clipped, atol=1e-6)  # PPO's own drift
    assert np.abs(start - end).max() > 0.1
    np.testing.assert_array_equal(start[:, 5], 0.0)  # at a ratio of 1
    drawing.draw_drifts(tmp_path / "drift.png", arms)
    assert (tmp_path / "drift.png").stat().st_size > 10_000


def test_sizes_come_from_the_files_and_must_agree(files: Path, tmp_path: Path):
    settings = tiny(files)
    (stage,) = run.build_stages(settings, find_arms(settings))
    assert stage.sizes[:2] == (4, 5)
    asked = replace(settings, num_envs=8, rollout_length=6)
    assert run.build_stages(asked, find_arms(asked))[0].sizes[:2] == (8, 6)
    other = store(tmp_path / "other", BLIND, 0, budget={"num_envs": 16, "rollout_length": 5})
    mixed = replace(settings, objectives=(str(files / "zero"), other), ablations=())
    with pytest.raises(ValueError, match="meta-trained with different sizes"):
        run.build_stages(mixed, find_arms(mixed))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--objectives ta-lgp", "objective is 'ta-lgp', which is not known: did you mean ta-lp"),
        (
            "--objectives disco",
            "objective 'disco' is a whole update rule (disco), which is not meta-tested yet",
        ),
        ("--objectives runs/nowhere", "there is no stored objective runs/nowhere"),
        ("--objectives lpg --envs grid/random-smal", "there is no environment 'grid/random-smal'"),
        ("--objectives lpg --baselines pppo", "baseline is 'pppo', which is not known: did you mean ppo"),
        (
            "--objectives lpg --ablations frosen",
            "ablation is 'frosen', which is not known: did you mean frozen",
        ),
        ("--objectives lpg --ablations frozen", "but no objective is a stored one that reads the time"),
        ("--objectives lpg --horizons 0 3", "horizons is 0; it must be a whole number of at least 1"),
        ("--objectives lpg --seeds 0", "seeds is 0; it must be a whole number of at least 1"),
        ("--objectives lpg lpg", "have two arms called 'lpg'"),
        (
            "--objectives ta-lpo ta-lpo-frozen=lpo --ablations frozen",
            "have 'ta-lpo frozen' (in grid/random-small) and 'ta-lpo-frozen' (in grid/random-small), whose results would both be",
        ),
        (
            "--objectives lpg --agents lpg.hp.learning=3",
            "hp has no field 'learning': did you mean learning_rate",
        ),
        ("--objectives lpg --agents dqn.hp.gamma=1", "'dqn' is no agent here"),
        ("--objectives x=lpg,ppo-clip", "several meta-seeds must be stored ones"),
        ("--objectives lpg --normaliser scale", "normaliser is 'scale', but grid/random-small has no scale"),
        ("--baselines --objectives", "nothing to compare"),
        (
            "--objectives lpg --envs Pendulum-v1 --agents lpg.learner.network.encoder=tabular",
            "lpg cannot learn in Pendulum-v1: encoder is 'tabular' but",
        ),
    ],
)
def test_bad_input_is_one_sentence(words: str, message: str, tmp_path: Any, capsys: Any):
    out = tmp_path / "out"
    assert main(["meta-test", *words.split(), "--out", str(out)]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_mixed_settings_under_a_label_are_refused(files: Path):
    label = f"mixed={files / 'aware' / 'seed_0'},{files / 'frozen'}"
    with pytest.raises(
        ValueError, match=r"objectives of 'mixed' .* time.ablation.kind is 'true' in .*seed_0 and 'frozen' in"
    ):
        find_arms(MetaTestConfig(objectives=(label,)))


def test_a_configuration_survives_json(files: Path):
    settings = tiny(files, tuning=TuningConfig(per_horizon=True), env_options={"length": "7"})
    assert MetaTestConfig.from_json(json.loads(json.dumps(plain(settings)))) == settings
