"""Training on Atari: a run that is resumed within a game is the uninterrupted one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from same import assert_equal, rows_of

from jaxrl_evolve.storage.folder import read_json
from jaxrl_evolve.training.config import EvaluationConfig, TrainConfig
from jaxrl_evolve.training.train import train


def test_a_resumed_game_goes_on_as_if_nothing_had_been(tmp_path: Path):
    pytest.importorskip("ale_py")
    small = {
        "capacity": 64,
        "batch": 4,
        "gradient_steps": 1,
        "warm_up": 16,
        "longest": 3,
        "atoms": 1,
        "priority": "loss",
        "network": {"hidden": (8,), "noisy": False},
    }
    config = TrainConfig.preset(
        "rainbow",
        "atari/Breakout",
        steps=48,
        seeds=2,
        rollout_length=8,
        rows=6,
        checkpoints=2,
        keep=2,
        learner=small,
        hp={"steps": 3.0, "steps_start": 3.0},
        evaluation=EvaluationConfig(times=1, episodes=2, final_episodes=2, mode="sample", max_steps=6),
    )
    out = tmp_path / "run"
    whole = train(config, out)
    rows, result = rows_of(out), read_json(out / "result.json")
    again = train(config, out, resume=True, step=3)
    state = whole.states[0]
    assert_equal(again.states, whole.states)
    assert rows_of(out) == rows and read_json(out / "result.json")["eval_return"] == result["eval_return"]
    # In the middle of a game, whose machine went on from where the checkpoint had it; every step is in the buffer.
    np.testing.assert_array_equal(state.envs.env.time, [[48], [48]])
    np.testing.assert_array_equal(state.store.filled, [48, 48])
    np.testing.assert_array_equal(state.store.frame[:, 47, 0, ..., 0], state.envs.obs[:, 0, ..., -2])
    assert result["versions"]["ale-py"] and result["eval_finished"] == [0.0, 0.0]
