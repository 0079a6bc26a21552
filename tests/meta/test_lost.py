"""A meta-training that nothing can be learned from ends, and says so."""

from __future__ import annotations

from typing import Any

import pytest
import walk
from tiny import TINY

from jaxrl_evolve.meta.config import MetaTrainConfig
from jaxrl_evolve.meta.experiment import spread_out
from jaxrl_evolve.meta.outcome import held_out
from jaxrl_evolve.meta.train import meta_train
from jaxrl_evolve.training.interrupts import Diverged


def test_held_out_tasks_without_anything_to_be_won_are_told_by_their_fitness():
    """Regression: curves of no task ended a meta-training after all of it was done."""
    rows = [
        {"test_fitness": [1.0, 2.0], "test_optimum": [0.0, -1.0]},
        {"test_fitness": [3.0, 4.0], "test_optimum": [0.0, -1.0]},
    ]
    fitness, label = held_out(rows)
    assert label == "Held-out fitness" and fitness.tolist() == [[1.0, 3.0], [2.0, 4.0]]
    some = [row | {"test_optimum": [0.0, 4.0]} for row in rows]
    assert held_out(some)[0].tolist() == [[0.5, 1.0]]


def test_a_single_held_out_life_is_of_the_middle_length():
    assert spread_out(10, 250, 1).tolist() == [50] and spread_out(10, 250, 3).tolist() == [10, 50, 250]


def test_when_all_agents_of_a_generation_diverge_it_ends_the_same_at_once_and_on_resume(tmp_path: Any):
    config = MetaTrainConfig.preset(
        "lpg", walk.NAME, **{**TINY, "generations": 1, "env_options": {"nan_rate": "1.0"}}
    )
    for resume in (False, True):
        with pytest.raises(Diverged, match="all agents of generation 1 diverged.*no objective was stored"):
            meta_train(config, tmp_path / "run", resume=resume)
    assert not {"objective.npz", "result.json"} & {path.name for path in (tmp_path / "run").iterdir()}
