"""The benchmark programs run at tiny size; what they measure is not asserted."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from jaxrl_evolve.storage.provenance import provenance

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_a_case_is_measured_without_a_peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import throughput
    import throughput_cases as cases
    from throughput_table import read

    tiny = cases.Case("tiny", "CartPole-v1", 4, updates=2, rollout_length=8)
    monkeypatch.setitem(cases.SPEED, "cartpole-4", tiny)
    throughput.main(["--cases", "cartpole-4", "--repeats", "2", "--out", str(tmp_path)])
    rows = {row.measure: row for row in read(tmp_path / "throughput.csv")}
    rate = rows["steps_per_second"]
    assert rate.low is not None and rate.value is not None and rate.high is not None
    assert 0 < rate.low <= rate.value <= rate.high
    assert (rows["compile_seconds"].value or 0) > 0 and (rows["peak_mib"].value or 0) > 50
    assert "| tiny |" in (tmp_path / "throughput.md").read_text()


def test_measuring_a_case_again_replaces_its_rows_only(tmp_path: Path):
    from throughput_table import Row, merge, read, write_markdown

    path = tmp_path / "throughput.csv"
    merge(path, "breakout-64", [Row("breakout-64", "steps_per_second", "ours", 300.0, 200.0, 400.0)])
    merge(path, "cartpole-4", [Row("cartpole-4", "steps_per_second", "ours", 1.0)])
    merge(
        path,
        "cartpole-4",
        [Row("cartpole-4", "steps_per_second", s, x) for s, x in (("ours", 6.0), ("peer", 4.0))],
    )
    assert [(row.case, row.side, row.value) for row in read(path)] == [
        ("cartpole-4", "ours", 6.0),
        ("cartpole-4", "peer", 4.0),
        ("breakout-64", "ours", 300.0),
    ]
    write_markdown(path, tmp_path / "report.md")
    report = (tmp_path / "report.md").read_text()
    assert "| 6 | 4 | 1.50 |" in report
    assert "300 (200 to 400)" in report
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.md", "throughput.csv"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--peer", "nowhere", "--peer-python", "python"], "has no ppo.py"),
        (["--peer-python", "python"], "only of use together"),
        (["--repeats", "0"], "must be at least 1"),
        (["--cases", "pong"], "invalid choice"),
    ],
)
def test_wrong_usage_is_one_sentence(words: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    import throughput

    with pytest.raises(SystemExit) as error:
        throughput.parse(words)
    assert error.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--peer", "nowhere", "--peer-python", "python"], "has no meta/train.py"),
        (["--cases", "x"], "choice"),
    ],
)
def test_wrong_usage_of_the_other_program_is_one_sentence(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    import meta_throughput

    with pytest.raises(SystemExit):
        meta_throughput.parse(words)
    assert message in capsys.readouterr().err


def test_the_loop_without_resets_never_resets():
    import jax
    import jax.numpy as jnp
    import numpy as np
    import throughput_worker as worker

    from jaxrl_envs import make

    env = make("CartPole-v1")
    venv = worker.without_resets(env, 3)
    state = venv.reset(jax.random.key(0), env.params)
    step = jax.jit(venv.step)
    ended = np.zeros(3)
    for i in range(40):  # pushing one way ends every episode within a dozen steps
        before = state
        state, seen = step(jax.random.key(i), state, jnp.ones((3,), jnp.int32), env.params)
        np.testing.assert_array_equal(state.obs, seen.next_obs)
        assert (state.episode_length == before.episode_length + 1).all()
        ended += np.asarray(state.first)
    assert (ended > 1).all()


def test_the_report_of_meta_training_shows_what_was_measured(tmp_path: Path):
    import meta_throughput_cases as cases
    from meta_throughput_table import write_markdown
    from throughput_table import Row, merge

    path, units = tmp_path / "meta_throughput.csv", ("seconds", "processor_seconds")

    def timed(case: str, values: dict[str, float], side: str = "ours") -> list[Row]:
        return [Row(case, f"{x}: {unit}", side, s, s - 1, s + 1) for x, s in values.items() for unit in units]

    memory = [
        Row("meta-gradient", f"{kind}: temporary_mib", side, mib)
        for kind, side, mib in (
            ("step", "ours", 10.0),
            ("side by side", "ours", 40.0),
            ("step", "peer", 160.0),
        )
    ]
    measured = {
        "devices": timed("devices", {"1 devices": 2.0, "2 devices": 2.5}),
        "generation": timed("generation", {"log-uniform": 6.0})
        + timed("generation", {"log-uniform": 45.0}, "peer"),
        "meta-gradient": memory,
        "buckets": timed(
            "buckets", {"log-uniform, 0 lanes": 30.0, "log-uniform, 1 lanes": 10.0, "fixed, 1 lanes": 8.0}
        ),
        "overhead": timed("overhead", {"generation": 6.0, "bare": 5.0}),
    }
    for name, rows in measured.items():
        merge(path, name, rows, cases.ALL)
    write_markdown(path, tmp_path / "report.md")
    report = (tmp_path / "report.md").read_text()
    assert "| 6.00 (5.00 to 7.00) | 45.00 (44.00 to 46.00) | 7.50 | 7.50 | 3.0 |" in report
    assert "| as the command runs it | 10.0 | 160.0 | 16.00 | 4.0 |" in report
    assert "| all agents side by side | 40.0 | 160.0 | 4.00 | 4.0 |" in report
    assert "| 1 | 10.00 (9.00 to 11.00) | 3.00 | 8.00 (7.00 to 9.00) | 1.25 |" in report
    assert "| 6.00 (5.00 to 7.00) | 5.00 (4.00 to 6.00) | 1.20 | 1.20 | 1.5 |" in report
    assert "| 2 | 2.50 (1.50 to 3.50) | 1.60 |" in report
    assert report.index("ES generation of 16") < report.index("Weak scaling")


def test_lifetimes_at_quantiles_have_the_mean_of_the_distribution():
    from meta_throughput_cases import spread

    from jaxrl_evolve.meta.horizons import HorizonConfig, mean_horizon

    lengths = spread(10, 250, 64)
    assert lengths.min() >= 10 and lengths.max() <= 250
    assert lengths.mean() == pytest.approx(mean_horizon(HorizonConfig()), rel=0.01)
    assert (spread(25, 25, 4) == 25).all()


def test_a_method_passes_the_bar_by_its_mean_and_its_worst_seed():
    import preference_games

    row = lambda target, value: {"target": target, "seed": 0, "late": value, "average": value}
    cell = lambda method, *late: {
        "method": method, "game": "mixed", "rows": [*(row("late", x) for x in late), row("average", 0.5)]
    }  # fmt: skip
    found = preference_games.bars([cell("spo", 0.0, 0.06), cell("ema_spo", 0.02, 0.03), cell("dpo", 0.04)])
    assert found == "- last iterates: `ema_spo` on 1 (mixed).\n- average policy: none."


def test_what_a_store_costs_is_told_beside_the_smallest_of_its_case(monkeypatch: pytest.MonkeyPatch):
    import replay

    monkeypatch.setattr(replay, "UPDATES", 2)
    found = replay.of_an_update({capacity: replay.bare(capacity) for capacity in (512, 1_024)}, 3)
    assert [len(times) for times in found.values()] == [3, 3] and min(map(min, found.values())) > 0
    rows = replay.rows_of("a", {10: [4e-6] * 3, 1_000: [4e-6, 5e-6, 6e-6]})
    rows += replay.rows_of("b", {10: [8e-6] * 3}, {10: [4e-6, 4e-6, 2e-6]})
    about = dict.fromkeys(("hardware", "versions", "peer", "date", "commit", "command"), "") | {"repeats": 3}
    table = replay.markdown(rows, about)
    assert "| a | 1,000 | 5.0 | 4.0 | 6.0 | 1.250 | [1.000, 1.500] |  |  |" in table
    assert "| b | 10 | 8.0 | 8.0 | 8.0 | 1.000 | [1.000, 1.000] | 2.000 | [2.000, 4.000] |" in table
    own, theirs = replay.beside({512: replay.bare(512)}, lambda capacity: capacity * 1e-6, 2)
    assert len(own[512]) == 2 and theirs == {512: [512e-6] * 2}
    (even,) = replay.rows_of("a", {10: [4e-6, 6e-6]})
    assert even["median_us"] == 5.0


def test_a_peer_that_is_timed_twice_says_how_much_the_machine_drifted():
    import specs

    row = lambda case, what, rate: specs.row(case, what, [rate])
    rows = [row("steps, 8 slots", specs.PEER, 100.0), row("steps, 8 slots", "ours", 900.0)]
    assert specs.drift(rows) == ""
    rows += [row("steps of carriers, 8 slots", specs.PEER, 150.0), row("steps, 16 slots", specs.PEER, 10.0)]
    page = specs.markdown(rows, {"command": "python benchmarks/specs.py"})
    assert "differed by a factor of up to 1.5." in page and "Command: `python benchmarks/specs.py`." in page


def test_two_seeds_have_no_interval_whatever_was_stored():
    import learning

    row = {"ci95_low": "517.9", "ci95_high": "546.2", "seeds": "2"}
    assert learning.interval(row) == "none"
    assert learning.interval(row | {"seeds": "3"}) == "[517.9, 546.2]"
    assert learning.interval(row | {"ci95_low": "nan", "seeds": "3"}) == "none"


def test_a_page_of_stored_rows_has_their_date():
    import bandits

    row = {"problem": "stationary", "method": "uniform", "seeds": "9", "regret": "0.4", "low": "0.3", "high": "0.5"}  # fmt: skip
    page = bandits.table([row | {"hardware": "a machine", "date": "2020-01-02"}])
    assert "Hardware: `a machine`" in page and "Date: 2020-01-02." in page


def test_learned_oracles_are_compared_in_pairs_of_seeds():
    import preference_models as models

    row = lambda model, seed, x: dict(zip(models.COLUMNS, (model, 3, seed, x, x, x), strict=False))
    rows = [row("HRC, 1 planes", seed, x) for seed, x in enumerate((0.1, 0.2, 0.1))]
    rows += [row("GPM, 2 planes", seed, 0.1) for seed in range(3)]
    page = models.page(rows, 50)
    # Mean 1/30, and 4.303 of its standard errors, 1/30.
    assert "| HRC, 1 planes | GPM, 2 planes | 0.0333 [-0.110, 0.177] |" in page
    assert "50 hard labels" in page and "3 seeds" in page and "Commit: not in the rows." in page
    told = models.page([each | {"commit": "abc+"} for each in rows], 50)
    assert "Commit: abc+." in told


def test_self_prediction_is_compared_in_pairs_of_seeds():
    import representation

    last = dict.fromkeys(representation.COLUMNS, "") | {"env_steps": 64}
    returns = {
        ("main", "plain"): (1, 2, 3, 4, 5),
        ("main", "self-prediction"): (2, 4, 3, 5, 6),
        ("room", "plain"): (8,) * 5,
    }
    rows = [
        last | {"stage": stage, "arm": arm, "seed": i, "eval_return": x, "setting": "tuned"}
        for (stage, arm), values in returns.items()
        for i, x in enumerate(values)
    ]
    for arm, settings in representation.ARMS.items():
        for i, changes in enumerate(settings):
            tuned = {"stage": "tuning", "arm": arm, "setting": representation.told(changes)}
            rows.append(last | tuned | {"seed": 0, "eval_return": -abs(i - 2)})
    for changes in representation.AFTERWARDS:
        later = {"stage": "afterwards", "arm": "self-prediction", "setting": representation.told(changes)}
        rows += [last | later | {"seed": i, "eval_return": i + 3} for i in range(5)]
    assert representation.best(rows, "plain") == representation.ARMS["plain"][2]
    # Differences 1, 2, 0, 1, 1: their mean, and 2.776 of its standard errors.
    half = 2.776445 * (0.5 / 5) ** 0.5
    assert representation.paired(rows, rows[5:10]) == pytest.approx((1.0, 1.0 - half, 1.0 + half))
    table = representation.markdown(
        rows, {"plain": [1.0] * 3, "self-prediction": [2.5] * 3}, {"Hardware": "x"}
    )
    assert "pairs: +1.00 [+0.12, +1.88] (Student), without zero: an effect." in table
    assert "2.50 times the processor time" in table and "four times the steps add 5.0" in table
    assert "| 5.00 | 3.00 4.00 5.00 6.00 7.00 | +2.00 [+2.00, +2.00] |" in table


def test_the_study_of_self_prediction_tells_who_learns_and_by_what_agents_differ():
    import spr_minatar as study

    from jaxrl_evolve.results.scores import SCALES

    rainbow = {
        "Breakout": (3.0,) * 5,
        "SpaceInvaders": (10.0, 30.0, 10.0, 30.0, 20.0),
        "Freeway": (0.0,) * 5,
    }
    made = lambda agent, game, seed, value: dict.fromkeys(study.COLUMNS, "x") | {
        "agent": agent, "game": game, "root_seed": 0, "seed": seed, "eval_return": value
    }  # fmt: skip
    better = lambda game, i, x: (
        x + (0.1 + 0.03 * (i - 2)) * (SCALES[f"{game}-MinAtar"].reference - SCALES[f"{game}-MinAtar"].random)
    )
    rows = [made("rainbow", game, i, x) for game, own in rainbow.items() for i, x in enumerate(own)]
    rows += [made("spr", row["game"], row["seed"], "") for row in rows]  # to be replaced
    anew = [
        made("spr", game, i, better(game, i, x)) for game, own in rainbow.items() for i, x in enumerate(own)
    ]
    rows = study.merged(rows, anew)
    assert len(rows) == 30 and [row["agent"] for row in rows[:15]] == ["rainbow"] * 15
    found = study.difference(rows, "spr", "rainbow")
    # Pairs differ by 0.04 to 0.16 in each game: their mean, and 2.776 of its standard errors.
    assert found is not None and found[:3] == pytest.approx((0.1, 0.1 - 0.0589, 0.1 + 0.0589), abs=1e-4)
    table = study.markdown(rows)
    assert "| Breakout | rainbow | 3.00 | [3.00, 3.00] | 3.00 3.00 3.00 3.00 3.00 | 7.3 | yes |" in table
    assert "| Freeway | rainbow | 0.00 |" in table and "| 0.0 | plainly not |" in table
    assert "| 4.8 | open |" in table
    assert "| spr | rainbow | +0.1000 | [+0.0411, +0.1589] | 5 | shown |" in table
    assert "Differences shown: spr is above rainbow by 0.1000 [0.0411, 0.1589]." in table
    assert "Missing: spr-noaug on Breakout" in table and "bbf less bbf, s(t+n-1)." in table
    assert len(study.commands("x")) == len(study.ARMS)


def test_cells_of_a_store_are_read_by_agent_game_and_seed(tmp_path: Path):
    import json

    import spr_minatar as study

    folder = tmp_path / study.folder_name(study.ARMS["bbf"]) / "Freeway" / "seed-3"
    folder.mkdir(parents=True)
    result = {
        "seed": 3, "eval_return": [1.5, None], "env_steps": 30_000, "diverged": {"1": 64}, "run_seconds": 7.4,
        "device": {"platform": "gpu", "count": 1, "kind": "K"}, "versions": {"python": "3", "jax": "0", "gymnax": "1"}, "git": None,
    }  # fmt: skip
    (folder / "result.json").write_text(json.dumps(result))
    (folder / "config.json").write_text(json.dumps({"steps": 30_000}))
    first, second = study.rows_of(tmp_path)
    assert (first["agent"], first["game"], first["root_seed"], first["seed"]) == ("bbf", "Freeway", 3, 0)
    assert (first["eval_return"], first["diverged"], second["eval_return"], second["diverged"]) == (
        1.5,
        "",
        None,
        64,
    )
    assert study.returns([first, second], "bbf", "Freeway").tolist() == [1.5, 1.5]
    (folder / "config.json").write_text(json.dumps({"steps": 10}))
    with pytest.raises(SystemExit, match="has 10 steps; the table is of 30000"):
        study.rows_of(tmp_path)


def test_control_from_comparisons_is_reported_from_stored_rows():
    import preference_control_table as table
    from preference_control_studies import STUDIES, exploitability_of_shares

    assert exploitability_of_shares((0.8, 0.1, 0.1)) == pytest.approx(0.0, abs=1e-9)
    assert exploitability_of_shares((1, 0, 0)) == pytest.approx(0.1)
    about = {"hardware": "x", "date": "today", "env_steps": "64", "queries": "", "run_seconds": "2"}
    row = lambda cell, seed, **own: (
        about | {"cell": cell, "seed": str(seed)} | {k: str(v) for k, v in own.items()}
    )
    sectors = [row("EMA-SPO", i, average=0.01, late=0.02, last=x, shares="0.790 0.105 0.105") for i, x in enumerate((0.01, 0.02, 0.06))]  # fmt: skip
    said = table.markdown(STUDIES["sectors"], sectors)
    assert "| 0.0300 [0.0100, 0.0600] / 0.0600 | average, late | 0.010 |" in said
    assert "Not run yet: SPO, SPO, fixed reference, EMA-SPO, annealed." in said
    pendulum = [row("SPO, episodes", i, eval_return=x) for i, x in enumerate((-170, -180, -175))]
    said = table.markdown(STUDIES["pendulum"], pendulum)
    assert "| SPO, episodes | -175" in said and "above -180: yes" in said
    met = [
        {"entry": f"SPO-PPO:{i}", "other": "true_reward__PPO:0", "win_rate": w}
        for i, w in enumerate(("0.6", "0.8"))
    ]
    said = table.markdown(STUDIES["populations"], [row("SPO-PPO", i, eval_return=1) for i in range(3)], met)
    assert "| SPO-PPO | – | – | – | 0.700 |" in said


def test_a_seed_that_is_lost_counts_as_the_worst_and_is_told():
    import preference_control as control
    import preference_control_table as table
    from preference_control_studies import STUDIES

    assert [control.told(x) for x in (None, float("nan"), 1.23456)] == ["", "", 1.235]
    about = {"hardware": "x", "date": "d", "env_steps": "64", "run_seconds": "2", "cell": "SPO, episodes"}
    rows = [
        {**about, "seed": str(i), "eval_return": value, "queries": labels}
        for i, (value, labels) in enumerate((("-170", "100"), ("", "40"), ("-190", "70")))
    ]
    said = table.markdown(STUDIES["pendulum"], rows)
    assert "| SPO, episodes | -183.3" in said  # of -170, -190 and the worst of both
    assert "| 1 lost | 64 | 70 (40 to 100) | above -180: no |" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["populations", "--only", "SPO"], "--only has 'SPO'; it must be among 'SPO-PPO', 'EMA-SPO-PPO'"),
        (["hopper", "--seed", "100"], "need a folder of their own: --results"),
        (["hopper", "--steps", "64"], "need a folder of their own: --results"),
    ],
)
def test_reported_tables_are_of_what_they_say(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    import preference_control

    with pytest.raises(SystemExit):
        preference_control.parse(words)
    assert message in capsys.readouterr().err


def test_tasks_of_brax_have_the_backend_that_their_name_says():
    import learning

    cases = [
        case for suite in learning.SUITES.values() for case in suite.cases if case.env.startswith("brax/")
    ]
    assert len(cases) > 4
    for case in cases:
        assert case.note.startswith(case.changes["env_options"]["backend"])


def test_an_update_of_spo_is_timed_beside_plain_ppo_and_its_comparisons():
    import preference_speed as speed

    times = speed.timed({"pairs": speed.all_pairs(8), "exact": speed.exact()}, 2)
    assert all(len(x) == 2 and min(x) > 0 for x in times.values())
    rows = [
        {"part": "update", "what": what, "median_ms": ms, "min_ms": ms, "max_ms": ms, "repeats": "5", "date": "d", "hardware": "x"}
        for what, ms in (("SPO-PPO", "110"), ("PPO", "100"), (f"all pairs of {speed.N:,}", "1.1"))
    ]  # fmt: skip
    said = speed.markdown(rows)
    assert "SPO-PPO takes 1.100 times" in said and "are 1.00% of it" in said


def test_learners_beside_those_of_others_are_told_with_their_ratios(tmp_path: Path):
    import off_policy
    from throughput_table import Row, note

    three = lambda case, measure, side, ms: Row(case, measure, side, ms / 1e3, ms / 2e3, ms / 500)
    rows = [
        three("sac", "go_seconds", "ours", 200.0),
        three("sac", "go_seconds", "peer", 500.0),
        *(three("spr-boards", "train_seconds", side, ms) for side, ms in (("ours", 20.0), ("peer", 30.0))),
        *(three("spr-boards", "whole_seconds", side, ms) for side, ms in (("ours", 40.0), ("peer", 200.0))),
        note("sac", "about", "rejax 0.1.3", "peer"),
    ]
    page = off_policy.markdown(rows)
    assert "16,384 steps | 200 (100 to 400) | 500 (250 to 1e+03) | 2.50 | 1.5 |" in page
    assert ": a gradient step | 20 (10 to 40) | 30 (15 to 60) | 1.50 | 1 |" in page
    assert ": an environment step of the whole loop | 40 (20 to 80) | 200 (100 to 400) | 5.00 | 2 |" in page
    assert "- sac, peer: rejax 0.1.3" in page and "131,072" not in page


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no case has a peer; give --rejax-python or --jax-baseline"),
        (["--rejax-python", "python", "--cases", "spr-boards"], "no case has a peer"),
        (["--jax-baseline", "nowhere", "--jax-baseline-python", "python"], "has no folder jax_baselines"),
        (["--jax-baseline-python", "python"], "only of use together"),
    ],
)
def test_wrong_usage_of_the_comparison_is_one_sentence(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    import off_policy

    with pytest.raises(SystemExit):
        off_policy.parse(words)
    assert message in capsys.readouterr().err


def test_what_learning_action_values_costs_is_told_by_gradient_step_seeds_and_game():
    import rainbow

    measured = {
        "spr on Breakout-MinAtar": {
            "loop_ms": 11.0, "gradient_ms": 10.0, "environment_ms": 0.5, "store_mb": 40, "seconds_of_1": 2.0, "seconds_of_8": 8.0
        },
        "spr on atari/Pong": {"loop_ms": 180.0, "gradient_ms": 170.0, "environment_ms": 1.0, "store_mb": 730},
    }  # fmt: skip
    rows = [
        dict.fromkeys(rainbow.COLUMNS, "x") | {"case": case, "measure": name, "median": value}
        for case, own in measured.items()
        for name, value in own.items()
    ]
    page = rainbow.markdown(rows, "c")
    assert "| spr on Breakout-MinAtar | 11 | 0.5 | 10 | 1.05 |" in page
    assert "| spr on Breakout-MinAtar | 2.00 | 8.00 | 0.50 |" in page
    # Two gradient steps for each of 100,000 environment steps.
    assert "| spr on atari/Pong | 0.36 | 10 | 730 |" in page and "rainbow on" not in page
    assert "a buffer of 20,000 steps on boards and 1,000 on" in page


def test_two_trainings_have_the_mean_of_both_for_a_median(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import rainbow

    name = "spr on Breakout-MinAtar"
    found = {"loop_ms": [11.0], "gradient_ms": [10.0], "environment_ms": [0.5], "store_mb": [40.0]}
    found |= {"seconds_of_1": [3.0, 1.0], "seconds_of_8": [8.0, 8.0]}
    monkeypatch.setattr(rainbow, "measure", lambda case, repeats: found)
    with pytest.raises(SystemExit, match="has no rows"):
        rainbow.main(["--table", "--results", str(tmp_path)])
    rainbow.main(["--cases", name, "--results", str(tmp_path)])
    page = (tmp_path / "rainbow.md").read_text()
    assert f"| {name} | 2.00 | 8.00 | 0.50 |" in page
    (tmp_path / "rainbow.md").unlink()
    rainbow.main(["--table", "--results", str(tmp_path)])
    assert (tmp_path / "rainbow.md").read_text() == page


def test_what_self_prediction_costs_is_told_beside_the_same_network_without():
    import predicted

    rows = [
        dict(zip(predicted.COLUMNS, ("a", ahead, ms, ms, ms), strict=True))
        for ahead, ms in ((0, 2.0), (5, 9.0))
    ]
    page = predicted.markdown(rows, {"Date": "d"})
    assert "| a | 5 | 9.00 (9.00 to 9.00) | 4.50 |" in page and "Date: `d`." in page


def test_what_choosing_tasks_costs_is_told_beside_the_same_updates_without_a_choice():
    import curriculum_overhead as overhead
    import jax
    import jax.numpy as jnp

    import jaxrl_envs

    case = overhead.Case("levels", "mazes", None, ("plr",), 2)
    times = {
        overhead.BASELINE: [0.2, 0.4, 0.2],
        "plr": [0.21, 0.42, 0.3],
        "accel" + overhead.BRIEFLY: [0.24, 0.48, 0.24],
        "accel" + overhead.SCOUTS: [0.4, 0.8, 0.4],
    }
    about = {"repeats": 3, "date": "d", "hardware": "x", "commit": "c"}
    page = overhead.markdown([{**row, **about} for row in overhead.rows_of(case, times)])
    # Ratios are of the same turn: 1.05, 1.05 and 1.5; milliseconds of one of two updates.
    assert "| levels, mazes | plr | 150 | 105 to 210 | +5.0% [+5.0%, +50.0%] | not decided |" in page
    # What is done with the levels of scouts is held against the bar; what they play is not.
    assert (
        "| levels, mazes | accel and scouts of one step | 120 | 120 to 240 | +20.0% [+20.0%, +20.0%] | no |"
        in page
    )
    assert "| levels, mazes | accel and scouts | 200 | 200 to 400 | +100.0% [+100.0%, +100.0%] |  |" in page
    assert "Commit: `c`." in page
    assert [overhead._verdict(*bounds, 0.1) for bounds in ((0.0, 0.1), (0.11, 0.2))] == ["yes", "no"]
    assert "Bars: arms 3%; levels 10%." in page
    dealt = overhead.in_turn_dealt(
        overhead.arms_of_run(overhead.poles("sec"), jaxrl_envs.make("CartPole-v1"))
    )
    slots = overhead.Openings((), jnp.ones(7, bool), jnp.full(7, -1, jnp.int32))
    number = dealt.propose(jax.random.key(0), (), slots)[1].number
    assert number.tolist() == [0, 1, 2, 3, 4, 0, 1]


def test_a_curriculum_is_timed_with_scouts_of_one_step_and_as_it_is(monkeypatch: pytest.MonkeyPatch):
    import curriculum_overhead as overhead

    monkeypatch.setattr(overhead, "program", lambda config, built, seat, updates: seat)
    made = overhead.programs(overhead.Case("levels", "mazes", overhead.mazes, ("plr", "accel"), 2))
    assert list(made) == [
        overhead.BASELINE,
        "plr",
        "accel" + overhead.BRIEFLY,
        "accel" + overhead.SCOUTS,
    ]
    brief, whole = made["accel" + overhead.BRIEFLY].scouts, made["accel" + overhead.SCOUTS].scouts
    assert (brief.steps, whole.steps, brief.count) == (1, 0, whole.count)


def test_the_page_of_the_level_buffer_says_of_what_code_and_versions_it_is():
    import level_buffer

    origin = {
        "versions": {"python": "3.11", "jax": "1", "jaxlib": "2", "flax": "3"},
        "git": {"commit": "abc", "dirty": True},
    }
    origin["device"] = provenance()["device"]
    told = level_buffer.about(origin, "jaxued=0.0.1")
    assert (
        "Versions: `python=3.11 jax=1 jaxlib=2`. Peer: `jaxued=0.0.1`. " in told
        and "Commit: `abc+`. " in told
    )
    assert "Peer" not in level_buffer.about(origin, "")


def test_ways_to_choose_horizons_are_meta_trainings_over_the_same_range():
    import horizon_curricula

    from jaxrl_evolve.meta.horizon_arms import horizon_curriculum

    made = {way: horizon_curricula.configuration(way, 1) for way in horizon_curricula.WAYS}
    assert {config.horizons.range for config in made.values()} == {(10, 100)}
    chosen = {way for way, config in made.items() if horizon_curriculum(config) is not None}
    assert chosen == {"uniform-arms", "progress", "sec-progress", "cheap-progress"}


def test_the_page_of_horizons_by_curricula_holds_each_against_the_control_in_pairs(tmp_path: Path):
    import horizon_curricula as study

    scores = {
        "log-uniform": [0.5, 0.6, 0.4], "progress": [0.6, 0.71, 0.49], "growing": [0.52, 0.6, 0.44], "a2c": [0.9],
    }  # fmt: skip
    rows = [
        {
            "way": way,
            "meta_seed": seed,
            "horizon": h,
            "score": x + (h > 250) * 0.02,
            "meta_env_steps": 3e6,
            "meta_seconds": 120,
            "commit": "abc",
        }
        for way, values in scores.items()
        for seed, x in enumerate(values)
        for h in study.TESTED
    ]
    rows = [{name: row.get(name, "") for name in study.COLUMNS} for row in rows]
    page = study.markdown(rows)
    # Student's interval of three pairs: 0.1 +- 4.303 * 0.01 / sqrt(3); p = 0.0033, times two lines.
    assert "| progress | 3 | +0.100 [+0.075, +0.125] | 0.00332 | 0.00663 |" in page
    assert "| growing | 3 | +0.020 [-0.030, +0.070] | 0.225 | 0.225 |" in page
    assert "log-uniform has 0.510 and a2c 0.910: there is room for an effect" in page
    assert "| progress | 3.0 | 2.0 |" in page and "commit abc" in page
    store = tmp_path / "horizon_curricula.csv"
    store.write_text(
        "\n".join([",".join(study.COLUMNS), *(",".join(str(row[c]) for c in study.COLUMNS) for row in rows)])
        + "\n"
    )
    study.main(["table", "--results", str(tmp_path)])
    assert (tmp_path / "horizon_curricula.md").read_text() == page
    high = [{**row, "score": 0.97} if row["way"] == "log-uniform" else row for row in rows]
    assert "there is no room for an effect" in study.markdown(high)


def test_rows_of_a_meta_test_count_diverged_agents_as_nothing():
    import horizon_curricula as study

    outcome = SimpleNamespace(
        returns=np.array([[[1.0, np.nan], [2.0, 1.0], [9.0, 9.0]]]), optimum=np.array([2.0, 4.0, np.nan]), horizons=np.array([10, 500]),
        facts={"commit": "abc"},
    )  # fmt: skip
    rows = study.rows_of("growing", 3, outcome, {"env_steps": 7})  # pyright: ignore[reportArgumentType]
    assert [(row["horizon"], row["score"], row["diverged"]) for row in rows] == [
        (10, 0.5, 0.0),
        (500, 0.125, 0.5),
    ]
    assert {(row["way"], row["meta_seed"], row["commit"], row["meta_env_steps"]) for row in rows} == {
        ("growing", 3, "abc", 7)
    }


def test_suites_of_curricula_share_their_cells_and_pages_are_kept_by_suite(tmp_path: Path):
    import curricula

    import jaxrl_envs
    from jaxrl_evolve.curricula.table import make_curriculum
    from jaxrl_evolve.training import curricula_suite
    from jaxrl_evolve.training.parts import literal

    assert len(curricula.SUITES["methods"]) >= 9 and len(curricula.SUITES["factors"]) == 10
    both = {"random", "random restart=True", "plr", "plr temperature=0.3"}
    assert both <= {*curricula.SUITES["methods"]} & {*curricula.SUITES["factors"]}
    # Whatever is asked for is read: none is refused.
    maze = jaxrl_envs.make(curricula_suite.ENV)
    for cell in {*curricula.SUITES["methods"], *curricula.SUITES["factors"]}:
        config = curricula_suite.PROTOCOLS["small"].config(cell, 1)
        options = {name: literal(value) for name, value in config.curriculum_options.items()}
        made = make_curriculum(config.curriculum, maze, config.num_envs, options)
        assert made.restart == (cell not in ("random", "sec"))
    for words in (["methods", "--steps", "9"], ["methods", "--seeds", "2", "--out", str(tmp_path)]):
        with pytest.raises(SystemExit):
            curricula.parse(words)
    assert curricula.parse(["factors", "--only", "plr", "random"]).only == ["random", "plr"]


@pytest.mark.parametrize(("success", "trained"), [(0.5, ["random", "plr", "sfl"]), (0.9, ["random"])])
def test_a_study_of_curricula_goes_on_where_one_is_lost_and_stops_where_the_task_says_nothing(
    success: float, trained: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import curricula

    from jaxrl_evolve.training.curricula_report import Tested
    from jaxrl_evolve.training.interrupts import Diverged

    runs, results = tmp_path / "runs", tmp_path / "results"
    sizes = {
        "env_options": {"size": "9", "walls": "25", "max_steps": "120"},
        "test": {"levels": 3, "episodes": 2},
    }
    sizes |= {"steps": 8, "memory_size": 4, "num_envs": 2, "rollout_length": 2}
    there: list[str] = []

    def cell(label: str) -> Tested:
        both = [success, success]
        outcome = {
            "all": {"runs": both},
            "cvar": [{"share": 0.1, "runs": both, "biased": both}],
            "restart": False,
        }
        return Tested(label, runs, {"seed": 0, "env_steps": 8, "run_seconds": 1.0}, outcome)

    def benchmark(out: Path, *, presets: list[str], **given: Any) -> None:
        there.extend(presets)
        out.mkdir(exist_ok=True)
        (out / "small.json").write_text(json.dumps(sizes))
        if presets == ["plr"]:
            raise Diverged("no run is left")

    monkeypatch.setattr(curricula, "benchmark_curricula", benchmark)
    monkeypatch.setattr(curricula, "use_compilation_cache", lambda: None)
    monkeypatch.setattr(curricula, "tested_cells", lambda *given: [cell(x) for x in there if x != "plr"])
    words = ["methods", "--only", "plr", "random", "sfl", "--out", str(runs), "--results", str(results)]
    if success == 0.5:
        curricula.main(words)
    else:
        with pytest.raises(SystemExit, match=r"random has 0.900 on its worst levels: this task cannot tell"):
            curricula.main(words)
    assert there == trained
    text = (results / "curricula_methods.md").read_text()
    if success == 0.5:
        assert "plr is left out: no run is left." in text and "`plr temperature=0.3`" in text
    made = (
        (results / "curricula_small.csv").read_text(),
        text.replace("plr is left out: no run is left.\n\n", ""),
    )
    curricula.main(["methods", "--table", *words[5:]])
    assert made == (
        (results / "curricula_small.csv").read_text(),
        (results / "curricula_methods.md").read_text(),
    )
    (runs / "small.json").write_text(json.dumps({**sizes, "steps": 9}))
    with pytest.raises(SystemExit, match="has cells of other sizes than those of"):
        curricula.take("small", runs, results)


def test_the_value_of_time_is_that_of_schedules_chosen_on_other_seeds(tmp_path: Path):
    import numpy as np
    import value_of_time as gate

    rng = np.random.default_rng(0)
    luck = rng.normal(size=(2, 1, 1, 16))
    # Two horizons, two schedules, three step sizes: the short horizon wants 1 constant, the long one 0 annealed.
    quality = np.zeros((2, 2, 3))
    quality[0, 0], quality[1, 0], quality[1, 1, 0] = (0.5, 5, 1), (3, 2, 1), 6
    returns = (quality[..., None] + luck + 1e-3 * rng.normal(size=(2, 2, 3, 16))).astype(np.float32)
    returns[1, 1, 2, 3] = np.nan
    value = gate.value_of(returns, (0.1, 0.2, 0.4))
    # The single constant one is 1: it ties with the best at the short horizon and always loses at the long one.
    assert (value.constant, value.chosen) == (0.2, (("constant", 0.2), ("annealed", 0.1)))
    assert value.whole.value == value.whole.low == value.whole.high == 0.75
    assert value.length.value == 0.75 and value.annealed.value == 0.5
    alike = gate.value_of(np.broadcast_to(returns[:, :1, 1:2], returns.shape), (0.1, 0.2, 0.4))
    assert alike.whole.value == 0.5

    task, facts = gate.TASKS["catch"], {"rollout_length": 128, "env_steps": 10, "evaluation_steps": 2}
    facts |= {"seconds": 60.0, "cores": 2, "device": "x", "jax": "0", "date": "today"}
    for h, horizon in enumerate(task.horizons):
        cell = gate.Cell(returns[min(h, 1)], np.array([0.1, 0.2, 0.4]), facts)
        gate.save(gate.path_of(tmp_path / "store", "catch", 4, horizon), cell)
    results = tmp_path / "a new" / "folder"
    gate.main(["table", "--store", str(tmp_path / "store"), "--results", str(results)])
    text = (results / "value_of_time.md").read_text()
    # Four long horizons decide for 0 as the constant one, which loses at each of the five.
    assert "| Catch-bsuite | 4 x 128 | 1.00 [1.00, 1.00] |" in text
    assert "Budget: 50 environment steps of learning and 10 of evaluation, 5 minutes on 2 cores (x)" in text


def test_the_study_of_horizons_is_told_from_its_store(tmp_path: Path):
    import gzip
    import json

    import horizon_study
    import horizon_table
    import numpy as np

    from jaxrl_evolve.meta_test.outcome import Outcome, save
    from jaxrl_evolve.meta_test.tuning import Tuning

    where = ["--store", str(tmp_path), "--results", str(tmp_path), "--runs", str(tmp_path)]
    given = horizon_study.parse(["b", "train", "--step_sizes", "1e-3", "3e-3", *where])
    place = horizon_study.place_of(given)
    facts = {
        "env_steps": 100,
        "evaluation_steps": 10,
        "seconds": 60.0,
        "commit": "abc",
        "cores": 2,
        "device": "x",
    }
    tuning = Tuning(np.array([1e-3]), np.array([0.0]), np.zeros((1, 5)), np.zeros(5, int))
    blind = np.random.default_rng(0).normal(size=(5, 8, 5)).astype(np.float32)
    aware = blind + np.where(np.arange(5) < 4, 1.0, -1.0).astype(
        np.float32
    )  # worse at the longest horizon alone
    for name, returns in (("ta-lpo-constant", aware), ("lpo-constant", blind), ("ppo", blind[:1])):
        path = place.store / "test-once" / f"{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        unknown = np.full(8, np.nan)
        save(path, Outcome(returns, returns, {}, unknown, np.array(place.study.horizons), tuning, facts))
    kept = place.kept("lpo-constant", 0)
    kept.mkdir(parents=True)
    rows = "".join(
        json.dumps({"generation": g, "test_fitness": [g, g + 2]}) + "\n" for g in range(0, 201, 10)
    )
    (kept / "metrics.jsonl.gz").write_bytes(gzip.compress(rows.encode()))
    (kept / "result.json").write_text(json.dumps(facts))
    horizon_study.main(["b", "table", *where])
    text = (tmp_path / "horizon_b-CartPole-v1.md").read_text()
    assert "P(ta-lpo-constant > lpo-constant): 0.800 [0.800, 0.800]." in text
    assert "| lpo-constant | 1 | 1 | 51 | 101 | 151 | 201 |" in text
    missing = text.partition("Missing meta-trainings: ")[2].partition(".")[0].split(", ")
    assert len(missing) == 19 and "ta-lpo-constant 0" in missing and "lpo-constant 0" not in missing
    outcomes = horizon_table.outcomes_of(place.study, place.store, "once")
    assert ("ta-lpo-constant", "ppo-annealed", False) in horizon_table.compared(place.study, outcomes)


@pytest.mark.parametrize("name", ["b", "b1", "c", "d"])
def test_the_arms_of_a_study_of_horizons_differ_in_what_it_asks_alone(name: str, tmp_path: Path):
    import dataclasses

    import horizon_study

    words = ["train", "--step_sizes", "1e-3", "3e-3", "--runs", str(tmp_path)]
    place = horizon_study.place_of(horizon_study.parse([name, *words]))
    x, y = (place.configuration(arm, 3) for arm in place.study.primary)
    assert x.settings.time.kinds == ("fraction", "log_horizon") and y.settings.time.size == 0
    alike = dataclasses.replace(
        y,
        objective=x.objective,
        settings=dataclasses.replace(y.settings, time=x.settings.time),
        evolution=dataclasses.replace(y.evolution, only=x.evolution.only),
    )
    assert x == alike and x.hp.learning_rate_end == 1.0 and x.seed == 3
    assert x.evolution.only == (("core_time",) if name == "c" else ())
    if name in ("b", "b1"):
        annealed = place.configuration("ta-lpo-annealed", 3)
        assert (annealed.hp.learning_rate, annealed.hp.learning_rate_end) == (3e-3, 0.0)
    test = horizon_study.test_configuration(place, "per-horizon")
    assert test.tuning.per_horizon and test.seeds in (64, 256) and test.ablations == ()


def test_estimators_are_compared_at_the_step_size_that_did_best_for_other_meta_seeds(tmp_path: Path):
    import gzip
    import json

    import estimators

    def keep(name: str, rate: float, seed: int, end: float) -> None:
        kept = estimators.cell(tmp_path, name, rate, seed)
        kept.mkdir(parents=True)
        # A life without a return to be had counts for nothing.
        rows = [
            {"env_steps": 0, "evaluation_steps": 5, "test_fitness": [0.2, 9.0], "test_optimum": [2.0, 0.0]},
            {"env_steps": 90, "evaluation_steps": 9},
            {
                "env_steps": 100,
                "evaluation_steps": 10,
                "test_fitness": [2 * end, 9.0],
                "test_optimum": [2.0, 0.0],
            },
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (kept / "metrics.jsonl.gz").write_bytes(gzip.compress(text.encode()))
        (kept / "result.json").write_text(json.dumps({"device": "x", "cores": 2, "commit": "abc"}))

    best = {"es": 0.03, "pes": 0.01}
    for name in best:
        assert estimators.chosen(tmp_path, name) is None
        for rate in estimators.ESTIMATORS[name][2]:
            for seed in estimators.TUNED:
                keep(name, rate, seed, 0.5 if rate == best[name] else 0.4)
        assert estimators.chosen(tmp_path, name) == best[name]
    for seed in estimators.REPORTED:
        keep("es", 0.03, seed, 0.5 + 0.1 * (seed % 2))
        keep("pes", 0.01, seed, 0.6 + 0.2 * (seed % 2))
    with pytest.raises(SystemExit, match="nres has no step size yet"):
        estimators.train(tmp_path, tmp_path, ["nres"], [0])
    estimators.table(tmp_path, tmp_path)
    text = (tmp_path / "estimators.md").read_text()
    assert "| es | 0.03 | 5 | 110 | 0.100 | 0.540 [0.500, 0.580] |  |" in text
    # Pairs differ by 0.1 and 0.2: their mean, and 2.776 of its standard errors.
    assert "| pes | 0.01 | 5 | 110 | 0.100 | 0.680 [" in text and "| 0.140 [0.0720, 0.208] |" in text
    assert "nres" not in text and "the primary outcome is the mean held-out fitness" in text


def test_methods_on_completions_are_compared_with_what_they_began_from(tmp_path: Path):
    import json

    import completions

    def keep(name: str, rate: float, seed: int, right: float, length: float = 30.0) -> None:
        kept = completions.cell(tmp_path, name, rate, seed)
        kept.parent.mkdir(exist_ok=True)
        told = {
            "name": name,
            "rate": rate,
            "seed": seed,
            "pass@1": right,
            "pass@16": 0.9,
            "episode_length": length,
        }
        kept.write_text(json.dumps({**told, "device": "x", "cores": 2, "commit": "abc+"}))

    for rate in completions.RATES:
        assert completions.chosen(tmp_path, "sppo") is None
        for seed in completions.TUNED:
            keep("sppo", rate, seed, 0.5 if rate == 1e-4 else 0.4)
    for seed in completions.REPORTED:
        keep(completions.BEFORE, 0.0, seed, 0.2 + 0.1 * (seed % 2))
        keep("sppo", 1e-4, seed, 0.5 + 0.1 * (seed % 2))
        keep("sppo", 3e-4, seed, 0.9)  # of a step size that was not chosen
        keep("sppo-hacked", 1e-4, seed, 0.4, 30.0 + seed)
    completions.table(tmp_path, tmp_path)
    text = (tmp_path / "completions.md").read_text()
    assert "| imitation alone |  | 5 | 0.240 [0.200, 0.280] |  | 0.900 [0.900, 0.900] | 30.0 |  |" in text
    assert (
        "| sppo | 0.0001 | 5 | 0.540 [0.500, 0.580] | 0.300 [0.300, 0.300] |" in text and "grpo" not in text
    )
    assert "sppo 0.1000. A choice" in text and "At the edge" not in text and "A + after a commit" in text
    assert "These are 0 pairs" in text and "What was run twice" in text
    for rate in completions.RATES:
        for seed in completions.TUNED:
            keep("dpo", rate, seed, rate)
    assert completions.how_chosen(tmp_path, [completions.BEFORE, "sppo", "dpo", "grpo"]).endswith(
        "dpo 0.0002, sppo 0.1000. A choice by a small lead may fall otherwise on other seeds. "
        "At the edge of the grid, so that others may do better: dpo."
    )
    for rate in completions.RATES:
        for seed in completions.TUNED:
            keep("dpo", rate, seed, 0.3 if rate == 1e-4 else 0.2)
    for seed in completions.REPORTED:
        keep("dpo", 1e-4, seed, 0.4 + 0.1 * (seed % 2))
    assert completions.each_against_each(tmp_path, ["sppo", "dpo"]).splitlines()[2:] == [
        "| sppo |  | **+0.100** |",
        "| dpo | **-0.100** |  |",
    ]
    keep("dpo", 1e-4, 0, 0.8)
    assert "| sppo |  | +0.020 |" in completions.each_against_each(tmp_path, ["sppo", "dpo"])
    # With the step size of the method itself; an interval over the seeds of how much longer.
    assert "| sppo-hacked | 0.0001 | 5 | 0.400 [0.400, 0.400]" in text and "| 32.0 | 2.00 [" in text
    gated = completions.configuration("ipo-gated", 1e-4, 3).learner
    assert (gated.loss, gated.preference) == ("ipo", "length_hack:0.3+length_gate:0")
    stages = completions.configuration("dpo-3", 1e-4, 3).learner
    assert (stages.loss, stages.reference, stages.reference_every) == ("dpo", "stages", 3)
    start = completions.configuration("sppo", 1e-4, 3, "runs/pupil")
    assert (start.start, start.seed, start.env_options) == ("runs/pupil", 3, {})
    assert completions.configuration(completions.TEACHER, 1e-3, 3).env_options == {"taught": "True"}
    with pytest.raises(SystemExit, match="grpo has no step size yet"):
        completions.train(tmp_path, tmp_path, ["grpo"], [0])


def test_a_weight_that_is_never_luck_has_a_reliability_of_1():
    import numpy as np
    from pair_reliability import reliability

    rng = np.random.default_rng(0)
    signal, luck = rng.normal(size=400), rng.normal(size=(50, 400))
    np.testing.assert_allclose(reliability(np.tile(signal, (3, 1)), 10), 1.0)
    assert abs(reliability(luck, 10).value) < 0.02
    assert abs(reliability(signal + luck, 10).value - 0.5) < 0.05


def test_sequence_games_are_judged_exactly_and_chosen_by_seeds_apart(tmp_path: Path):
    import json

    import jax
    import jax.numpy as jnp
    import numpy as np
    import sequence_games as games

    made = games.player("ema-spo", "populations", 8)
    zeros = jax.tree.map(
        lambda x: np.zeros(x.shape, x.dtype), jax.eval_shape(made.network.init, jax.random.key(0))
    )
    shares = jax.jit(lambda params: games.classes_of(made.network, params))(zeros)
    np.testing.assert_allclose(shares, 1 / 3, rtol=1e-5)  # all completions are as likely
    winner = games.populations(games.GAMES["populations"]).winner
    assert winner is not None
    told = games.scores(made.advantage, np.stack([np.eye(3)[0]] * 4 + [winner]))
    assert abs(told["last"]) < 1e-6 and abs(told["late"]) < 1e-6 and told["average"] > 0.05
    one = games.circle(games.GAMES["populations"]).prob
    of = lambda total: type("Seen", (), {"total": jnp.float32(total)})
    np.testing.assert_allclose([one(of(0), of(1), ()), one(of(1), of(0), ())], [0.65, 0.35], rtol=1e-6)

    def keep(what: str, rows: list[dict[str, object]], method: str = "ipo") -> None:
        path = games.cell(tmp_path, method, "uneven", what)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"rows": rows}))

    hp = [{"learning_rate": 1e-3, "beta": beta} for beta in (0.1, 0.3, 1.0)]
    assert games.chosen(tmp_path, "ipo", "uneven", "late") is None
    value = lambda x, y: {"late": x, "average": y}
    keep("tune", [{"hp": hp[0], **value(0.2, 0.1)}, {"hp": hp[1], **value(0.1, 0.2)}, {"hp": hp[2], **value(float("nan"), 0.3)}])  # fmt: skip
    assert games.chosen(tmp_path, "ipo", "uneven", "late") == hp[1]
    assert games.chosen(tmp_path, "ipo", "uneven", "average") == hp[0]
    row = lambda seed: {"hp": hp[1], "seed": seed, "queries": 9, "last": 0.0, "late": 0.02, "average": 0.2}
    keep("late", [row(seed) for seed in games.REPORTED])
    others = [row(seed) | {"late": 0.02 + 0.01 * (seed % 2)} for seed in games.REPORTED]
    keep("late", others, "inpo")
    games.table(tmp_path, tmp_path)
    text = (tmp_path / "sequence_games.md").read_text()
    # Half of the pairs differ by .01: their mean, and 2.365 of its standard errors.
    assert "| 0.00500 [0.000531, 0.00947] | learning_rate 0.001*, beta 0.3* |" in text
    assert (
        games.said("ipo", "beta", 0.1) == "beta 0.1"
        and games.said("spo", "entropy_coef", 0.0) == "entropy_coef 0"
    )
    assert (
        "| uneven | late | ipo | 0.0200 [0.0200, 0.0200] | 0.020 | yes |" in text
        and "| average |" not in text
    )
    with pytest.raises(SystemExit, match="dpo has no settings yet"):
        games.make(tmp_path, "dpo", "uneven", "late")


def test_curricula_of_completions_are_compared_with_uniform_draws_of_the_same_seed(tmp_path: Path):
    import json

    import sequence_curricula as study

    def keep(name: str, rate: float, seed: int, easy: float, harder: float, middle: float = 0.2) -> None:  # fmt: skip
        path = study.cell(tmp_path, "countdown", name, rate, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        told = {"name": name, "rate": rate, "seed": seed, "arms": [easy, middle, 0.0], "harder": harder}
        path.write_text(json.dumps({**told, "device": "x", "cores": 2, "commit": "abc"}))

    with pytest.raises(SystemExit, match="countdown has no step size yet"):
        study.train(tmp_path, tmp_path, "countdown", ["sec"], [0])
    assert not study.fits(tmp_path, "countdown")
    for seed in study.TUNED:
        keep(study.BEFORE, 0.0, seed, 0.14, 0.0, middle=0.0)
        for rate in study.RATES:
            keep("uniform", rate, seed, 0.5 if rate == 1e-4 else 0.4, 0.9)
    assert study.chosen(tmp_path, "countdown") == 1e-4
    assert not study.fits(tmp_path, "countdown")  # a mean of .047
    for seed in study.REPORTED:
        keep("uniform", 1e-4, seed, 0.4, 0.1 * (seed % 2))
        keep("sec, released", 1e-4, seed, 0.7, 0.1 * (seed % 2) + 0.2)
        keep("filter", 1e-4, seed, 0.1, 0.0)
    study.table(tmp_path, tmp_path)
    text = (tmp_path / "sequence_curricula.md").read_text()
    row = next(line for line in text.splitlines() if "sec, released" in line)
    more = "| 0.100 [0.100, 0.100] | 0.200 [0.200, 0.200] "
    assert row.endswith(f"{more}| 0.240 [0.200, 0.280] | 0.200 [0.200, 0.200] |")
    assert "countdown failed the condition" in text
    config = study.configuration("arc-1d", "sec, colder", 1e-4, 3, "runs/pupil")
    assert (config.curriculum, config.curriculum_options["temperature"]) == ("sec", "0.2")
    assert config.learner.network.decoder.context == 84 and config.start == "runs/pupil"
    taught = study.configuration("arc-1d", study.TEACHER, 1e-3, 3)
    assert taught.env_options["taught"] == "True" and taught.rollout_length == 168
    assert taught.curriculum_options == {"arms": "cells=10,20,30,40"} and config.rollout_length == 72


def test_refusals_pay_once_they_come_late_and_the_climb_ends_on_the_top():
    import auto_cei as cei
    import numpy as np
    import refusals

    plus, no, end, five = cei.WORKING, cei.REFUSE, cei.EOS, 8
    said = np.array(
        [[plus, plus, no, end], [plus, five, end, 0], [five, five, end, 0], [no, five, end, 0], [plus] * 4]
    )
    seen = cei.judge(said, np.array([[five, 0]] * 5))
    assert seen.right.tolist() == [False, True, False, False, False]
    assert seen.refused.tolist() == [True, False, False, False, False]
    assert seen.working.tolist() == [2, 1, 0, 0, 4]
    late = lambda c1: refusals.reward(seen, c1, 1.0)
    np.testing.assert_allclose(late(2.0), [0, 1, -1, -1, -1])
    # (1 - exp(-c2 (L - c1))) / (1 + exp(-c2 (L - c1)))
    np.testing.assert_allclose(late(0.5)[0], (1 - np.exp(-1.5)) / (1 + np.exp(-1.5)))
    np.testing.assert_allclose(cei.objective(seen), (0.8 * 0.25 + 0.2 * 0.8, 0.25, 0.2))
    best, tried = cei.climb(lambda c1: -abs(c1 - 2.0), 1.0, 0.5)
    assert best == 2.0 and [c1 for c1, _ in tried] == [1.0, 1.5, 2.0, 2.5]
    assert cei.climb(lambda c1: -c1, 1.0, 0.5, most=4)[0] == 0.0


def test_a_stage_of_refusals_goes_on_from_the_best_before():
    import auto_cei as cei
    import numpy as np

    class Pupil:
        """Its parameter is how many of four prompts it answers right; it refuses none. Imitation adds what it is told to."""

        params, state, moves = 1, None, iter([1, 1, -2, -1, 0, 0, 1, 0, 0])

        def draw(self, prompts):
            digits = np.where(np.arange(len(prompts.hidden)) % 4 < self.params, 8, 9)
            return np.stack([digits, np.full(len(digits), cei.EOS)], 1)

        def imitate(self, prompts, said, steps, rng):
            self.params += next(self.moves)

    asked = cei.Prompts(np.zeros((4, 1)), np.ones(4, int), np.array([[8, 0]] * 4), np.zeros(4, bool))
    pupil = Pupil()
    stages = cei.Stages(pupil, asked, asked, 1.0, 1, np.random.default_rng(0))
    assert stages.best().c1 != stages.best().c1 and stages.temperature == 0.25
    of = lambda right: 0.8 * right / 4 + 0.2
    np.testing.assert_allclose([stages(2.0), stages(2.5), stages(3.0)], [of(3), of(2), of(4)])
    assert [one.held[0] for one in stages.reached] == [3, 2, 4] and stages.best().c1 == 3.0


def test_refusals_before_and_after_are_compared_seed_by_seed():
    import auto_cei as cei
    import numpy as np

    seen = cei.Judged(*(np.asarray(x, bool) for x in ([1, 0, 0, 0], [0, 1, 1, 0])), np.zeros(4, int))
    told = cei.told_of(seen, np.asarray([False, True, False, True]))
    assert told == {
        "f": 0.8 * 0.5 + 0.2 * 0.5,
        "precision": 0.5,
        "refused": 0.5,
        "refused, hidden": 0.5,
        "refused, whole": 0.5,
    }
    seed = lambda i: {
        "seed": i,
        "before": told,
        "after": {**told, "precision": 0.6 + 0.1 * i},
        "held": {**told, "precision": 0.5 + 0.1 * i},
        "first": 3.5,
        "best": 4.0,
        "stages": [{}, {}],
        "seconds": 1.0,
        "device": "x",
        "cores": 2,
        "commit": "abc",
    }
    text = cei.page([seed(0), seed(1), seed(2)])
    # Of .1, .2 and .3 the deviation is .1, and Student's quantile is 4.303.
    said = "| Precision of what is answered | 0.500 | 0.700 | 0.200 [-0.0484, 0.448] | 0.600 | 0.100 [0.100, 0.100] |"
    assert said in text
    assert "| Refused where a term is hidden | 0.500 | 0.500 | 0.00 [0.00, 0.00] | 0.500 |" in text
    assert "| 1 | 3.50 | 4.00 | 2 |" in text and "whether ``c1`` moves" in text


def test_the_page_on_speed_has_what_was_measured():
    import sequence_speed as speed

    rows = [
        speed.row("batch of 8", "ours", [0.2, 0.1, 0.3], [0.2, 0.1, 0.3]),
        speed.row("batch of 8", "Hugging Face", [0.4, 0.4], [0.2, 0.1, 0.3]),
        speed.row("training, 64 completions", "one gradient", [0.1, 0.2, 0.1], [0.2, 0.2, 0.3]),
    ]
    text = speed.markdown(rows, speed.SIZES["small"], "the command")
    assert "| batch of 8 | ours | 200.00 | 1,920 |  |" in text
    assert "| batch of 8 | Hugging Face | 400.00 | 960 | 0.50 |" in text
    assert "| training, 64 completions | one gradient | 100.00 |  | 2.00 (1.00 to 3.00) |" in text
