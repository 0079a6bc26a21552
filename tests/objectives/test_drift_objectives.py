"""Drift objectives: formulas, the conditions of mirror learning, and exact starts from PPO and from LPO."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import program
from jax.flatten_util import ravel_pytree

from jaxrl_envs import make
from jaxrl_envs.vector import vectorize
from jaxrl_evolve import objectives
from jaxrl_evolve.clock import Clock
from jaxrl_evolve.learners.ppo import PPOConfig, PPOHyperparameters, ppo
from jaxrl_evolve.networks.distributions import Categorical
from jaxrl_evolve.networks.network import NetworkConfig
from jaxrl_evolve.objectives import (
    DiscoveredConfig,
    HorizonRange,
    LPOConfig,
    Objective,
    ObjectiveBatch,
    ObjectiveOutputs,
    TimeFeatures,
    discovered,
    discovered_drift,
    lpo,
    lpo_drift,
    lpo_with_time,
    ppo_clip,
)
from jaxrl_evolve.objectives.drift.config import TA_LPO
from jaxrl_evolve.runs.chunk import make_chunk
from jaxrl_evolve.trajectory import PolicyOutput, Trajectory

HP = jax.tree.map(jnp.float32, PPOHyperparameters(clip=0.2, clip_end=0.5, value_coef=0.7, entropy_coef=0.03))
NOW = Clock.at(30.0, 40.0)  # three quarters through: the clip is 0.125
CLIP = 0.125
MULTI = LPOConfig(
    width=32, time=TimeFeatures(("fraction", "log_horizon", "periodic"), HorizonRange(10, 1000))
)
KEY = jax.random.key(7)

random_eta = program(objectives.random_eta, "config", "scale")
zero_eta = program(objectives.zero_eta, "config")


def drawn(key: Any, config: LPOConfig, number: int, scale: float) -> Any:
    one = lambda key: objectives.random_eta(key, config, scale)
    return jax.vmap(one)(jax.random.split(key, number))


many_etas = program(drawn, "config", "number", "scale")


def population(config: LPOConfig, number: int, scale: float = 1.0) -> Any:
    """Random parameters with an axis in front; they are those of all configurations of one width and time."""
    return many_etas(KEY, LPOConfig(width=config.width, time=config.time), number, scale)


def inputs(log_ratio: Any, advantage: Any) -> tuple[ObjectiveBatch, ObjectiveOutputs]:
    """An objective's arguments with given log ratios and advantages ``[t, n]``, and nothing else of interest."""
    zero, no = jnp.zeros_like(log_ratio), jnp.zeros(log_ratio.shape, bool)
    trajectory = Trajectory(
        obs=(),
        action=zero.astype(jnp.int32),
        reward=zero,
        terminated=no,
        truncated=no,
        first=no,
        next_obs=(),
        policy=PolicyOutput(zero, zero),
    )
    batch = ObjectiveBatch(trajectory=trajectory, advantage=advantage, target=zero, hp=HP)
    logits = Categorical(jnp.zeros((*log_ratio.shape, 2)))
    return batch, ObjectiveOutputs(distribution=logits, log_prob=log_ratio, entropy=zero, value=zero)


def losses(objective: Objective, eta: Any, log_ratio: Any, advantage: Any, clock: Clock) -> Any:
    return objective.loss(eta, *inputs(log_ratio, advantage), clock)


def policy_losses(objective: Objective, eta: Any, log_ratio: Any, advantage: Any, clock: Clock) -> Any:
    return losses(objective, eta, log_ratio, advantage, clock)[1]["policy_loss"]


loss_and_metrics, by_log_ratio = (
    program(function, "objective") for function in (losses, jax.grad(policy_losses, 2))
)


def policy_loss(objective: Objective, eta: Any, log_ratio: Any, advantage: Any) -> Any:
    return loss_and_metrics(objective, eta, log_ratio, advantage, NOW)[1]["policy_loss"]


def gradient(objective: Objective, eta: Any, log_ratio: Any, advantage: Any, clock: Clock = NOW) -> Any:
    """Of the policy loss by each log ratio, per sample."""
    return by_log_ratio(objective, eta, log_ratio, advantage, clock) * np.size(log_ratio)


def samples(seed: int = 0, spread: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    draw = lambda scale: (scale * rng.normal(size=(16, 12))).astype(np.float32)
    return draw(spread), draw(1.0)


def numpy_lpo(eta: Any, log_ratio: Any, advantage: Any, time: Any, config: LPOConfig) -> np.ndarray:
    """The drift in float64, with the time blocks written out as inputs of their own."""
    x = np.stack([np.exp(log_ratio) - 1, (np.exp(log_ratio) - 1) ** 2, log_ratio, log_ratio**2], -1)
    x = np.clip(np.concatenate([x, x * advantage[..., None]], -1), -config.feature_clip, config.feature_clip)
    blocks = np.concatenate([x, *(f * x for f in time)], -1)
    first = np.concatenate([np.asarray(eta["input"]), *np.asarray(eta.get("time", ()))])
    out = np.tanh(blocks @ first) @ np.asarray(eta["output"])
    ratio = np.exp(log_ratio)
    if config.ppo_start:
        out = out + np.maximum((ratio - np.clip(ratio, 1 - CLIP, 1 + CLIP)) * advantage, 0)
    return np.maximum(out - config.margin, 0)


@pytest.mark.parametrize("config", [LPOConfig(), LPOConfig(width=16, ppo_start=False, margin=0.01), MULTI])
@pytest.mark.parametrize("normalise", [True, False])
def test_lpo_is_its_formula(config: LPOConfig, normalise: bool):
    eta = random_eta(KEY, config)
    log_ratio, advantage = samples()
    loss, metrics = loss_and_metrics(lpo(config, normalise), eta, log_ratio, advantage, NOW)
    x, a = np.asarray(log_ratio, np.float64), np.asarray(advantage, np.float64)
    a = (a - a.mean()) / np.sqrt(a.var() + 1e-8) if normalise else a
    penalty = numpy_lpo(eta, x, a, program(config.time.features)(NOW), config)
    assert (penalty > 0).any() and (penalty == 0).any()
    np.testing.assert_allclose(metrics["drift"], penalty.mean(), rtol=1e-4)
    np.testing.assert_allclose(metrics["approx_kl"], (np.exp(x) - 1 - x).mean(), rtol=1e-4)
    np.testing.assert_allclose(metrics["policy_loss"], -(np.exp(x) * a - penalty).mean(), rtol=1e-4)
    assert loss.dtype == jnp.float32 and all(value.dtype == jnp.float32 for value in metrics.values())


def test_discovered_is_its_formula():
    log_ratio, advantage = samples(1, 1.0)
    x, a = np.asarray(log_ratio, np.float64), np.asarray(advantage, np.float64)
    good, bad = (np.exp(x) - 1) * a, a * x
    penalty = np.where(a >= 0, good - 2 * np.tanh(good / 2), bad - 0.6 * np.tanh(bad / 0.6))
    found = program(discovered_drift())((), log_ratio, advantage, np.float32(0.2), np.zeros(0, np.float32))
    np.testing.assert_allclose(found, np.maximum(penalty, 0), rtol=1e-4, atol=1e-6)
    loss = policy_loss(discovered(normalise_advantage=False), (), log_ratio, advantage)
    np.testing.assert_allclose(loss, -(np.exp(x) * a - np.maximum(penalty, 0)).mean(), rtol=1e-4)
    with pytest.raises(ValueError, match="beta is 0"):
        DiscoveredConfig(beta=0.0)


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (LPOConfig(), 1_152),
        (TA_LPO, 2_176),
        (LPOConfig(time=TimeFeatures(("fraction", "log_horizon"), HorizonRange(1, 9))), 3_200),
    ],
)
def test_lpo_has_the_published_number_of_parameters(config: LPOConfig, parameters: int):
    for eta in (program(lpo(config).init)(KEY), random_eta(KEY, config)):
        assert sum(leaf.size for leaf in jax.tree.leaves(eta)) == parameters
        assert {leaf.dtype for leaf in jax.tree.leaves(eta)} == {jnp.dtype("float32")}


@pytest.mark.parametrize(
    "wrong", [{"width": 0}, {"width": 1.5}, {"margin": -1.0}, {"feature_clip": 0.0}], ids=str
)
def test_wrong_settings_are_refused(wrong: Any):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} is"):
        LPOConfig(**wrong)


@pytest.mark.parametrize("config", [LPOConfig(), TA_LPO, MULTI], ids=["lpo", "ta-lpo", "multi"])
def test_zero_parameters_are_ppo_outside_the_margin(config: LPOConfig):
    log_ratio, advantage = samples(2)
    by_ppo = gradient(ppo_clip(False), (), log_ratio, advantage)
    zero, of_lpo = zero_eta(config), lpo(config, False)
    found = gradient(of_lpo, zero, log_ratio, advantage)
    ratio = np.exp(log_ratio)
    beyond = (ratio - np.clip(ratio, 1 - CLIP, 1 + CLIP)) * advantage
    clear = (beyond <= 0) | (beyond > config.margin)
    assert (beyond > config.margin).sum() > 20
    np.testing.assert_allclose(found[clear], by_ppo[clear], rtol=1e-3, atol=1e-6)
    losses = [
        float(policy_loss(o, e, log_ratio, advantage)) for o, e in ((ppo_clip(False), ()), (of_lpo, zero))
    ]
    assert 0 <= losses[0] - losses[1] <= config.margin + 1e-6
    without = dataclasses.replace(config, margin=0.0)
    found = gradient(lpo(without, False), zero, log_ratio, advantage)
    np.testing.assert_allclose(found, by_ppo, rtol=1e-6, atol=1e-7)
    assert ((found == 0) == (by_ppo == 0)).all()


def trained(objective: Objective, eta: Any = None, env_name: str = "CartPole-v1", updates: int = 3) -> Any:
    """PPO's parameters and metrics after a few large updates; for every ``eta`` where there is an axis of them."""
    env = make(env_name)
    hp = jax.tree.map(jnp.float32, PPOHyperparameters(learning_rate=3e-2, clip=0.03, clip_end=0.5))
    config = PPOConfig(epochs=2, minibatches=2, network=NetworkConfig(hidden=(8,)))
    learner = ppo(env, 4, 16, config, hp, objective)
    chunk = make_chunk(learner, vectorize(env, 4), 16)

    def run(eta: Any) -> Any:
        state = chunk.init(jax.random.key(0), hp, env.params)
        state, metrics = chunk.run(state, hp, eta, env.params, jnp.float32(10), jnp.int32(updates))
        return ravel_pytree(state.learner.params)[0], metrics

    return program(lambda: run(learner.init_objective(KEY)))() if eta is None else program(jax.vmap(run))(eta)


@pytest.mark.parametrize(
    ("env", "margin", "tolerance"), [("CartPole-v1", 1e-4, 1e-3), ("Pendulum-v1", 0.0, 1e-5)]
)
@pytest.mark.core("CartPole-v1-0.0001-0.001")
def test_zero_parameters_train_as_ppo_does_and_others_otherwise(env: str, margin: float, tolerance: float):
    by_ppo, metrics = trained(ppo_clip(), env_name=env)
    assert metrics["clip_fraction"] > 0.03
    # A population of a zero and two random ones.
    config = dataclasses.replace(TA_LPO, margin=margin)
    join = lambda zero, others: np.concatenate([zero[None], others])
    etas = jax.tree.map(join, zero_eta(config), population(config, 2))
    (zero, *random), metrics = trained(lpo(config), etas, env)
    np.testing.assert_allclose(zero, by_ppo, atol=tolerance)
    assert all(abs(params - by_ppo).max() > 10 * tolerance and np.isfinite(params).all() for params in random)
    assert all(np.isfinite(metrics[name]).all() for name in ("loss", "drift", "approx_kl"))
    assert (metrics["drift"] > 0).all()


@pytest.mark.parametrize(
    "objective", [discovered(), lpo(LPOConfig(ppo_start=False))], ids=["discovered", "lpo"]
)
def test_continuous_actions_train(objective: Objective):
    eta = () if objective.name == "discovered" else random_eta(KEY, LPOConfig())
    params, metrics = trained(objective._replace(init=lambda key: eta), env_name="Pendulum-v1")
    assert np.isfinite(params).all() and np.isfinite(metrics["loss"]) and metrics["drift"] > 0


# The conditions of mirror learning, over a grid of advantages and times.

ADVANTAGES = np.asarray([-5.0, -1.0, -0.1, -1e-3, 0.0, 1e-3, 0.1, 1.0, 5.0], np.float32)
FRACTIONS = (0.0, 0.3, 0.5, 1.0)


def features(time: TimeFeatures) -> Any:
    return jnp.stack([time.features(Clock.at(f * 100, 100.0)) for f in FRACTIONS])


features_at = program(features, "time")


def drifts(config: LPOConfig, nets: int = 200, scale: float = 1.0) -> Any:
    """``log_ratio -> (D, dD/dlog r)``, each ``[nets, fractions, advantages]``, for many random networks."""
    etas = population(config, nets, scale)
    times = features_at(config.time)
    drift = lpo_drift(config)

    def one(eta: Any, time: Any, advantage: Any, log_ratio: Any) -> Any:
        return jax.value_and_grad(lambda x: drift(eta, x, advantage, jnp.float32(0.2), time))(log_ratio)

    grid = jax.vmap(
        jax.vmap(jax.vmap(one, (None, None, 0, None)), (None, 0, None, None)), (0, None, None, None)
    )
    grid = program(grid)
    return lambda log_ratio: grid(etas, times, ADVANTAGES, np.float32(log_ratio))


@pytest.mark.parametrize("ppo_start", [True, False])
@pytest.mark.parametrize(
    "time", [TimeFeatures(), TimeFeatures(("fraction",)), MULTI.time], ids=["0", "1", "4"]
)
def test_the_three_conditions_hold_for_every_network(time: TimeFeatures, ppo_start: bool):
    config = LPOConfig(ppo_start=ppo_start, time=time)
    at = drifts(config, scale=2.0)
    for log_ratio in (-3.0, -0.5, -0.05, 0.05, 0.5, 3.0):
        assert (at(log_ratio)[0] >= 0).all()
    assert (at(0.5)[0] > 0).any() and (at(-0.5)[0] > 0).any()
    value, slope = at(0.0)
    assert (value == 0).all() and (slope == 0).all()


@pytest.mark.parametrize("time", [TimeFeatures(), MULTI.time], ids=["lpo", "ta-lpo"])
def test_the_margin_leaves_no_network_a_slope_beside_one(time: TimeFeatures):
    """``r - 1`` at the smallest distances that float32 has: the slope is zero on both sides, not at a point."""
    sloped = {}
    for margin in (0.0, 1e-4):
        at = drifts(LPOConfig(margin=margin, time=time))
        sloped[margin] = sum((at(change)[1] != 0).any(axis=(1, 2)).astype(int) for change in (-2e-7, 2e-7))
    assert (sloped[0.0] > 0).all()
    assert (sloped[1e-4] == 0).all()


def test_time_as_an_input_of_its_own_would_break_the_conditions():
    """Why time multiplies: at ``r = 1`` every input is zero at any time, and so is the output."""
    eta, drift = random_eta(KEY, MULTI, 10.0), lpo_drift(dataclasses.replace(MULTI, margin=0.0))

    @program
    def at_one(eta: Any, clock: Clock) -> Any:
        return drift(eta, jnp.zeros(9), jnp.asarray(ADVANTAGES), jnp.float32(0.2), MULTI.time.features(clock))

    for clock in (Clock.at(0, 20), Clock.at(700, 900), Clock.at(5, 5)):
        assert (at_one(eta, clock) == 0).all()


# Warm starts.


@pytest.mark.parametrize("config", [dataclasses.replace(TA_LPO, width=32), MULTI], ids=["fraction", "multi"])
def test_time_columns_of_zero_change_nothing(config: LPOConfig):
    blind = dataclasses.replace(config, time=TimeFeatures())
    eta = random_eta(KEY, blind)
    log_ratio, advantage = samples(3)
    with_time, without = lpo(config), lpo(blind)
    warm = program(lambda eta: lpo_with_time(eta, config.time))(eta)
    for clock in (Clock.at(0, 30), NOW, Clock.at(30, 30)):
        aware = gradient(with_time, warm, log_ratio, advantage, clock)
        assert (aware == gradient(without, eta, log_ratio, advantage, clock)).all()


def test_ta_lpo_begins_as_the_lpo_of_its_first_block():
    eta = random_eta(KEY, TA_LPO)
    blind = {name: leaf for name, leaf in eta.items() if name != "time"}
    log_ratio, advantage = samples(4)
    with_time, without = lpo(TA_LPO), lpo()
    at = lambda n: gradient(with_time, eta, log_ratio, advantage, Clock.at(n, 40.0))
    as_lpo = lambda n: gradient(without, blind, log_ratio, advantage, Clock.at(n, 40.0))
    assert (at(0.0) == as_lpo(0.0)).all()
    assert abs(at(20.0) - as_lpo(20.0)).max() > 1e-2


def test_a_warm_start_takes_populations_and_refuses_time_columns():
    etas = population(LPOConfig(), 3)
    assert lpo_with_time(etas, MULTI.time)["time"].shape == (3, 4, 8, 128)
    assert "time" not in lpo_with_time(etas, TimeFeatures())
    with pytest.raises(ValueError, match=r"time columns already, of shape \(1, 8, 128\)"):
        lpo_with_time(zero_eta(TA_LPO), TA_LPO.time)


# Numbers.


@pytest.mark.parametrize("objective", [discovered(), lpo(), lpo(LPOConfig(ppo_start=False)), lpo(MULTI)])
def test_extreme_ratios_give_numbers(objective: Objective):
    config = MULTI if objective.name == "ta-lpo" else LPOConfig()
    eta = () if objective.name == "discovered" else random_eta(KEY, config, 3.0)
    extremes = [-800.0, -80.0, -30.0, -1e-8, 0.0, 1e-8, 30.0, 80.0, 95.0, 800.0]
    log_ratio = np.asarray([extremes] * 5, np.float32)
    advantage = np.tile(np.float32([[-3.0], [-1e-8], [0.0], [1e-8], [3.0]]), (1, len(extremes)))
    by = program(jax.value_and_grad(lambda x, advantage: losses(objective, eta, x, advantage, NOW)[0]))
    for value in (1.0, 1e-3):
        assert all(np.isfinite(x).all() for x in by(log_ratio, np.float32(value) * advantage))


def test_small_ratios_are_not_rounded_away():
    """``r - 1`` by expm1: exp and a subtraction would lose all but one digit here."""
    eta = random_eta(KEY, LPOConfig())
    drift = program(lpo_drift(LPOConfig(margin=0.0, ppo_start=False)))
    given = np.full((4, 4), 3e-6, np.float32), np.full((4, 4), 2.0, np.float32), np.float32(0.2)
    bare = lambda eta: drift(eta, *given, np.zeros(0, np.float32))
    found, flipped = bare(eta), bare(jax.tree.map(np.negative, eta) | {"input": eta["input"]})
    x = 3e-6
    linear = np.asarray(eta["input"]).T @ np.array([x, x**2, x, x**2, 2 * x, 2 * x**2, 2 * x, 2 * x**2])
    np.testing.assert_allclose(np.maximum(found, flipped), abs(linear @ np.asarray(eta["output"])), rtol=1e-3)


def test_a_population_of_parameters_is_one_vmap():
    etas, objective = population(MULTI, 5), lpo(MULTI)
    log_ratio, advantage = samples(5)
    loss = lambda eta: policy_loss(objective, eta, log_ratio, advantage)
    given = jax.device_put((log_ratio, advantage))
    together = program(jax.vmap(lambda eta: policy_losses(objective, eta, *given, NOW)))(etas)
    one_by_one = [loss(jax.tree.map(lambda x, i=i: x[i], etas)) for i in range(5)]
    np.testing.assert_allclose(together, np.stack(one_by_one), rtol=1e-5)
    assert np.ptp(together) > 1e-3


def test_the_drift_is_differentiable_by_its_parameters():
    eta = random_eta(KEY, MULTI)
    log_ratio, advantage = samples(6)
    by_eta = program(jax.grad(policy_losses, 1), "objective")(lpo(MULTI), eta, log_ratio, advantage, NOW)
    assert all(abs(leaf).max() > 0 for leaf in jax.tree.leaves(by_eta))


def test_the_range_of_training_is_told():
    assert lpo().horizons is None and discovered().horizons is None
    assert lpo(MULTI).horizons == HorizonRange(10, 1000)
    assert lpo(MULTI, horizons=HorizonRange(1, 2)).horizons == HorizonRange(1, 2)


def test_around_zero_a_pair_is_one_objective_and_a_drawn_input_layer_tells_its_members_apart():
    """Regression: antithetic evolution from zeros compares two equal objectives and never moves."""
    log_ratio = np.linspace(-0.5, 0.5, 21, dtype=np.float32)
    advantage = np.where(np.arange(21) % 2 == 0, np.float32(1.0), np.float32(-0.7))
    noise = random_eta(jax.random.key(3), LPOConfig())
    for start, same in (("zeros", True), ("hidden", False)):
        config = LPOConfig(start=start)
        centre = program(lpo(config).init)(jax.random.key(0))
        of_all = program(lpo_drift(config))
        given = log_ratio, advantage, np.float32(0.2), np.zeros(0, np.float32)
        drift = lambda eta, of_all=of_all, given=given: of_all(eta, *given)
        plus, minus = (drift(jax.tree.map(lambda m, e, s=s: m + s * e, centre, noise)) for s in (1.0, -1.0))
        assert np.array_equal(plus, minus) == same
        zero = drift(zero_eta(config))
        np.testing.assert_array_equal(drift(centre), zero)


def parts_of_a_difference(centre: Any, config: LPOConfig, sigma: float = 0.03) -> tuple[float, float]:
    """Of what tells an antithetic pair apart: the size of what changes in the course of a life, and of the rest."""
    log_ratio, advantage = jax.device_put(samples(7))
    drift = lpo_drift(dataclasses.replace(config, margin=0.0, ppo_start=False))
    at = lambda eta, f: drift(
        eta, log_ratio, advantage, jnp.float32(0.2), config.time.features(Clock.at(100.0 * f, 100.0))
    )
    # The part below zero, too: a network of the opposite sign has it where the drift itself is cut off.
    turned = lambda eta: {**eta, "output": -eta["output"]}
    whole = lambda eta, f: np.asarray(at(eta, f) - at(turned(eta), f))

    def difference(key: Any, f: float) -> np.ndarray:
        keys = dict(zip(centre, jax.random.split(key, len(centre)), strict=True))
        noise = {name: jax.random.normal(keys[name], leaf.shape) for name, leaf in centre.items()}
        plus, minus = (jax.tree.map(lambda m, e, s=s: m + s * e, centre, noise) for s in (sigma, -sigma))
        return whole(plus, f) - whole(minus, f)

    sizes = []
    for key in jax.random.split(KEY, 8):
        start, end = difference(key, 0.0), difference(key, 1.0)
        sizes.append((np.linalg.norm(end - start), np.linalg.norm(start)))
    changing, rest = np.mean(sizes, axis=0)
    return float(changing), float(rest)


def test_evolution_sees_the_time_from_the_first_generation_on():
    """Regression: time columns of zero under an output of zero hide the time from antithetic pairs."""
    config = dataclasses.replace(TA_LPO, start="hidden")
    start = lpo(config).init(KEY)
    log_ratio, advantage = samples(8)
    by_ppo = gradient(lpo(config), zero_eta(config), log_ratio, advantage)
    np.testing.assert_array_equal(gradient(lpo(config), start, log_ratio, advantage), by_ppo)
    changing, rest = parts_of_a_difference(start, config)
    assert 0.5 < changing / rest < 2.0
    hidden = {**start, "time": jnp.zeros_like(start["time"])}
    changing, rest = parts_of_a_difference(hidden, config)
    assert changing / rest < 0.1


def test_a_warm_start_draws_time_columns_where_nobody_sees_them():
    blind = lpo(LPOConfig(start="hidden")).init(KEY)
    log_ratio, advantage = samples(9)
    trained = jax.device_put(random_eta(KEY, LPOConfig()))
    half = {**trained, "output": trained["output"].at[::2].set(0.0)}
    for eta, drawn in ((blind, 1.0), (half, 0.5), (trained, 0.0)):
        aware = lpo_with_time(eta, TA_LPO.time, KEY)
        assert (aware["time"] != 0).mean() == drawn
        for clock in (Clock.at(0, 30), NOW, Clock.at(30, 30)):
            found = gradient(lpo(TA_LPO), aware, log_ratio, advantage, clock)
            np.testing.assert_array_equal(found, gradient(lpo(), eta, log_ratio, advantage, clock))
    # Where the output is not zero, columns of zero are seen all the same.
    changing, rest = parts_of_a_difference(lpo_with_time(trained, TA_LPO.time), TA_LPO)
    assert changing / rest > 0.05
