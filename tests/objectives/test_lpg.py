"""The learned policy gradient against a slow NumPy reading of the paper, and its laws."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest
from compiled import program

from jaxrl_evolve.clock import Clock
from jaxrl_evolve.learners.ppo import PPOHyperparameters
from jaxrl_evolve.networks.distributions import Categorical
from jaxrl_evolve.objectives import ObjectiveBatch, ObjectiveOutputs
from jaxrl_evolve.objectives.lpg import LPGConfig, init_parameters, lpg, lpg_with_time
from jaxrl_evolve.objectives.time_config import HorizonRange, TimeFeatures
from jaxrl_evolve.trajectory import PolicyOutput, Trajectory

CLOCK = Clock.at(300.0, 1000.0)
TIME = TimeFeatures(("fraction", "log_horizon"), HorizonRange(100.0, 5000.0))

drawn = program(init_parameters, "config")


@program
def told(logits: Any, action: Any) -> Any:
    """Log probability and entropy."""
    return Categorical(logits).log_prob(action), Categorical(logits).entropy()


def rollout(
    seed: int, length: int, num: int, actions: int, m: int
) -> tuple[ObjectiveBatch, ObjectiveOutputs]:
    rng = np.random.default_rng(seed)
    draw = lambda *shape: jax.device_put(rng.normal(size=shape).astype(np.float32))
    terminated = rng.random((length, num)) < 0.2
    truncated = (rng.random((length, num)) < 0.1) & ~terminated
    terminated, truncated = jax.device_put((terminated, truncated))
    action = jax.device_put(rng.integers(0, actions, (length, num)).astype(np.int32))
    distribution = Categorical(draw(length, num, actions))
    log_prob, entropy = jax.device_put(told(distribution.logits, action))
    zeros = jax.device_put(np.zeros((length, num), np.float32))
    trajectory = Trajectory(
        obs=zeros,
        action=action,
        reward=draw(length, num),
        terminated=terminated,
        truncated=truncated,
        first=jax.device_put(np.zeros((length, num), bool)),
        next_obs=zeros,
        policy=PolicyOutput(log_prob, zeros),
    )
    outputs = ObjectiveOutputs(
        distribution, log_prob, entropy, zeros, draw(length, num, m), draw(length, num, m)
    )
    return ObjectiveBatch(trajectory, zeros, zeros, PPOHyperparameters(gamma=0.9)), outputs


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def slow_targets(config: LPGConfig, eta: Any, batch: Any, outputs: Any, clock: Clock) -> Any:
    """One step and one environment at a time, in float64."""
    eta = {k: np.asarray(v, np.float64) for k, v in eta.items()}
    batch, outputs = jax.device_get((batch, outputs))
    features = np.asarray(program(config.time.features)(clock), np.float64)
    t = batch.trajectory
    embed = lambda z: float(
        (np.maximum(softmax(z) @ eta["embed_kernel"] + eta["embed_bias"], 0) @ eta["embed_out_kernel"])[0]
        + eta["embed_out_bias"][0]
    )
    length, num = t.reward.shape
    w = config.width
    pi_hat = np.zeros((length, num))
    y_hat = np.zeros((length, num, config.predictions))
    for n in range(num):
        h, c = np.zeros(w), np.zeros(w)
        for i in reversed(range(length)):
            terminated, ended = bool(t.terminated[i, n]), bool(t.terminated[i, n] | t.truncated[i, n])
            if ended:
                h, c = np.zeros(w), np.zeros(w)
            x = [
                float(t.reward[i, n]),
                float(terminated),
                np.exp(float(outputs.log_prob[i, n])),
                embed(np.asarray(outputs.prediction[i, n], np.float64)),
                0.0 if terminated else embed(np.asarray(outputs.next_prediction[i, n], np.float64)),
            ]
            if config.gamma_input:
                x.append(float(batch.hp.gamma))
            a = np.array(x) @ eta["core_input"] + eta["core_bias"]
            if config.time.size:
                a = a + features @ eta["core_time"]
            u = h @ eta["core_memory"]
            if config.core == "gru":
                r, z = sigmoid(a[:w] + u[:w]), sigmoid(a[w : 2 * w] + u[w : 2 * w])
                h = (1 - z) * np.tanh(a[2 * w :] + r * (u[2 * w :] + eta["core_candidate_bias"])) + z * h
            else:
                i_g, f_g, g, o_g = np.split(a + u, 4)
                c = sigmoid(f_g) * c + sigmoid(i_g) * np.tanh(g)
                h = sigmoid(o_g) * np.tanh(c)
            out = np.maximum(h, 0)
            pi_hat[i, n] = (out @ eta["policy_kernel"] + eta["policy_bias"])[0]
            y_hat[i, n] = softmax(out @ eta["prediction_kernel"] + eta["prediction_bias"])
    return pi_hat, y_hat


@pytest.mark.parametrize(
    "config",
    [
        LPGConfig(width=5, predictions=4, embedding=3, start="random"),
        LPGConfig(core="lstm", width=5, predictions=4, gamma_input=True, start="random", time=TIME),
    ],
    ids=["gru", "lstm with time and discount"],
)
def test_targets_and_loss_are_those_of_the_paper(config: LPGConfig):
    batch, outputs = rollout(0, 7, 3, 4, config.predictions)
    eta = jax.tree.map(lambda x: 2 * x + 0.1, drawn(config, jax.random.key(1)))
    objective = lpg(config)
    targets = program(objective.targets)(eta, batch, outputs, CLOCK)
    pi_hat, y_hat = slow_targets(config, eta, batch, outputs, CLOCK)
    np.testing.assert_allclose(targets.policy, pi_hat, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.exp(targets.prediction), y_hat, rtol=1e-4, atol=1e-6)

    loss, metrics = program(objective.loss)(eta, dataclasses.replace(batch, targets=targets), outputs, CLOCK)
    y = softmax(np.asarray(outputs.prediction, np.float64))
    policy = -(pi_hat * np.asarray(outputs.log_prob)).mean()
    kl = (y * np.log(y / y_hat)).sum(-1).mean()
    np.testing.assert_allclose(loss, policy + 0.5 * kl, rtol=1e-4)
    np.testing.assert_allclose(metrics["policy_target_square"], (pi_hat**2).mean(), rtol=1e-4)
    np.testing.assert_allclose(metrics["prediction_target_square"], (y_hat**2).sum(-1).mean(), rtol=1e-4)
    np.testing.assert_allclose(metrics["prediction_entropy"], -(y * np.log(y)).sum(-1).mean(), rtol=1e-4)


def test_sizes_are_those_of_the_public_implementation():
    count = lambda config: sum(x.size for x in drawn(config, jax.random.key(0)).values())
    assert count(LPGConfig(width=256)) == 203_946
    assert count(LPGConfig(width=256, time=TIME)) == 205_482


def test_nothing_leaks_backwards_over_the_end_of_an_episode():
    config = LPGConfig(width=6, start="random")
    objective = lpg(config)
    batch, outputs = rollout(1, 9, 2, 3, config.predictions)
    eta = drawn(config, jax.random.key(2))
    ended = np.zeros((9, 2), bool)
    of_paper = program(objective.targets)

    def targets(truncated: Any, reward: Any) -> Any:
        t = dataclasses.replace(batch.trajectory, terminated=ended, truncated=truncated, reward=reward)
        return of_paper(eta, dataclasses.replace(batch, trajectory=t), outputs, CLOCK)

    reward = np.asarray(batch.trajectory.reward)
    later, cut = reward.copy(), ended.copy()
    later[5:] += 3.0
    cut[4] = True
    same, other = targets(cut, reward), targets(cut, later)
    np.testing.assert_array_equal(same.policy[:5], other.policy[:5])
    assert np.abs(same.policy[5:] - other.policy[5:]).min() > 1e-4
    whole = targets(ended, reward), targets(ended, later)
    assert np.abs(whole[0].policy[:5] - whole[1].policy[:5]).max() > 1e-4


def test_a_time_limit_is_not_an_end_of_the_task():
    """At a truncation the true successor's prediction is read; at a termination none is."""
    config = LPGConfig(width=6, start="random")
    objective = lpg(config)
    batch, outputs = rollout(2, 4, 2, 3, config.predictions)
    eta = drawn(config, jax.random.key(3))
    assert outputs.next_prediction is not None
    moved = np.array(outputs.next_prediction)
    moved[2] += np.arange(8)
    shifted = dataclasses.replace(outputs, next_prediction=moved)
    none = np.zeros((4, 2), bool)
    flags = none.copy()
    flags[2] = True
    of_paper = program(objective.targets)

    def targets(terminated: bool, outputs: Any) -> Any:
        t = dataclasses.replace(
            batch.trajectory,
            terminated=flags if terminated else none,
            truncated=none if terminated else flags,
        )
        return of_paper(eta, dataclasses.replace(batch, trajectory=t), outputs, CLOCK).policy

    np.testing.assert_array_equal(targets(True, outputs), targets(True, shifted))
    assert np.abs(targets(False, outputs)[2] - targets(False, shifted)[2]).max() > 1e-5


def test_zero_parameters_ask_for_nothing():
    config = LPGConfig(width=4)
    batch, outputs = rollout(3, 5, 2, 3, config.predictions)
    objective = lpg(config)
    targets = program(objective.targets)(program(objective.init)(jax.random.key(0)), batch, outputs, CLOCK)
    np.testing.assert_array_equal(targets.policy, 0.0)
    np.testing.assert_allclose(np.exp(targets.prediction), 1 / config.predictions, rtol=1e-6)


def test_zero_time_columns_are_the_time_blind_objective():
    blind = LPGConfig(width=6, start="random")
    aware = dataclasses.replace(blind, time=TIME)
    eta = drawn(blind, jax.random.key(5))
    batch, outputs = rollout(4, 6, 3, 3, 8)
    a, b = lpg(blind), lpg(aware)
    assert (a.name, b.name) == ("lpg", "ta-lpg")
    aware_targets = program(b.targets)
    want = program(a.targets)(eta, batch, outputs, CLOCK)
    got = aware_targets(lpg_with_time(jax.device_put(eta), TIME), batch, outputs, CLOCK)
    jax.tree.map(np.testing.assert_array_equal, got, want)
    random = {**eta, "core_time": np.ones((TIME.size, 18), np.float32)}
    early, late = (aware_targets(random, batch, outputs, Clock.at(n, 1000.0)).policy for n in (0.0, 900.0))
    assert np.abs(early - late).max() > 1e-3


def test_the_reward_is_answered_to_at_400_times_the_longest_horizon():
    """Regression: raw counts of steps saturate the gates, and nothing is learned any more where lives are long."""
    config = LPGConfig(width=16, start="random", time=TIME)
    eta = init_parameters(config, jax.random.key(6))
    batch, outputs = rollout(5, 8, 4, 3, 8)
    other = dataclasses.replace(batch.trajectory, reward=batch.trajectory.reward + 1.0)
    targets = jax.jit(lambda batch, clock: lpg(config).targets(eta, batch, outputs, clock).policy)

    def answer(horizon: float) -> float:
        clock = Clock.at(0.9 * horizon, horizon)
        after = targets(dataclasses.replace(batch, trajectory=other), clock)
        return float(np.abs(after - targets(batch, clock)).mean())

    within, far = answer(1_000.0), answer(400 * 5_000.0)
    assert within > 1e-2 and 0.3 < far / within < 3.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 0}, "width is 0; it must be a whole number of at least 1"),
        ({"predictions": 1}, "predictions is 1; a categorical prediction needs at least 2 classes"),
        ({"embedding": 1.5}, "embedding is 1.5"),
    ],
)
def test_bad_sizes_are_refused(changes: Any, message: str):
    with pytest.raises(ValueError, match=message):
        LPGConfig(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"core": "grue"}, "core is 'grue', which is not known: did you mean gru"),
        ({"start": None}, "start is None"),
        ({"width": "x"}, "width is 'x'; it must be a whole number of at least 1"),
        ({"gamma_input": 1}, "gamma_input is 1; it must be True or False"),
        ({"time": 3}, "time is 3"),
    ],
)
def test_settings_that_are_none_are_refused_by_name(changes: Any, message: str):
    with pytest.raises(ValueError, match=message):
        LPGConfig(**changes)
