"""SAC: a step against NumPy, what ends and what is cut off, the temperature, the probes' values, its seats."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
from compiled import program
from same import assert_equal

import jaxrl_envs
from jaxrl_envs import Box
from jaxrl_envs.vector import vectorize
from jaxrl_evolve import RunAxis, TrainConfig, make_chunk, over_runs, ppo_clip, random
from jaxrl_evolve.experience.replay import draw
from jaxrl_evolve.learners.reference import Anchor, Reference
from jaxrl_evolve.learners.sac import sac
from jaxrl_evolve.learners.sac_config import SACConfig, SACHyperparameters
from jaxrl_evolve.learners.sac_step import Parts, batch_of, gradient_step, policy_loss
from jaxrl_evolve.training.config import EvaluationConfig
from jaxrl_evolve.training.experiment import traced
from jaxrl_evolve.training.train import train

TINY = SACConfig(capacity=64, batch=8, gradient_steps=2, warm_up=16, hidden=(8,))
GAMMA = 0.5


def parts_of(env: Any, config: SACConfig = TINY) -> Parts:
    update: Any = sac(env, 4, 4, config).update
    assert isinstance(update, partial)
    return update.args[0]


def lived(env: Any, config: SACConfig, hp: Any, params: Any, stops: tuple[int, ...]) -> list[Any]:
    """States of a run of 4 environments x 4 steps an update, after so many updates each."""
    chunk = make_chunk(sac(env, 4, 4, config, hp), vectorize(env, 4), 4)
    state, run, made, seen = jax.jit(chunk.init)(random.key(0), hp, params), jax.jit(chunk.run), 0, []
    for stop in stops:
        state, _ = run(state, hp, (), params, jnp.float32(10), jnp.int32(stop - made))
        made = stop
        seen.append(jax.device_get(state))
    return seen


@pytest.fixture(scope="module")
def cued():
    """A run on a probe whose every episode ends after two steps."""
    env = probes.probe_env(continuous=True)
    probe = replace(probes.PROBES["cue and action"], length=2.0, constant=3.0)
    params = jax.tree.map(np.float32, probe)
    return env, lived(env, TINY, traced(SACHyperparameters()), params, (3,))[0]


def dense(tree: Any, tower: int, x: np.ndarray) -> np.ndarray:
    """A hidden layer with relu, then the last one, of one tower."""
    p = tree["params"]
    layer = lambda i, x: (
        x @ np.float64(p[f"TowerDense_{i}"]["kernel"][tower]) + p[f"TowerDense_{i}"]["bias"][tower]
    )
    return layer(1, np.maximum(layer(0, x), 0.0))


@pytest.mark.core
def test_a_step_is_that_of_numpy(cued: Any):
    env, state = cued
    parts, hp = parts_of(env), traced(SACHyperparameters(gamma=GAMMA, reward_scale=2.0, target_rate=0.25))
    old, key = state.learner, random.key(7)
    new, metrics = program(lambda *x: gradient_step(parts, *x, hp, jnp.float32(1)))(old, key, state.store)

    @program
    def drawn(key: Any, store: Any) -> Any:
        """What the step drew: the batch, and the noise of the actions after it and in it."""
        key_batch, key_policy = jax.random.split(key)
        key_draw, key_next = jax.random.split(key_batch)
        noise = (jax.random.normal(key, (8, 1)) for key in (key_next, key_policy))
        return draw(parts.layout, key_draw, store, 8).window, *noise

    window, noise_next, noise_policy = drawn(key, state.store)
    obs, after = np.float64(window.frames[:, 0]), np.float64(window.frames[:, 1])

    def acted(noise: Any, obs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        out = dense(old.policy, 0, obs)
        mean, spread = out[:, :1], out[:, 1:]
        std = np.exp(-5.0 + 3.5 * (np.tanh(spread) + 1.0))
        noise = np.float64(noise)
        action = np.tanh(mean + std * noise)
        density = -0.5 * noise**2 - np.log(std) - 0.5 * np.log(2 * np.pi) - np.log1p(-(action**2))
        return action, density[:, 0]

    both = lambda tree, obs, action: np.stack(
        [dense(tree, i, np.concatenate([obs, action], 1))[:, 0] for i in (0, 1)]
    )
    action, density = acted(noise_next, after)
    soft = both(old.target, after, action).min(0) - np.exp(old.log_temperature[0]) * density
    target = 2.0 * np.float64(window.reward[:, 0]) + GAMMA * np.where(window.terminated[:, 0], 0.0, soft)
    assert 0 < window.terminated.sum() < 8
    error = both(old.critics, obs, np.float64(window.action[:, 0])) - target
    np.testing.assert_allclose(metrics["loss"], 0.5 * (error**2).sum() / 8, rtol=1e-5)
    np.testing.assert_allclose(metrics["td_error"], abs(error).mean(), rtol=1e-5)
    action, density = acted(noise_policy, obs)
    value = both(new.critics, obs, action).min(0)
    np.testing.assert_allclose(metrics["entropy"], -density.mean(), rtol=1e-5)
    cost = (np.exp(old.log_temperature[0]) * density - value).mean()
    np.testing.assert_allclose(metrics["policy_loss"], cost, rtol=1e-4, atol=1e-6)
    followed = jax.tree.map(lambda t, c: t + 0.25 * (c - t), old.target, new.critics)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6), new.target, followed)


def test_what_the_distance_from_a_reference_costs(cued: Any):
    """Of today's policy, exactly: in the values of what comes after, unless that is an end, and in the policy's loss."""
    env, state = cued
    plain, hp, key = parts_of(env), traced(SACHyperparameters(gamma=GAMMA)), random.key(7)
    weight = 0.3
    held = plain._replace(anchor=Anchor("first", 1, lambda hp: weight, lambda hp: 0.0))
    other = jax.tree.map(lambda x: 1.5 * x + 0.1, state.learner.policy)
    old = replace(state.learner, reference=Reference.of(other))

    @program
    def both(old: Any, store: Any, key: Any) -> Any:
        """The batch, the policy's loss and its distance, without and with the reference."""
        out = []
        for parts in (plain, held):
            batch = batch_of(parts, old, key, store, hp)
            cost = policy_loss(parts, old.policy, old, jnp.float32(0.2), batch.obs, key, hp)
            out.append((batch, cost[0], cost[1][1]))
        drawn = draw(plain.layout, jax.random.split(key)[0], store, 8).window
        return out[0], out[1], drawn

    (batch, cost, none), (with_target, with_cost, apart), window = both(old, state.store, key)

    def kl(obs: np.ndarray) -> np.ndarray:
        (m, s), (n, r) = (
            (x[:, 0], np.exp(-5 + 3.5 * (np.tanh(x[:, 1]) + 1)))
            for x in (dense(p, 0, obs) for p in (old.policy, other))
        )
        return np.log(r / s) + (s**2 + (m - n) ** 2) / (2 * r**2) - 0.5

    after, ended = kl(np.float64(window.frames[:, 1])), np.asarray(window.terminated[:, 0])
    assert 0 < ended.sum() < 8 and after.min() > 0.01
    np.testing.assert_allclose(
        batch.target - with_target.target, np.where(ended, 0.0, GAMMA * weight * after), rtol=1e-4, atol=1e-6
    )
    mean = kl(np.float64(batch.obs)).mean()
    np.testing.assert_allclose(apart, mean, rtol=1e-5)
    np.testing.assert_allclose(with_cost - cost, weight * mean, rtol=1e-4)
    assert float(none) == 0.0


def test_the_temperature_falls_where_the_entropy_is_high_and_rises_where_it_is_low(cued: Any):
    """Adam's first step is the learning rate, whatever the gradient."""
    env, state = cued
    parts = parts_of(env)
    fresh = program(sac(env, 4, 4, TINY).init)(random.key(1), traced(SACHyperparameters()))
    step = program(lambda hp, *given: gradient_step(parts, *given, hp, jnp.float32(1))[0])
    for wanted, sign in ((-10.0, -1.0), (10.0, 1.0)):
        hp = traced(SACHyperparameters(target_entropy=wanted, temperature_learning_rate=0.01))
        after = step(hp, fresh, random.key(2), state.store)
        np.testing.assert_allclose(after.log_temperature - fresh.log_temperature, sign * 0.01, rtol=1e-4)


def test_what_follows_an_end_may_be_no_number(cued: Any):
    env, state = cued
    parts, hp = parts_of(env), traced(SACHyperparameters())
    store = state.store
    ended = np.asarray(store.ending) < 0
    # What the buffer holds after an end is the start of the next episode.
    after_end = np.roll(ended, 1, 0)
    broken = replace(store, frame=np.where(after_end[..., None], np.float32(np.nan), store.frame))
    batch = program(partial(batch_of, parts))(state.learner, random.key(3), broken, hp)
    starts_well = np.isfinite(np.asarray(batch.obs)).all(-1)
    assert np.isfinite(np.asarray(batch.target)[starts_well]).all()
    assert (~starts_well).any() and starts_well.any()


@pytest.mark.core
def test_it_learns_the_optimal_values_and_actions_of_every_probe():
    """The time limit probe among them. With hardly any temperature, soft values are values."""
    env = probes.probe_env(continuous=True)
    config = SACConfig(capacity=4_096, batch=64, gradient_steps=8, warm_up=512, hidden=(32, 32))
    rates = {"learning_rate": 3e-3, "critic_learning_rate": 3e-3, "temperature_learning_rate": 0.0}
    hp = traced(
        SACHyperparameters(gamma=GAMMA, temperature=0.01, target_rate=0.05, learning_rate_end=0.1, **rates)
    )
    learner, count, updates = sac(env, 16, 4, config, hp), len(probes.NAMES), 250
    chunk = over_runs(make_chunk(learner, vectorize(env, 16), 4), [RunAxis("probe", count, env_params=True)])
    params = probes.stacked()
    state = jax.jit(chunk.init)(jax.jit(jax.random.split, static_argnums=1)(random.key(1), count), hp, params)
    # Not optimised at all, as the tests' programs are, XLA (0.11; 0.10 with other flags) makes numbers of this that are none.
    run = jax.jit(chunk.run, donate_argnums=0, compiler_options={"xla_backend_optimization_level": 1})
    state, _ = run(state, hp, (), params, jnp.float32(updates), jnp.int32(updates))
    assert (np.asarray(state.diverged) == -1).all()
    parts = parts_of(env, config)
    flat = probes.observations().reshape(count, -1, 2)

    def best(learned: Any, obs: Any) -> tuple[Any, Any]:
        action = parts.acting(learned.policy, obs).mode()
        return action[:, 0], parts.values(learned.critics, obs, action).min(0)

    action, value = (
        x.reshape(count, probes.LONGEST, 2) for x in program(jax.vmap(best))(state.learner, flat)
    )
    for i, name in enumerate(probes.NAMES):
        probe = probes.PROBES[name]
        length = int(probe.length)
        if name == "memory":
            continue  # it has none
        if probe.action or probe.match:
            wanted = 0.5 * (probe.action + probe.match * probes.CUES)
            np.testing.assert_allclose(action[i, length - 1], wanted, atol=0.1, err_msg=name)
        expected = probes.optimal_values(name, GAMMA, solved=0.0)
        np.testing.assert_allclose(value[i, :length], expected, atol=0.12, err_msg=name)


def test_actions_fill_their_bounds_and_their_densities_are_those_of_the_stretched():
    low, high = (-2.0, 0.0), (2.0, 0.5)
    env = replace(probes.probe_env(continuous=True), action_space=Box(low, high, (2,)))
    learner, hp = sac(env, 4, 4, TINY), traced(SACHyperparameters())
    state, obs = program(learner.init)(random.key(0), hp), jax.device_put(np.ones((512, 2), np.float32))
    first = jax.device_put(np.ones((512,), bool))
    act = program(
        lambda state, mode: learner.act(learner.actor(state), obs, first, (), random.key(1), mode), "mode"
    )
    uniform, _, said = act(state, "explore")
    assert uniform.shape == (512, 2)
    assert (uniform >= np.float32(low)).all() and (uniform <= np.float32(high)).all()
    np.testing.assert_allclose(uniform.mean(0), [0.0, 0.25], atol=0.2)
    np.testing.assert_allclose(uniform.std(0), [4 / 12**0.5, 0.5 / 12**0.5], rtol=0.1)
    np.testing.assert_allclose(said.log_prob, -np.log(4 * 0.5), rtol=1e-5)
    action, _, said = act(state, "sample")

    @program
    def density(policy: Any, action: Any) -> Any:
        return replace(parts_of(env).acting(policy, obs), low=low, high=high).log_prob(action)

    np.testing.assert_allclose(said.log_prob, density(state.policy, action), rtol=1e-3, atol=1e-3)
    explored = act(replace(state, uniform=np.float32(0)), "explore")[0]
    np.testing.assert_array_equal(explored, action)
    greedy = act(state, "greedy")[0]
    assert np.unique(greedy, axis=0).shape == (1, 2)


def test_the_warm_up_ends_with_its_steps_and_learning_begins():
    env = probes.probe_env(continuous=True)
    config, hp = replace(TINY, warm_up=32, normalise_observations=True), traced(SACHyperparameters())
    states = lived(env, config, hp, env.params, (1, 2, 3))
    for updates, steps, uniform in ((1, 0, 1.0), (2, 2, 0.0), (3, 4, 0.0)):
        state = states[updates - 1]
        assert (int(state.learner.steps), float(state.learner.uniform)) == (steps, uniform)
        assert float(state.learner.observations.count) == 16 * updates


def test_runs_side_by_side_with_hyperparameters_of_their_own_are_the_runs_alone():
    env = probes.probe_env(continuous=True)
    learner = sac(env, 4, 4, TINY)
    hps = [traced(SACHyperparameters(gamma=g, temperature=g, reward_scale=g)) for g in (0.3, 0.9)]
    chunk = make_chunk(learner, vectorize(env, 4), 4)
    many = over_runs(chunk, [RunAxis("seed", 2, hp=True)])
    # Two updates that learn: later a unit whose input is zero but for rounding may be on in one of both, on some processors.
    keys, length = jax.jit(jax.random.split)(random.key(5)), (jnp.float32(5), jnp.int32(3))

    def go(chunk: Any, key: Any, hp: Any) -> Any:
        state = jax.jit(chunk.init)(key, hp, env.params)
        state, metrics = jax.jit(chunk.run)(state, hp, (), env.params, *length)
        return jax.device_get((state.learner, metrics))

    together, metrics = go(many, keys, jax.tree.map(lambda *x: np.stack(x), *hps))
    for i in range(2):
        alone, own = go(chunk, keys[i], hps[i])
        close = lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-3, atol=1e-5)
        jax.tree.map(close, together, alone)
        jax.tree.map(close, metrics, own)


def test_a_resumed_run_is_the_run_that_went_on(tmp_path: Any):
    config = TrainConfig.preset(
        "sac",
        "Pendulum-v1",
        steps=256,
        num_envs=4,
        rollout_length=4,
        learner=dataclasses.asdict(replace(TINY, capacity=128)),
        rows=4,
        checkpoints=4,
        keep=4,
        evaluation=EvaluationConfig(times=1, episodes=2, final_episodes=2, max_steps=10),
    )
    whole = train(config, tmp_path / "run")
    # The buffer was half full, then exactly full, then written over.
    again = train(config, tmp_path / "run", resume=True, step=4)
    assert_equal(again.states, whole.states)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch": 65}, r"capacity is 64; it must be at least batch \(65\)"),
        ({"hidden": ()}, "hidden is"),
        ({"gradient_steps": 0}, "gradient_steps is 0; it must be a whole number of at least 1"),
    ],
)
def test_what_does_not_fit_is_refused(changes: Any, message: str):
    with pytest.raises(ValueError, match=message):
        sac(probes.probe_env(continuous=True), 4, 4, replace(TINY, **changes))


def test_actions_without_bounds_and_objectives_are_refused():
    env = probes.probe_env(continuous=True)
    for space in (probes.probe_env().action_space, Box(-float("inf"), 1.0, (1,)), Box(1.0, 1.0, (1,))):
        with pytest.raises(ValueError, match="SAC takes actions between finite bounds only"):
            sac(replace(env, action_space=space), 4, 4, TINY)
    with pytest.raises(ValueError, match="objective is 'ppo-clip'; SAC has losses of its own"):
        sac(env, 4, 4, TINY, objective=ppo_clip())
    with pytest.raises(ValueError, match="hp.gamma is 1.5"):
        sac(env, 4, 4, TINY, SACHyperparameters(gamma=1.5))


@pytest.mark.slow
def test_it_solves_pendulum():
    """Published agents of this size reach -150 to -200 within 20,000 steps."""
    result = train(TrainConfig.preset("sac", "Pendulum-v1", steps=20_000, seeds=2))
    assert min(result.eval_return) > -250
    assert jaxrl_envs.make("Pendulum-v1").action_space.bounded
