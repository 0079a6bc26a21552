"""What jax's own settings must not change: numbers of 64 bits, and marks of "nothing" where NaN is looked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from jaxrl_evolve import TrainConfig, build
from jaxrl_evolve.training.experiment import traced


@pytest.fixture
def wide_numbers() -> Iterator[None]:
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


@pytest.mark.parametrize(
    ("algorithm", "env", "settings"),
    [
        ("ppo", "Pendulum-v1", {"learner": {"normalise_observations": True, "normalise_returns": True}}),
        ("ppo", "CartPole-v1", {"objective": "ta-lpo", "learner": {"network": {"memory": "gru"}}}),
        ("ppo", "Breakout-MinAtar", {}),
        ("dqn", "CartPole-v1", {}),
        ("lpg", "grid/random-small", {"objective": "ta-lpg"}),
        ("disco", "CartPole-v1", {"objective": "ta-disco"}),
    ],
)
@pytest.mark.usefixtures("wide_numbers")
def test_learners_are_float32_in_float64_mode_too(algorithm: str, env: str, settings: Any):
    sizes = {"steps": 64, "num_envs": 4, "rollout_length": 4}
    config = TrainConfig.preset(algorithm, env, **sizes, **settings)
    experiment = build(config)
    chunk, params = experiment.chunk, experiment.env.params
    hp, key = traced(config.hp), jax.random.key(0)
    eta = jax.eval_shape(experiment.learner.init_objective, key)
    state = jax.eval_shape(chunk.init, key, hp, params)

    after, metrics = jax.eval_shape(chunk.run, state, hp, eta, params, jnp.float32(4), jnp.int32(1))

    for tree in (state.learner, after.learner, after.memory, after.store, metrics):
        assert not [x for x in jax.tree.leaves(tree) if x.dtype in (jnp.float64, jnp.int64)]
