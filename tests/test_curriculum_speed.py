"""The timings of curricula beside their peers: sizes that are equal, and the page of stored rows alone."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jaxrl_evolve.training.experiment import build

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.mark.parametrize("name", ["DR", "PLR", "robust PLR", "ACCEL", "SFL"])
def test_both_sides_play_as_many_steps_of_each_kind(name: str):
    import curriculum_speed as speed
    import curriculum_speed_cases as cases

    case = cases.CASES[name]
    config = speed.configuration(case)
    built = build(config)
    scouts = built.curriculum.scouts if built.curriculum else None
    learned = cases.ENVS * cases.STEPS
    scored = scouts.cost(cases.STEPS) if scouts else 0
    assert cases.UPDATES * (learned + scored) == case.steps
    if case.peer == "sfl":
        given = cases.sfl_settings()
        assert given["NUM_BATCHES"] * given["BATCH_SIZE"] * given["ROLLOUT_STEPS"] == case.searched
        assert scored * cases.UPDATES == case.searched and given["learning"]["EVAL_FREQ"] == cases.UPDATES
        assert given["learning"]["NUM_ENVS"] * given["learning"]["NUM_STEPS"] == learned
        return
    given = cases.jaxued_settings(case.settings)
    assert given["num_train_envs"] * given["num_steps"] == learned
    ours = (config.hp.learning_rate, config.hp.gamma, config.hp.clip)
    assert (given["lr"], given["gamma"], given["clip_eps"]) == ours
    ours = (config.learner.epochs, config.learner.minibatches)
    assert (given["epoch_ppo"], given["num_minibatches"]) == ours
    if name == "DR":
        assert case.turns == ()
        return
    # Of its updates those that nothing is learned from: new levels, and after each of the buffer one of mutants.
    replays = sum(case.turns) // (2 if name == "ACCEL" else 1)
    mutants, new = replays * (name == "ACCEL"), case.turns.count(False)
    assert replays / (replays + new) == given["replay_prob"] and len(case.turns) == replays + mutants + new
    assert (replays + new if name == "PLR" else replays) == cases.UPDATES
    assert scored * cases.UPDATES / learned == (0 if name == "PLR" else mutants + new)


def test_both_networks_have_as_many_parameters_but_for_the_inputs():
    import curriculum_speed as speed
    import curriculum_speed_cases as cases

    ours = speed.Ours(cases.CASES["DR"]).parameters
    gru = 3 * cases.MEMORY * (cases.HIDDEN + cases.MEMORY + 1) + cases.MEMORY
    first, heads = cases.HIDDEN * (2 * 25 + 4 + 1), (cases.MEMORY + 1) * (7 + 1)
    assert ours == first + gru + heads
    speed._check(SimpleNamespace(steps=8, parameters=ours), _said(ours + 1_600), SimpleNamespace(steps=8))
    with pytest.raises(SystemExit, match="has 9 environment steps here and 8 of the peer's"):
        speed._check(SimpleNamespace(steps=9, parameters=ours), _said(ours + 1_600), SimpleNamespace(steps=8))
    with pytest.raises(SystemExit, match="has 1601 more parameters"):
        speed._check(SimpleNamespace(steps=8, parameters=ours), _said(ours + 1_601), SimpleNamespace(steps=8))


def _said(parameters: int) -> SimpleNamespace:
    return SimpleNamespace(hello={"parameters": parameters})


def test_the_peer_replays_in_turn_instead_of_by_draw():
    import jax
    import jax.numpy as jnp
    from curriculum_speed_peer import in_turn

    class Buffers:
        def sample_replay_decision(self, sampler: int, rng: int) -> bool:
            raise AssertionError("drawn")

    buffers = Buffers()
    drawn = Buffers.sample_replay_decision

    def step(state: Any, _: None) -> Any:
        kind = jax.lax.switch(buffers.sample_replay_decision(0, 0).astype(int), [lambda: 10, lambda: 20])
        return state + kind, kind

    turns = jnp.asarray([False, True, True])
    total, kinds = jax.jit(lambda: jax.lax.scan(in_turn(step, Buffers), 0, turns))()
    assert (int(total), kinds.tolist()) == (50, [10, 20, 20]) and Buffers.sample_replay_decision is drawn


def test_the_page_has_ratios_of_neighbours_and_origins(tmp_path: Path):
    import curriculum_speed as speed

    about = {"hardware": "a machine", "versions": "jax=1", "date": "2026-12-01", "commit": "abc"}
    rows = [
        {
            "part": "peer",
            "case": "PLR",
            **speed._row([8.0, 9.0, 10.0], [4.0, 4.5, 5.0], 1.5),
            "peer": "jaxued 123",
            **about,
        },
        {"part": "seeds", "case": "plr", **speed._row([6.0, 6.0], [10.0, 12.0], 0.9), "peer": "", **about},
    ]
    with (tmp_path / "curriculum_speed.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, speed.COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    speed.main(["--table", "--results", str(tmp_path)])
    page = (tmp_path / "curriculum_speed.md").read_text()
    assert "| PLR | 9 | 4.5 | 2.00 [2.00, 2.00] | 1.5 | 3 |" in page
    assert "| plr | 6 | 11 | 0.55 [0.50, 0.60] | 0.9 | 2 |" in page
    assert speed.EQUAL in page and speed.UNEQUAL in page and "13 x 13 with 25 walls" in page
    assert "Peer: `jaxued 123`." in page and "Commit: `abc`." in page


def test_a_case_without_its_peer_is_left_out_and_an_unknown_one_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    import curriculum_speed as speed

    speed.main(["--results", str(tmp_path), "--cases", "SFL"])
    assert "SFL: left out, without --sfl and --sfl-python" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
    with pytest.raises(SystemExit):
        speed.main(["--cases", "sfl"])
    assert "there is no case 'sfl': DR, PLR" in capsys.readouterr().err


def test_a_script_is_run_up_to_its_step():
    import jax
    from curriculum_speed_peer import begun

    @jax.jit
    def other(x: float) -> float:
        return x + 1

    def script() -> None:
        def train_step(x: float) -> float:
            return 2 * x

        @jax.jit
        def train_and_eval_step(state: float, _: None) -> float:
            return train_step(state)

        train_and_eval_step(float(other(2.0)), None)

    kept = jax.jit
    inside, state = begun(script)
    assert (inside["train_step"](5.0), state) == (10.0, 3.0) and jax.jit is kept
    with pytest.raises(SystemExit, match="no function train_and_eval_step"):
        begun(lambda: None)
    assert jax.jit is kept
