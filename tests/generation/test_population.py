"""A population with thresholds: who plays what, who becomes whose copy, and that a killed one resumes."""

from __future__ import annotations

import dataclasses

import hall_env
import jax
import numpy as np
import pytest

from jaxrl_evolve.generation import train as training
from jaxrl_evolve.generation.loops import LOOPS
from jaxrl_evolve.generation.population import PopulationRun, first_thresholds, perturbed, succession
from jaxrl_evolve.generation.population_config import PopulationConfig
from jaxrl_evolve.generation.train import generate
from jaxrl_evolve.training.host import Host
from jaxrl_evolve.training.interrupts import Interrupted

CONFIG = dataclasses.replace(
    hall_env.CONFIG, loop="population", final_steps=0, cycles=2, population=PopulationConfig(members=2)
)


def test_the_worst_become_copies_of_the_best_with_other_thresholds():
    rng = np.random.default_rng(0)
    assert succession([0.1, 0.5, 0.9, 0.3], 0.25, rng) == {0: 2}
    both = [succession([0.1, 0.5, 0.9, 0.3], 0.5, rng) for _ in range(20)]
    assert {w for each in both for w in each} == {0, 3} and {b for e in both for b in e.values()} == {1, 2}
    assert succession([0.4, 0.4], 0.5, rng) == {}  # who is as good stays
    drawn = np.asarray(first_thresholds(PopulationConfig(members=200), rng))
    assert (drawn[:, 0] <= 0.1).all() and (drawn[:, 1] >= 0.7).all() and drawn[:, 1].max() > 0.95
    seen = {tuple(perturbed([0.1, 0.6], 1.2, rng)) for _ in range(50)}
    assert seen == {(a, b) for a in (0.12, 0.083333) for b in (0.72, 0.5)}
    assert perturbed([0.9, 0.05], 1.2, rng)[0] <= 0.03


def test_a_killed_population_comes_to_the_same_end(tmp_path, monkeypatch):
    made = hall_env.experiment()
    # The trial is the evaluation's program: one program fewer to compile.
    programs = made.programs._replace(trial=made.programs.evaluate)
    monkeypatch.setattr(
        training, "build", lambda *_: made._replace(loop=LOOPS["population"], programs=programs)
    )
    found, accept = [], PopulationRun._accepted

    def watched(self, i, proposed, thresholds):
        mine = accept(self, i, proposed, thresholds)
        found.append((i, self.standing.done, len(mine), len(proposed.proposals)))
        return mine

    monkeypatch.setattr(PopulationRun, "_accepted", watched)
    contests, evaluate = [], PopulationRun._evaluate

    def seen(self, learner, params, contest=0):
        contests.append(contest)
        return evaluate(self, learner, params, contest)

    monkeypatch.setattr(PopulationRun, "_evaluate", seen)
    run = lambda out: generate(CONFIG, out, setting=hall_env.SETTING, resume=out.exists())
    whole = run(tmp_path / "whole")
    assert [f[:2] for f in found] == [(0, 0), (1, 0), (0, 1), (1, 1)]
    # Of two the better is chosen by other episodes than those that are told of.
    assert contests == [1, 1, 0] * 2
    assert any(f[2] for f in found) and any(f[2] < f[3] for f in found)
    with monkeypatch.context() as patch:
        patch.setattr(Host, "signal", lambda self: "SIGTERM")
        with pytest.raises(Interrupted, match="after 1 of 2 cycles"):
            run(tmp_path / "parts")
    again = run(tmp_path / "parts")
    assert again.standing == whole.standing
    for a, b in zip(
        jax.tree.leaves(whole.state.learner.params), jax.tree.leaves(again.state.learner.params), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    # Each agent makes the steps of a cycle.
    assert whole.standing.env_steps == 2 * 2 * 1024
    own = whole.standing.own
    assert len(own["thresholds"]) == 2 and all(low < high for low, high in own["thresholds"])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="low must be below high"):
        PopulationConfig(low=0.8)
    with pytest.raises(ValueError, match="population has no one agent"):
        dataclasses.replace(CONFIG, acceptance=8)
