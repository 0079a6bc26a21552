"""Objectives against plain NumPy formulas."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from probes import probe_env

from jaxrl_evolve import objectives
from jaxrl_evolve.algorithms.table import find_algorithm
from jaxrl_evolve.clock import Clock
from jaxrl_evolve.learners.ppo import PPOConfig, PPOHyperparameters
from jaxrl_evolve.networks.distributions import Categorical
from jaxrl_evolve.objectives import (
    AnyObjective,
    Objective,
    ObjectiveBatch,
    ObjectiveOutputs,
    RuleObjective,
    TargetObjective,
    a2c,
    ppo_clip,
)
from jaxrl_evolve.objectives.drift.frame import drift_objective
from jaxrl_evolve.objectives.kinds import find_objective
from jaxrl_evolve.trajectory import PolicyOutput, Trajectory

SHAPE = (6, 5)
HP = PPOHyperparameters(clip=0.2, clip_end=0.5, value_coef=0.7, entropy_coef=0.03, entropy_end=0.0)
NOW = Clock.at(30.0, 40.0)  # three quarters through: clip 0.125, entropy coefficient 0.0075
CLIP, ENTROPY = 0.2 * (1 - 0.75 * 0.5), 0.03 * 0.25


class Numbers:
    """Random inputs of an objective, as NumPy and as its arguments."""

    def __init__(self, seed: int = 0, advantage: float = 1.0) -> None:
        rng = np.random.default_rng(seed)
        draw = lambda scale: (scale * rng.normal(size=SHAPE)).astype(np.float32)
        self.logits = rng.normal(size=(*SHAPE, 3)).astype(np.float32)
        self.action = rng.integers(0, 3, SHAPE).astype(np.int32)
        self.log_probs = self.logits - np.log(np.exp(self.logits).sum(-1, keepdims=True))
        self.log_prob = np.take_along_axis(self.log_probs, self.action[..., None], -1)[..., 0]
        self.old_log_prob = self.log_prob + draw(0.2)
        self.advantage = advantage * (draw(1.0) + 0.5)
        self.target, self.value, self.old_value = draw(1.0), draw(1.0), draw(1.0)
        self.entropy = -(np.exp(self.log_probs) * self.log_probs).sum(-1)

    def batch(self) -> ObjectiveBatch:
        x = {k: jnp.asarray(v) for k, v in vars(self).items()}
        nothing = jnp.zeros(SHAPE, bool)
        trajectory = Trajectory(
            obs=(),
            action=x["action"],
            reward=x["target"],
            terminated=nothing,
            truncated=nothing,
            first=nothing,
            next_obs=(),
            policy=PolicyOutput(x["old_log_prob"], x["old_value"]),
        )
        return ObjectiveBatch(trajectory, x["advantage"], x["target"], jax.tree.map(jnp.float32, HP))

    def outputs(self, logits: Any = None, value: Any = None) -> ObjectiveOutputs:
        distribution = Categorical(jnp.asarray(self.logits) if logits is None else logits)
        return ObjectiveOutputs(
            distribution,
            distribution.log_prob(jnp.asarray(self.action)),
            distribution.entropy(),
            jnp.asarray(self.value) if value is None else value,
        )


def _normalised(x: np.ndarray) -> np.ndarray:
    return (x - x.mean()) / np.sqrt(x.var() + 1e-8)


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("clip_value", [True, False])
def test_ppo_is_its_formula(normalise: bool, clip_value: bool):
    n = Numbers()
    loss, metrics = ppo_clip(normalise, clip_value).loss((), n.batch(), n.outputs(), NOW)
    ratio = np.exp(n.log_prob - n.old_log_prob)
    advantage = _normalised(n.advantage) if normalise else n.advantage
    policy = -np.minimum(ratio * advantage, np.clip(ratio, 1 - CLIP, 1 + CLIP) * advantage).mean()
    error = (n.value - n.target) ** 2
    if clip_value:
        # The value's range is hp.clip itself: only the ratio's follows clip_end.
        kept = n.old_value + np.clip(n.value - n.old_value, -0.2, 0.2)
        error = np.maximum(error, (kept - n.target) ** 2)
    expected = {
        "policy_loss": policy,
        "value_loss": 0.5 * error.mean(),
        "entropy": n.entropy.mean(),
        "approx_kl": (ratio - 1 - np.log(ratio)).mean(),
        "clip_fraction": (abs(ratio - 1) > CLIP).mean(),
    }
    assert set(metrics) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-4, atol=1e-6, err_msg=name)
        assert metrics[name].dtype == jnp.float32
    total = policy + 0.7 * expected["value_loss"] - ENTROPY * expected["entropy"]
    np.testing.assert_allclose(loss, total, rtol=1e-4)


@pytest.mark.parametrize("normalise", [True, False])
def test_a2c_is_its_formula(normalise: bool):
    n = Numbers(1)
    loss, metrics = a2c(normalise).loss((), n.batch(), n.outputs(), NOW)
    advantage = _normalised(n.advantage) if normalise else n.advantage
    policy = -(n.log_prob * advantage).mean()
    value = 0.5 * ((n.value - n.target) ** 2).mean()
    np.testing.assert_allclose(metrics["policy_loss"], policy, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(loss, policy + 0.7 * value - ENTROPY * n.entropy.mean(), rtol=1e-4)


def _policy_gradient(objective: Objective, n: Numbers) -> np.ndarray:
    def policy_loss(logits: Any) -> Any:
        return objective.loss((), n.batch(), n.outputs(logits), NOW)[1]["policy_loss"]

    return np.asarray(jax.grad(policy_loss)(jnp.asarray(n.logits)))


@pytest.mark.parametrize("objective", [ppo_clip(False), a2c(False)], ids=["ppo", "a2c"])
def test_without_advantage_there_is_no_policy_gradient(objective: Objective):
    assert (_policy_gradient(objective, Numbers(advantage=0.0)) == 0).all()
    assert (_policy_gradient(objective, Numbers()) != 0).any()


def test_a2c_gradient_is_the_score_times_the_advantage():
    n = Numbers(2)
    score = np.eye(3)[n.action] - np.exp(n.log_probs)
    expected = -score * n.advantage[..., None] / n.advantage.size
    np.testing.assert_allclose(_policy_gradient(a2c(False), n), expected, rtol=1e-4, atol=1e-7)


def test_ppo_has_no_gradient_where_it_clips_and_the_surrogates_elsewhere():
    n = Numbers(3)
    ratio = np.exp(n.log_prob - n.old_log_prob)
    gradient = _policy_gradient(ppo_clip(False), n)
    clipped = ((ratio > 1 + CLIP) & (n.advantage > 0)) | ((ratio < 1 - CLIP) & (n.advantage < 0))
    assert 3 < clipped.sum() < 27
    assert (gradient[clipped] == 0).all()
    score = np.eye(3)[n.action] - np.exp(n.log_probs)
    expected = -(score * (ratio * n.advantage)[..., None] / ratio.size)[~clipped]
    np.testing.assert_allclose(gradient[~clipped], expected, rtol=1e-3, atol=1e-7)


def test_one_sample_is_not_normalised():
    one = lambda x: x[:1, :1]
    n = Numbers()
    batch = n.batch()
    trajectory = dataclasses.replace(batch.trajectory, policy=jax.tree.map(one, batch.trajectory.policy))
    batch = dataclasses.replace(
        batch, trajectory=trajectory, advantage=one(batch.advantage), target=one(batch.target)
    )
    outputs = jax.tree.map(one, n.outputs())

    with pytest.raises(ValueError, match="minibatches must be fewer, or normalise_advantage False"):
        ppo_clip().loss((), batch, outputs, NOW)
    assert np.isfinite(ppo_clip(False).loss((), batch, outputs, NOW)[0])


def test_ppo_is_its_formula_where_ratios_overflow():
    n = Numbers(3)
    n.old_log_prob[0, :3] = n.log_prob[0, :3] + np.float32([-95, -95, 200])
    n.advantage[0, :3] = 1.5, 0.0, -1.5

    loss = ppo_clip(False).loss((), n.batch(), n.outputs(), NOW)[1]["policy_loss"]
    gradient = _policy_gradient(ppo_clip(False), n)

    ratio = np.exp(np.float64(n.log_prob) - n.old_log_prob)
    gain = np.minimum(ratio * n.advantage, np.clip(ratio, 1 - CLIP, 1 + CLIP) * n.advantage)
    assert float(loss) == pytest.approx(-gain.mean(), rel=1e-4)
    assert (gradient[0, :3] == 0).all()
    assert np.isfinite(gradient).all()
    assert (gradient != 0).any()


def test_the_clipped_value_is_not_pulled_further_than_its_range():
    n = Numbers(4)
    # All values have left the range on the far side of the target: the clipped error is no larger, so the
    # gradient stays; where they have passed it towards the target, it vanishes.
    n.old_value, n.target = np.zeros(SHAPE, np.float32), np.ones(SHAPE, np.float32)

    def gradient(value: float) -> np.ndarray:
        def value_loss(v: Any) -> Any:
            return ppo_clip().loss((), n.batch(), n.outputs(value=v), NOW)[1]["value_loss"]

        return np.asarray(jax.grad(value_loss)(jnp.full(SHAPE, value, jnp.float32))) * 30

    assert (gradient(0.5) == 0).all()
    np.testing.assert_allclose(gradient(0.1), -0.9, rtol=1e-5)
    np.testing.assert_allclose(gradient(-0.5), -1.5, rtol=1e-5)


def test_advantages_of_one_value_normalise_to_zero():
    n = Numbers(5)
    n.advantage = np.full(SHAPE, 3.0, np.float32)
    loss, metrics = ppo_clip(True).loss((), n.batch(), n.outputs(), NOW)
    # Rounding of the mean is enlarged by at most 1e4, the inverse of the offset's root.
    assert float(metrics["policy_loss"]) == pytest.approx(0.0, abs=1e-2)
    assert np.isfinite(loss)


@pytest.mark.parametrize(("step", "clip", "entropy"), [(0.0, 0.2, 0.03), (40.0, 0.1, 0.0), (99.0, 0.1, 0.0)])
def test_schedules_begin_and_end_where_they_should(step: float, clip: float, entropy: float):
    n = Numbers(6)
    loss, m = ppo_clip().loss((), n.batch(), n.outputs(), Clock.at(step, 40.0))
    ratio = np.exp(n.log_prob - n.old_log_prob)
    assert float(m["clip_fraction"]) == pytest.approx((abs(ratio - 1) > clip).mean())
    expected = m["policy_loss"] + 0.7 * m["value_loss"] - entropy * m["entropy"]
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_objectives_have_names_and_no_parameters():
    for name in ("ppo-clip", "a2c"):
        objective = find_objective(name)
        assert objective.name == name
        assert isinstance(objective, Objective)
        assert objective.init(jax.random.key(0)) == ()
    with pytest.raises(ValueError, match="ppo-clip"):
        find_objective("ppo_clip")


def test_names_of_the_package_are_functions_though_modules_bear_them_too():
    for name in ("a2c", "disco", "lpg"):
        assert isinstance(getattr(objectives, name)(), AnyObjective)
        module = sys.modules[f"jaxrl_evolve.objectives.{name}"]
        setattr(objectives, name, module)  # as importing the module does
        assert getattr(objectives, name) is getattr(module, name)
    assert all(hasattr(objectives, name) for name in objectives.__all__)
    with pytest.raises(AttributeError, match="no attribute 'lgp'"):
        _ = objectives.lgp


def test_an_objective_says_by_its_type_who_can_use_it():
    env = probe_env()
    assert isinstance(find_objective("ta-lpg"), TargetObjective)
    assert isinstance(find_objective("ta-disco"), RuleObjective)
    for name in ("ppo-clip", "lpo", "disco"):
        with pytest.raises(
            ValueError, match=f"objective is '{name}'; the lpg agent needs one that gives targets"
        ):
            find_algorithm("lpg").make(env, 4, 4, PPOConfig(), HP, find_objective(name))


@pytest.mark.parametrize("name", ["a2c", "drift"])
@pytest.mark.parametrize("advantage", [1.0, -1.0, 0.0, 1e6, -1e6])
def test_ratios_and_advantages_of_any_size_have_finite_losses_and_gradients(name: str, advantage: float):
    no_drift = lambda eta, log_ratio, *rest: jnp.zeros_like(log_ratio)
    objective = {
        "a2c": a2c(normalise_advantage=False),
        "drift": drift_objective("drift", no_drift, normalise_advantage=False),
    }[name]
    numbers = Numbers()
    numbers.advantage = np.full(SHAPE, advantage, np.float32)
    numbers.old_log_prob = numbers.log_prob - np.float32(100.0)  # a ratio of exp(100) overflows

    def loss(shift: jax.Array) -> jax.Array:
        outputs = numbers.outputs()
        outputs = dataclasses.replace(outputs, log_prob=outputs.log_prob + shift)
        return objective.loss((), numbers.batch(), outputs, NOW)[0]

    value, slope = jax.value_and_grad(loss)(jnp.float32(0.0))
    assert np.isfinite(value) and np.isfinite(slope)
