"""What an update may not leave behind, and what does no harm."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import walk
from same import assert_equal

from jaxrl_envs import Box, Discrete, Env, EnvStep
from jaxrl_envs.vector import vectorize
from jaxrl_evolve import Objective, make_chunk, ppo, random
from jaxrl_evolve.learners.ppo_config import PPOConfig, PPOHyperparameters
from jaxrl_evolve.learners.rainbow import rainbow
from jaxrl_evolve.learners.rainbow_config import RainbowConfig
from jaxrl_evolve.networks.action_values_config import ActionValuesConfig
from jaxrl_evolve.networks.network import NetworkConfig
from jaxrl_evolve.runs.guard import kept, put_back, sound
from jaxrl_evolve.training.experiment import traced
from jaxrl_evolve.training.restore import evaluate_folder
from jaxrl_evolve.training.train import Diverged, train

SMALL = NetworkConfig(hidden=(8,))
ONE_STEP = PPOConfig(epochs=1, minibatches=1, network=SMALL)


def run(learner: Any, env: Env, updates: int) -> tuple[Any, Any, Any]:
    """A state, the one so many updates later, and the metrics."""
    chunk, hp = make_chunk(learner, vectorize(env, 4), 8), traced(learner.default_hp)
    before = jax.jit(chunk.init)(random.key(0), hp, env.params)
    count = (jnp.float32(updates), jnp.int32(updates))
    return before, *jax.jit(chunk.run)(before, hp, (), env.params, *count)


def kinked() -> Objective:
    """A finite loss whose gradient is not: the root of a square at zero."""

    def loss(eta: Any, batch: Any, outputs: Any, clock: Any) -> Any:
        root = jnp.sqrt(jnp.square(outputs.value - jax.lax.stop_gradient(outputs.value)))
        return root.mean(), {}

    return Objective(lambda key: (), loss, "kinked")


def test_a_finite_loss_with_a_gradient_that_is_not_is_not_taken_over():
    env = walk.make()
    before, after, metrics = run(ppo(env, 4, 8, ONE_STEP, objective=kinked()), env, 1)
    assert np.isfinite(metrics["loss"])
    assert int(after.diverged) == 0  # noticed though there is no further update
    assert_equal(after.learner, before.learner)


def huge(size: float) -> Env:
    """Observations of any size."""

    def reset(key: Any, params: Any) -> Any:
        del params
        return size * jax.random.normal(key, (2,)), jnp.zeros((), jnp.int32)

    def step(key: Any, state: Any, action: Any, params: Any) -> EnvStep:
        del action, params
        obs, state = size * jax.random.normal(key, (2,)), state + 1
        return EnvStep(obs, state, jnp.float32(1.0), state >= 5, jnp.bool_(False), {})

    return Env("huge", reset, step, (), Box(-np.inf, np.inf, (2,)), Discrete(2))


@pytest.mark.parametrize(("size", "diverged"), [(1.0, -1), (1e20, 0)])
def test_moments_that_overflow_are_a_divergence_and_not_a_silent_zero(size: float, diverged: int):
    env = huge(size)
    config = dataclasses.replace(ONE_STEP, normalise_observations=True)
    _, after, _ = run(ppo(env, 4, 8, config), env, 2)
    assert int(after.diverged) == diverged
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(after.learner.observations))


def breaking(end: float) -> Env:
    """Episodes of three steps, the last of which shows ``end``."""

    def reset(key: Any, params: Any) -> Any:
        del params
        return jax.random.normal(key, (2,)), jnp.zeros((), jnp.int32)

    def step(key: Any, state: Any, action: Any, params: Any) -> EnvStep:
        del params
        state = state + 1
        over = state >= 3
        obs = jnp.where(over, end, jax.random.normal(key, (2,)))
        return EnvStep(obs, state, action.astype(jnp.float32), over, state == 2, {})

    return Env("breaking", reset, step, (), Box(-np.inf, np.inf, (2,)), Discrete(2))


@pytest.mark.parametrize("name", ["ppo", "ppo-normalised", "dqn"])
def test_an_environment_that_ends_in_nothing_trains_as_one_that_ends_in_zeros(name: str):
    def trained(end: float) -> Any:
        env = breaking(end)
        if name == "dqn":
            learner = rainbow(
                env,
                4,
                8,
                RainbowConfig(
                    capacity=64, batch=8, gradient_steps=2, warm_up=0, network=ActionValuesConfig(hidden=(8,))
                ),
            )
        else:
            config = dataclasses.replace(ONE_STEP, normalise_observations=name == "ppo-normalised")
            learner = ppo(env, 4, 8, config, PPOHyperparameters(learning_rate=1e-2))
        return run(learner, env, 3)[1]

    zeros, nothing = trained(0.0), trained(np.nan)
    assert int(nothing.diverged) == -1
    assert_equal(nothing.learner, zeros.learner)


@pytest.mark.core
def test_who_diverges_in_the_last_row_ends_the_same_at_once_and_on_resume(tmp_path: Any):
    config = dataclasses.replace(
        walk.config(updates=1, rows=1, checkpoints=1), env_options={"nan_rate": "1.0"}
    )
    for resume in (False, True):
        with pytest.raises(Diverged, match="no run is left"):
            train(config, tmp_path / "run", resume=resume)
    assert not (tmp_path / "run" / "result.json").exists()


def test_an_evaluation_names_the_runs_that_diverged_and_counts_them_as_training_does(tmp_path: Any):
    config = dataclasses.replace(
        walk.config(updates=6, seeds=4, rows=3), env_options={"nan_rate": "0.03"}, seed=0
    )
    result = train(config, tmp_path / "run")
    lost = result.summary["diverged"]
    assert 0 < len(lost) < 4
    again = evaluate_folder(tmp_path / "run", 6, max_steps=20)
    assert again["diverged"] == lost
    assert {str(run) for run in np.flatnonzero(np.isnan(again["eval_return"]))} == set(lost)


def test_what_is_kept_or_not_is_found_out_once():
    """Regression: each array of the state added up the sums of all for itself."""
    leaves = [jnp.full((i + 2,), 1.0) for i in range(30)]
    go = jax.jit(lambda loss, new, old: kept(sound(loss, new), new, old))
    compiled = go.lower(jnp.float32(0.0), leaves, leaves).compile()
    assert (
        len(re.findall(r"f32\[\] add\(", compiled.as_text())) < 100
    )  # 30 sums, and 29 of them; not 30 times 29
    worse = [*leaves[:-1], leaves[-1].at[3].set(jnp.nan)]
    zeros = jax.tree.map(jnp.zeros_like, leaves)
    for loss, new, expected in ((0.0, leaves, leaves), (0.0, worse, zeros), (jnp.inf, leaves, zeros)):
        for got, want in zip(compiled(jnp.float32(loss), new, zeros), expected, strict=True):
            np.testing.assert_array_equal(got, want)


def test_a_good_update_of_what_has_a_store_is_taken_without_a_look_at_the_state():
    """Regression: the guard read and wrote all of DQN's state of before and after."""
    good, new, old = jnp.array([True, False]), jnp.ones((2, 7)), jnp.zeros((2, 7))
    for choose in (kept, put_back):
        both = jax.vmap(choose)(good, new, old)
        np.testing.assert_array_equal(both, [[1.0] * 7, [0.0] * 7])
    env = walk.make()
    network = ActionValuesConfig(encoder="flat", hidden=(13,), layout="orthogonal")
    learner = rainbow(env, 4, 8, RainbowConfig(capacity=128, warm_up=0, batch=4, network=network))
    chunk, hp = make_chunk(learner, vectorize(env, 4), 8), traced(learner.default_hp)
    state = jax.eval_shape(chunk.init, random.key(0), hp, env.params)
    counts = (jnp.float32(9), jnp.int32(9))
    program = jax.jit(chunk.run).lower(state, hp, (), env.params, *counts).as_text()
    # One is where the target network follows, which is in a loop that is entered when that is due, one where a step is made, in the kernel that makes it.
    assert len(re.findall(r"call @_where.*-> tensor<13x2xf32>", program)) == 2
