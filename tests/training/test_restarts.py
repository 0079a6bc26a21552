"""Runs whose curriculum begins new episodes with every rollout: refused where one does not fit in."""

from __future__ import annotations

from typing import Any

import pytest

from jaxrl_evolve import TrainConfig
from jaxrl_evolve.training.experiment import build

MAZE = {"env_options": {"size": "5", "walls": "4", "max_steps": "40"}}


def built(algorithm: str = "ppo", env: str = "maze/random", **changes: Any) -> Any:
    return build(TrainConfig.preset(algorithm, env, steps=4_096, **{**MAZE, **changes}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"curriculum": "sfl", "env_options": {}},
            r"rollout_length is 64; it must be at least 250, the steps of the longest episode of maze/random, since curriculum 'sfl' begins new "
            "episodes with every rollout .*: set it, or a shorter time limit",
        ),
        ({"algorithm": "a2c", "curriculum": "plr"}, "rollout_length is 16; it must be at least 40"),
        ({"algorithm": "dqn", "curriculum": "sfl"}, r"rollout_length is \d; it must be at least 40"),
        ({"curriculum": "paired", "rollout_length": 39}, "rollout_length is 39; it must be at least 40"),
        (
            {"curriculum": "random", "curriculum_options": {"restart": "True"}, "rollout_length": 8},
            "rollout_length is 8; it must be at least 40, .* since curriculum 'random' begins new",
        ),
        (
            {"curriculum": "accel", "curriculum_options": {"scout_steps": "39"}},
            "curriculum_options.scout_steps is 39; it must be 0, for as many as rollout_length, or at least 40",
        ),
        (
            {"curriculum": "sfl", "curriculum_options": {"score": "learnability"}},
            "rollout_length is 64; it must be at least 80, since curriculum 'sfl' scores a level by 2 episodes of up to 40 steps",
        ),
        (
            {
                "curriculum": "sfl",
                "curriculum_options": {"score": "learnability", "scout_steps": "79"},
                "rollout_length": 80,
            },
            "curriculum_options.scout_steps is 79; it must be at least 80, .*or another score",
        ),
    ],
)
def test_rollouts_shorter_than_an_episode_are_refused(changes: dict[str, Any], said: str):
    with pytest.raises(ValueError, match=said):
        built(**changes)


def test_a_run_that_was_begun_before_is_read_all_the_same(tmp_path):
    short = TrainConfig.preset("ppo", "maze/random", steps=4_096, curriculum="sfl", rollout_length=8, **MAZE)
    assert build(short, tmp_path).curriculum is not None


def test_what_fits_is_not_refused():
    assert built(curriculum="sfl", rollout_length=40).curriculum.restart
    two = {"score": "learnability", "scout_steps": "80"}
    assert built(curriculum="sfl", rollout_length=40, curriculum_options=two).chunk.scoring_steps > 0
    # Where episodes go on after a rollout, or nobody knows how long one can be.
    assert not built(curriculum="random", rollout_length=8).curriculum.restart
    poles = {"wrappers": "vary_params:length:0.25:2"}
    assert built(env="CartPole-v1", curriculum="random", env_options=poles, rollout_length=8).curriculum
