"""The studies of control from comparisons before they are run: arms alike, cells complete, and claims decided from made-up stores."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def put(folder: Path, table: str, rows: list[dict[str, Any]]) -> None:
    with open(folder / f"preference_{table}.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*rows[0]])
        writer.writeheader()
        writer.writerows(rows)


def got(folder: Path, table: str) -> list[dict[str, str]]:
    with open(folder / f"preference_{table}.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def tuned(folder: Path, best: float = 1e-3) -> None:
    """Rows of `tune` in which one step size is the best of every arm."""
    from preference_control_hopper import ARMS, GRID, tune_name

    rows = [
        {"cell": tune_name(arm, rate), "seed": i, "eval_return": 100.0 + i - abs(np.log(rate / best))}
        for arm in ARMS.values()
        for rate in GRID
        for i in range(2)
    ]
    put(folder, "tune", rows)


def test_arms_on_hopper_differ_in_what_makes_them_what_they_are_alone(tmp_path: Path):
    from preference_control import settings_of
    from preference_control_hopper import BY_SAC
    from preference_control_studies import STUDIES

    tuned(tmp_path)
    study = STUDIES["hopper"]
    made = {cell.name: settings_of(study, cell, cell.steps, 5, 0, tmp_path) for cell in study.cells}
    assert len(made) == 14
    alike = ("num_envs", "rollout_length", "resets", "steps", "seeds", "seed", "rows", "env_options")
    of_learners = {
        False: ("epochs", "minibatches", "clip_value", "normalise_observations", "normalise_returns", "normalise_advantage", "network", "optimiser"),
        True: ("capacity", "batch", "gradient_steps", "warm_up", "hidden", "normalise_observations", "layer_norm", "activation"),
    }  # fmt: skip
    of_hp = {
        False: ("learning_rate", "learning_rate_end", "gamma", "gae_lambda", "clip", "value_coef", "entropy_coef", "max_grad_norm", "adam_eps"),
        True: ("learning_rate", "critic_learning_rate", "temperature_learning_rate", "gamma", "temperature", "target_entropy", "target_rate"),
    }  # fmt: skip
    for by_sac in (False, True):
        family = [c for c in made.values() if (c.algorithm in BY_SAC) == by_sac]
        assert len(family) == (5 if by_sac else 9)
        for config in family:
            first = family[0]
            for name in alike:
                assert getattr(config, name) == getattr(first, name), name
            for name in of_learners[by_sac]:
                assert getattr(config.learner, name) == getattr(first.learner, name), name
            for name in of_hp[by_sac]:
                assert getattr(config.hp, name) == getattr(first.hp, name), name
            assert config.hp.learning_rate == pytest.approx(1e-3)
            # The time is in what all observe, and in nobody's observations twice.
            assert config.env_options["wrappers"] == "time_aware"
            assert getattr(config.learner, "time", False) is False
    # Whole episodes fit in a rollout, and all that may end are paid.
    spo = made["SPO-PPO, no flips"]
    assert spo.rollout_length % int(spo.env_options["episode_length"]) == 0
    assert spo.learner.episodes * 8 >= spo.steps_per_update
    labels = {name: getattr(c.learner, "queries", None) for name, c in made.items()}
    equal = {value for name, value in labels.items() if name.endswith("flips") and "all pairs" not in name and "labels" not in name}  # fmt: skip
    assert equal == {8_000}


def test_the_step_size_of_an_arm_is_the_one_that_was_best_on_other_seeds(tmp_path: Path):
    from preference_control import settings_of
    from preference_control_hopper import chosen
    from preference_control_studies import STUDIES

    study = STUDIES["hopper"]
    with pytest.raises(
        SystemExit, match="SPO-PPO, no flips takes the step size of spo, .* run the study tune first"
    ):
        settings_of(study, study.cells[0], 64, 5, 0, tmp_path)
    for best in (1e-4, 1e-3):
        tuned(tmp_path, best)
        assert settings_of(study, study.cells[0], 64, 5, 0, tmp_path).hp.learning_rate == best
    row = lambda rate, value: {"cell": f"sac, {rate:g}", "eval_return": value}
    level = [row(1e-4, "3"), row(3e-4, "3"), row(1e-3, "9"), row(1e-3, "")]
    assert (
        chosen(level, "sac") == 1e-4
    )  # a seed that is lost is below all, and of two that are level the smaller is taken
    assert chosen(level[:2], "sac") is None
    assert len(STUDIES["tune"].cells) == 18 and STUDIES["tune"].root_seed == 100


def test_every_cell_of_every_study_can_be_made(tmp_path: Path):
    from preference_control import settings_of
    from preference_control_studies import STUDIES

    tuned(tmp_path)
    for study in STUDIES.values():
        names = [cell.folder for cell in study.cells]
        assert len({*names}) == len(names)
        for cell in study.cells:
            config = settings_of(study, cell, cell.steps, study.seeds, study.root_seed, tmp_path)
            assert config.rows <= config.updates


@pytest.mark.parametrize(
    ("study", "cell"),
    [
        ("hopper", "SPO-PPO, no flips"),
        ("hopper", "reward model, PPO, 30 % flips"),
        ("hopper", "SPO-SAC, 30 % flips"),
        ("hopper", "reward model, SAC, no flips"),
        ("populations", "EMA-SPO-PPO"),
        ("populations", "reward model, PPO"),
        ("nonmarkov", "SPO"),
        ("nonmarkov", "reward model"),
        ("mixtures", "EMA-SPO, 0.2 0.6 0.2"),
    ],
)
def test_settings_of_a_cell_are_those_of_a_learner(study: str, cell: str, tmp_path: Path):
    """Whatever does not fit, such as a criterion beyond what is observed, a buffer too small or an odd number of comparators, is refused here."""
    from preference_control import settings_of
    from preference_control_studies import STUDIES

    from jaxrl_evolve.training.experiment import build

    tuned(tmp_path)
    (found,) = [one for one in STUDIES[study].cells if one.name == cell]
    made = build(settings_of(STUDIES[study], found, found.steps, 2, 0, tmp_path))
    obs = made.env.observation_space
    assert obs.shape == {"Pendulum-v1": (4,), "brax/hopper": (12,), "point/sectors": (4,)}.get(
        STUDIES[study].env
    )


def meeting(entry: str, other: str, rate: float, error: float = 0.01) -> dict[str, str]:
    return {
        "entry": entry,
        "other": other,
        "win_rate": str(rate),
        "low": str(rate - error),
        "high": str(rate + error),
    }


def test_cyclic_triples_are_counted():
    """Rock, paper, scissors, and one who loses to all: one of four triples is cyclic, surely if no interval has 1/2 in it."""
    from preference_control_gate import cyclic_triples, verdict

    def rows(margin: float) -> list[dict[str, str]]:
        beats = {
            ("r", "s"): margin,
            ("s", "p"): 0.3,
            ("p", "r"): 0.3,
            ("r", "z"): 0.4,
            ("p", "z"): 0.4,
            ("s", "z"): 0.4,
        }
        found = [meeting(x, x, 0.5) for x in "rpsz"]
        for (a, b), by in beats.items():
            found += [meeting(a, b, 0.5 + by), meeting(b, a, 0.5 - by)]
        return found

    found = cyclic_triples(rows(0.2))
    assert tuple(found) == (4, 4, 1, 1) and found.share == 0.25 and found.passed
    found = cyclic_triples(rows(0.005))
    assert tuple(found) == (4, 4, 1, 0) and not found.passed
    assert "4 triples: 1 (25.0%) are cyclic, 0 (0.0%) of them" in verdict(rows(0.005))
    assert cyclic_triples(rows(-0.2)).cyclic == 0  # then it is an order
    assert not cyclic_triples(rows(0.0)).cyclic  # a tie is no circle


def test_the_population_is_not_trained_before_its_gate_has_passed(tmp_path: Path):
    import preference_control as control
    from preference_control_studies import STUDIES

    study = STUDIES["populations"]
    with pytest.raises(SystemExit, match="gate, for which this one waits, was not run"):
        control.ready(study, tmp_path)
    put(tmp_path, "gate_triples", [{"share": 0.01, "passed": "False"}])
    with pytest.raises(SystemExit, match="did not pass"):
        control.ready(study, tmp_path)
    put(tmp_path, "gate_triples", [{"share": 0.2, "passed": "True"}])
    control.ready(study, tmp_path)
    control.ready(STUDIES["hopper"], tmp_path / "nowhere")


SEEDS = range(5)


def store(
    folder: Path, spo: float = 30.0, spo_loss: float = 5.0, model_loss: float = 40.0, wins: float = 0.8
) -> None:
    """Rows of all studies, with what the claims are about as told; seeds differ by a few."""
    from preference_claims import _MANY, _SAC
    from preference_control_studies import MIXTURES, mixture_name

    rng = np.random.default_rng(0)
    spread = lambda: float(rng.normal(0, 2))
    winner = {"EMA-SPO": (0.8, 0.1, 0.1), mixture_name(MIXTURES[0]): (0.5, 0.2, 0.3), mixture_name(MIXTURES[1]): (0.34, 0.32, 0.34), mixture_name(MIXTURES[2]): (0, 1, 0)}  # fmt: skip

    def sectors(cell: str) -> list[dict[str, Any]]:
        near = lambda i: " ".join(
            f"{x + d:.3f}" for x, d in zip(winner[cell], (0.002 * i, -0.002 * i, 0), strict=True)
        )
        return [{"cell": cell, "seed": i, "shares": near(i)} for i in SEEDS]

    put(folder, "sectors", sectors("EMA-SPO"))
    put(folder, "mixtures", [row for s in MIXTURES for row in sectors(mixture_name(s))])
    hopper, curves = [], []
    for one, other in (("SPO-PPO", "reward model, PPO"), _MANY, _SAC):
        for name, high, loss in ((one, 100 + spo, spo_loss), (other, 100.0, model_loss)):
            for told, lost in (("no flips", 0.0), ("30 % flips", loss)):
                for i in SEEDS:
                    final = high - lost + spread()
                    hopper.append({"cell": f"{name}, {told}", "seed": i, "eval_return": final})
                    for step in (0, 50, 100):
                        about = {"cell": f"{name}, {told}", "seed": i, "env_steps": step, "queries": step}
                        curves.append({**about, "episode_return": final * step / 100})
    put(folder, "hopper", hopper)
    put(folder, "hopper_curves", curves)
    cells = ("SPO", "SPO, all pairs", "reward model")
    put(folder, "nonmarkov", [{"cell": c, "seed": i, "eval_return": 0} for c in cells for i in SEEDS])
    labels = [f"{c.replace(' ', '_').replace(',', '_')}:{i}" for c in cells for i in SEEDS]
    strength = dict(zip(labels, [wins] * 5 + [wins] * 5 + [0.5] * 5, strict=True))
    shift = {label: spread() / 100 for label in labels}
    rate = lambda a, b: 0.5 + strength[a] - strength[b] + shift[a] - shift[b]
    put(folder, "nonmarkov_tournament", [meeting(a, b, rate(a, b)) for a in labels for b in labels])


def verdicts(folder: Path) -> dict[str, str]:
    import preference_claims as claims

    return {row["claim"]: row["verdict"] for row in claims.decide(claims.Store(folder)) if "verdict" in row}


def test_claims_are_supported_contradicted_or_undecided_as_rows_say(tmp_path: Path):
    store(tmp_path)
    assert verdicts(tmp_path) == dict.fromkeys(("C1", "C2", "C3", "C4"), "supported")
    store(tmp_path, spo=-30.0, spo_loss=40.0, model_loss=5.0, wins=0.3)
    assert verdicts(tmp_path) == {"C1": "supported", **dict.fromkeys(("C2", "C3", "C4"), "contradicted")}
    store(tmp_path, spo=0.0, spo_loss=5.0, model_loss=5.0, wins=0.5)
    assert verdicts(tmp_path) == {"C1": "supported", **dict.fromkeys(("C2", "C3", "C4"), "undecided")}


def test_numbers_of_claims_are_those_by_hand(tmp_path: Path):
    import preference_claims as claims
    from scipy import stats

    store(tmp_path)
    found = {row["claim"]: row for row in claims.decide(claims.Store(tmp_path))}
    rows = got(tmp_path, "hopper")
    final = lambda cell: np.array([float(r["eval_return"]) for r in rows if r["cell"] == cell])
    one, other = (
        final("SPO-PPO, no flips") / 2,
        final("reward model, PPO, no flips") / 2,
    )  # of a straight line from 0
    theirs = stats.ttest_ind(one, other, equal_var=False, alternative="greater")
    assert float(found["C2"]["value"]) == pytest.approx(one.mean() - other.mean(), rel=1e-3)
    assert float(found["C2"]["p"]) == pytest.approx(theirs.pvalue, rel=1e-3)
    taken = [final(f"{name}, no flips").mean() - final(f"{name}, 30 % flips").mean() for name in ("SPO-PPO", "reward model, PPO")]  # fmt: skip
    assert float(found["C3"]["value"]) == pytest.approx(taken[1] - taken[0], rel=1e-3)
    # The farthest mixture: exploitability of (.342, .318, .34) and the like, over seeds.
    assert 0 < float(found["C1"]["value"]) < 0.03
    met = got(tmp_path, "nonmarkov_tournament")
    pairs = [
        float(r["win_rate"])
        for r in met
        if r["entry"].startswith("SPO:") and r["other"].startswith("reward_model:")
    ]
    assert len(pairs) == 25 and float(found["C4"]["value"]) == pytest.approx(np.mean(pairs), rel=1e-3)
    matrix = np.reshape(pairs, (5, 5))
    error = np.sqrt(matrix.mean(1).var(ddof=1) / 5 + matrix.mean(0).var(ddof=1) / 5)
    half = float(found["C4"]["high"]) - float(found["C4"]["value"])
    assert 2.0 * error < half < 2.8 * error  # by 4 to 8 degrees of freedom


def test_what_is_missing_is_named_and_counts_in_the_correction(tmp_path: Path):
    import preference_claims as claims

    store(tmp_path)
    whole = {row["claim"]: row for row in claims.decide(claims.Store(tmp_path))}
    for name in ("mixtures", "nonmarkov_tournament"):
        (tmp_path / f"preference_{name}.csv").unlink()
    rows = got(tmp_path, "hopper")
    put(tmp_path, "hopper", [row for row in rows if row["cell"] != "SPO-PPO, 30 % flips"])
    found = {row["claim"]: row for row in claims.decide(claims.Store(tmp_path))}
    assert found["C1"]["missing"].startswith(
        "mixtures: EMA-SPO, 0.4 0.35 0.25; mixtures: EMA-SPO, 0.34 0.33 0.33"
    )
    assert found["C3"]["missing"] == "hopper: SPO-PPO, 30 % flips"
    assert found["C4"]["missing"] == "nonmarkov: the tournament"
    assert [found[name]["verdict"] for name in claims.CLAIMS] == [
        "not run",
        "supported",
        "not run",
        "not run",
    ]
    assert float(found["C2"]["p_holm"]) == pytest.approx(4 * float(whole["C2"]["p"]), rel=1e-3)
    claims.main(["--results", str(tmp_path)])
    page = (tmp_path / "preference_claims.md").read_text()
    assert "- C3: hopper: SPO-PPO, 30 % flips" in page and "| not run |" in page
    empty = tmp_path / "empty"
    empty.mkdir()
    assert set(verdicts(empty).values()) == {"not run"}


def test_seeds_that_are_lost_count_as_the_worst(tmp_path: Path):
    import preference_claims as claims

    store(tmp_path)
    rows = got(tmp_path, "hopper")
    final = [float(r["eval_return"]) for r in rows if r["cell"] == "SPO-PPO, no flips"]
    rows[0]["eval_return"] = ""
    put(tmp_path, "hopper", rows)
    (found,) = claims.Store(tmp_path).returns(["SPO-PPO, no flips"])
    assert found[0] == pytest.approx(min(final[1:]))
    met = got(tmp_path, "nonmarkov_tournament")
    put(tmp_path, "nonmarkov_tournament", [r for r in met if "SPO:2" not in (r["entry"], r["other"])])
    before = np.mean([float(r["win_rate"]) for r in met if r["entry"].startswith("SPO:") and r["entry"] != "SPO:2" and r["other"].startswith("reward_model:")])  # fmt: skip
    assert claims.general(claims.Store(tmp_path)).value == pytest.approx(before * 4 / 5)


def test_the_area_under_a_curve_bridges_rows_without_a_return():
    from preference_claims import area

    row = lambda step, value: {"env_steps": str(step), "episode_return": value}
    assert area([row(0, "0"), row(10, ""), row(20, "20"), row(40, "20")]) == pytest.approx((200 + 400) / 40)
    assert np.isnan(area([row(0, ""), row(1, "2")]))
