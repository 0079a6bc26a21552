"""Learners end to end on probe environments, and the identities that a PPO update must keep."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest

from jaxrl_envs.vector import vectorize
from jaxrl_evolve.algorithms.table import find_algorithm
from jaxrl_evolve.clock import Clock
from jaxrl_evolve.experience.normalisation import RunningMoments
from jaxrl_evolve.learners.ppo import PPOConfig, PPOHyperparameters, ppo
from jaxrl_evolve.networks.network import NetworkConfig
from jaxrl_evolve.networks.table import make_network
from jaxrl_evolve.objectives import Objective
from jaxrl_evolve.objectives.objective import no_parameters
from jaxrl_evolve.runs.axes import RunAxis, over_runs
from jaxrl_evolve.runs.check import check_learner
from jaxrl_evolve.runs.chunk import make_chunk
from jaxrl_evolve.runs.rollout import rollout
from jaxrl_evolve.training.experiment import traced

GAMMA = 0.5
ENVS, LENGTH = 16, 8


@dataclasses.dataclass(frozen=True)
class Variant:
    algorithm: str
    memory: bool = False
    shared: bool = False
    normalise: bool = False
    policy: str = "discrete"

    def __str__(self) -> str:
        parts = (
            self.algorithm,
            "gru" if self.memory else "mlp",
            "shared" if self.shared else "separate",
            "normalised" if self.normalise else "",
            self.policy,
        )
        return " ".join(filter(None, parts))


# Covers every pair of settings that could interact.
VARIANTS = (
    Variant("ppo"),
    Variant("ppo", shared=True, normalise=True),
    Variant("ppo", memory=True),
    Variant("ppo", memory=True, shared=True, normalise=True),
    Variant("a2c", shared=True),
    Variant("a2c", memory=True, normalise=True),
    Variant("ppo", normalise=True, policy="normal"),
    Variant("ppo", shared=True, policy="tanh_normal"),
    Variant("ppo", memory=True, shared=True, policy="normal"),
    Variant("a2c", policy="tanh_normal"),
)


def learned(variant: Variant) -> tuple[Any, Any]:
    """Distributions and values, in units of reward, of every probe: ``[7, LONGEST, 2 cues]``."""
    ppo_like = variant.algorithm == "ppo"
    env = probes.probe_env(variant.policy != "discrete")
    network_config = NetworkConfig(
        hidden=(32,),
        shared=variant.shared,
        memory="gru" if variant.memory else "none",
        memory_size=16,
        distribution="tanh_normal" if variant.policy == "tanh_normal" else "normal",
    )
    config = PPOConfig(
        epochs=4 if ppo_like else 1,
        minibatches=2 if ppo_like else 1,
        normalise_observations=variant.normalise,
        normalise_returns=variant.normalise,
        normalise_advantage=ppo_like,
        clip_value=ppo_like,
        network=network_config,
    )
    hp = traced(
        PPOHyperparameters(
            learning_rate=1e-2 if ppo_like else 2e-2,
            gamma=GAMMA,
            entropy_coef=0.01 if variant.policy == "discrete" else 0.0,
        )
    )
    learner = find_algorithm(variant.algorithm).make(env, ENVS, LENGTH, config, hp, None)
    updates = 150 if ppo_like else 300
    count = len(probes.NAMES)
    chunk = over_runs(
        make_chunk(learner, vectorize(env, ENVS), LENGTH), [RunAxis("probe", count, env_params=True)]
    )
    params = probes.stacked()
    state = jax.jit(chunk.init)(jax.random.split(jax.random.key(1), count), hp, params)
    run = jax.jit(chunk.run, donate_argnums=0)
    state, _ = run(state, hp, (), params, jnp.float32(updates), jnp.int32(updates))
    assert (np.asarray(state.diverged) == -1).all()

    network = make_network(network_config, env.observation_space, env.action_space)

    @jax.jit
    @jax.vmap
    def judge(learner_state: Any, obs: Any) -> Any:
        if variant.normalise:
            obs = learner_state.observations.normalise(obs)
        first = jnp.arange(probes.LONGEST)[:, None] * jnp.ones(2, int) == 0
        distribution, value, _ = network.unroll(learner_state.params, obs, first, network.initial_memory(2))
        if variant.normalise:
            value = value * jnp.sqrt(learner_state.returns.moments.variance + 1e-8)
        return distribution.mode(), value

    return jax.device_get(judge(state.learner, probes.observations()))


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.core("a2c mlp shared discrete", "ppo gru shared normal", "ppo mlp separate discrete")
def test_learns_the_optimal_values_and_actions_of_every_probe(variant: Variant):
    actions, values = learned(variant)
    discrete = variant.policy == "discrete"
    for i, name in enumerate(probes.NAMES):
        probe = probes.PROBES[name]
        length = int(probe.length)
        if name == "memory" and not variant.memory:
            # Both cues look alike when it counts, so nothing beats guessing.
            assert abs(values[i, length - 1]).max() < (0.4 if discrete else 0.8), name
            continue
        wanted = probe.action + probe.match * probes.CUES
        if wanted.any():
            best = (wanted > 0) if discrete else 0.5 * wanted
            taken = actions[i, length - 1].reshape(2)
            np.testing.assert_allclose(taken, best, atol=0.0 if discrete else 0.15, err_msg=name)
        # Constant returns have no scale to normalise by: their rewards are clipped instead.
        if not (variant.normalise and name in ("constant", "action", "cue and action", "memory")):
            expected = probes.optimal_values(name, GAMMA, solved=1.0 if discrete else 0.0)
            np.testing.assert_allclose(values[i, :length], expected, atol=0.15, err_msg=name)


def test_the_time_limit_probe_tells_bootstrapping_from_its_absence():
    np.testing.assert_allclose(probes.optimal_values("time limit", GAMMA)[:, 0], [1.0, 2.0])
    np.testing.assert_allclose(probes.optimal_values("two steps", GAMMA)[:, 0], [0.5, 1.0])


# --- identities of the first minibatch and of recurrent replay ---


def _reporting_ratio() -> Objective:
    """An objective whose metrics are how far the stored log-probabilities and values are off."""

    def loss(eta: Any, batch: Any, outputs: Any, clock: Clock) -> Any:
        old = batch.trajectory.policy
        off = jnp.abs(outputs.log_prob - old.log_prob).max()
        return outputs.value.mean(), {"off": off, "value_off": jnp.abs(outputs.value - old.value).max()}

    return Objective(no_parameters, loss, "reporting")


@pytest.mark.parametrize(
    ("memory", "normalise", "distribution"),
    [
        ("none", False, "tanh_normal"),
        ("none", True, "normal"),
        ("gru", True, "normal"),
        ("gru", False, "discrete"),
    ],
)
def test_the_first_ratio_is_one_in_every_rollout(memory: Any, normalise: bool, distribution: str):
    # Episodes last 1 to 3 steps and rollouts 8, so they start within rollouts and run over their ends.
    discrete = distribution == "discrete"
    env = probes.probe_env(not discrete)
    network = NetworkConfig(
        hidden=(16,), memory=memory, memory_size=8, distribution="normal" if discrete else distribution
    )
    config = PPOConfig(
        epochs=1,
        minibatches=2,
        normalise_observations=normalise,
        normalise_returns=normalise,
        network=network,
    )
    learner = ppo(env, 4, 8, config, traced(PPOHyperparameters(learning_rate=0.0)), _reporting_ratio())
    chunk = make_chunk(learner, vectorize(env, 4), 8)
    params = jax.tree.map(jnp.float32, dataclasses.replace(probes.PROBES["memory"], constant=1.0))
    init, run = jax.jit(chunk.init), jax.jit(chunk.run)
    state = init(jax.random.key(3), learner.default_hp, params)
    # Larger weights, so that the policy says something.
    state = state.replace(
        learner=state.learner.replace(params=jax.tree.map(lambda x: 3 * x, state.learner.params))
    )
    if normalise:
        moments = state.learner.observations
        odd = moments.replace(mean=moments.mean + 0.3, variance=0.5 * moments.variance)
        state = state.replace(learner=state.learner.replace(observations=odd))
    for _ in range(3):
        state, metrics = run(state, learner.default_hp, (), params, jnp.float32(3), jnp.int32(1))
        assert float(metrics["off"]) < 2e-6
        assert float(metrics["value_off"]) < 2e-6


def test_statistics_do_not_move_between_acting_and_the_first_minibatch():
    env = probes.probe_env()
    config = PPOConfig(
        epochs=1, minibatches=1, normalise_observations=True, network=NetworkConfig(hidden=(8,))
    )
    learner = ppo(env, 4, 8, config, traced(PPOHyperparameters(learning_rate=0.0)))
    params = jax.tree.map(jnp.float32, probes.PROBES["two steps"])
    venv = vectorize(env, 4)

    @jax.jit
    def once(key: jax.Array) -> Any:
        keys = jax.random.split(key, 4)
        state = learner.init(keys[0], learner.default_hp)
        # Far from what will be seen, so that normalised and raw observations differ; as if seen 8 times.
        odd = RunningMoments(jnp.float32(8.0), jnp.float32([5.0, -2.0]), jnp.float32([4.0, 0.25]))
        state = state.replace(observations=odd)
        envs = venv.reset(keys[1], params)
        trajectory = rollout(keys[2], learner, state, venv, envs, (), params, 8)[2]
        after, _ = learner.update(keys[3], state, trajectory, learner.default_hp, (), Clock.at(0.0, 1.0))
        return state, trajectory, after

    state, trajectory, after = once(jax.random.key(0))
    obs = np.asarray(trajectory.obs).reshape(-1, 2)
    # 32 raw observations on top of the 8.
    expected = (8 * np.asarray(state.observations.mean) + obs.sum(0)) / 40
    np.testing.assert_allclose(after.observations.mean, expected, rtol=1e-5, atol=1e-6)
    # Raw observations are what is stored.
    assert set(np.unique(obs)) == {0.0, 1.0}


@pytest.mark.parametrize("shared", [False, True])
def test_unrolling_a_trajectory_is_acting_step_by_step(shared: bool):
    env = probes.scripted_env()
    config = NetworkConfig(hidden=(16, 8), memory="gru", memory_size=8, shared=shared)
    network = make_network(config, env.observation_space, env.action_space)
    params = jax.tree.map(lambda x: 2 * x, network.init(jax.random.key(0)))
    length, num = 12, 5
    rng = np.random.default_rng(0)
    obs = jnp.asarray(rng.normal(size=(length, num, 2)), jnp.float32)
    first = jnp.asarray(rng.random((length, num)) < 0.3)
    both, policy, unroll = (jax.jit(f) for f in (network.policy_and_value, network.policy, network.unroll))
    values_of = jax.jit(network.value)
    memory = start = jnp.asarray(rng.normal(size=(num, 1 if shared else 2, 8)), jnp.float32)
    logits, values, memories = [], [], []
    for t in range(length):
        distribution, value, after = both(params, obs[t], first[t], memory)
        only_policy, same = policy(network.actor(params), obs[t], first[t], memory)
        np.testing.assert_allclose(only_policy.logits, distribution.logits, atol=1e-6)
        np.testing.assert_allclose(same, after, atol=1e-6)
        logits.append(distribution.logits)
        values.append(value)
        # Values of single observations, with the memory as it was, cleared where an episode starts.
        cleared = np.where(first[t][:, None, None], 0.0, memory)
        alone = values_of(params, obs[t][None], jnp.asarray(cleared, jnp.float32)[None])[0]
        np.testing.assert_allclose(alone, value, atol=1e-6)
        memories.append(memory)
        memory = after
    distribution, value, _ = unroll(params, obs, first, start)
    np.testing.assert_allclose(distribution.logits, np.stack(logits), atol=2e-6)
    np.testing.assert_allclose(value, np.stack(values), atol=2e-6)
    # What came before an episode's start makes no difference to it.
    fresh = first.at[4].set(True)
    before = unroll(params, obs, fresh, start)[1]
    after = unroll(params, obs.at[:4].add(1.0), fresh, start)[1]
    np.testing.assert_array_equal(before[4:], after[4:])
    assert np.abs(np.asarray(before[:4]) - np.asarray(after[:4])).max() > 0.01


# --- axes of runs ---


def _small_chunk() -> Any:
    env = probes.probe_env()
    config = PPOConfig(epochs=2, minibatches=2, normalise_returns=True, network=NetworkConfig(hidden=(8,)))
    learner = ppo(env, 4, 4, config, traced(PPOHyperparameters(gamma=GAMMA, learning_rate=1e-2)))
    return learner, make_chunk(learner, vectorize(env, 4), 4)


def _finish(chunk: Any, state: Any, hp: Any, params: Any) -> Any:
    run = jax.jit(chunk.run)
    return run(state, hp, (), params, jnp.float32(6), jnp.int32(6))


def _plain(tree: Any) -> Any:
    is_key = lambda x: jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
    return jax.tree.map(lambda x: np.asarray(jax.random.key_data(x) if is_key(x) else x), tree)


def test_nested_axes_are_nested_loops():
    learner, chunk = _small_chunk()
    rates, seeds, names = (1e-2, 3e-3), 3, ("two steps", "cue and action")
    hp = jax.vmap(lambda rate: learner.default_hp.replace(learning_rate=rate))(
        jnp.asarray(rates, jnp.float32)
    )
    pick = [probes.NAMES.index(name) for name in names]
    params = jax.tree.map(lambda x: x[jnp.asarray(pick)], probes.stacked())
    keys = jax.random.split(jax.random.key(5), (2, seeds, 2))
    axes = [RunAxis("rate", 2, hp=True), RunAxis("seed", seeds), RunAxis("probe", 2, env_params=True)]
    nested = over_runs(chunk, axes)
    state = jax.jit(nested.init)(keys, hp, params)
    state, metrics = _finish(nested, state, hp, params)
    assert metrics["loss"].shape == (2, seeds, 2)
    alone_init, alone_run = jax.jit(chunk.init), jax.jit(chunk.run)
    for place in np.ndindex(2, seeds, 2):
        own_hp = jax.tree.map(lambda x, i=place[0]: x if x.ndim == 0 else x[i], hp)
        own_params = jax.tree.map(lambda x, i=place[2]: x[i], params)
        alone = alone_init(keys[place], own_hp, own_params)
        alone, own_metrics = alone_run(alone, own_hp, (), own_params, jnp.float32(6), jnp.int32(6))
        mine = jax.tree.map(lambda x, i=place: x[i], _plain(state))
        jax.tree.map(partial(np.testing.assert_allclose, rtol=2e-4, atol=2e-5), mine, _plain(alone))
        for name, value in own_metrics.items():
            np.testing.assert_allclose(metrics[name][place], value, rtol=2e-3, atol=2e-5, err_msg=name)


def test_chunks_of_any_size_make_the_same_run():
    learner, chunk = _small_chunk()
    params = jax.tree.map(jnp.float32, probes.PROBES["cue and action"])
    init, run = jax.jit(chunk.init), jax.jit(chunk.run)
    whole = init(jax.random.key(0), learner.default_hp, params)
    parts = whole
    whole, _ = run(whole, learner.default_hp, (), params, jnp.float32(6), jnp.int32(6))
    for updates in (1, 3, 2):
        parts, _ = run(parts, learner.default_hp, (), params, jnp.float32(6), jnp.int32(updates))
    jax.tree.map(np.testing.assert_array_equal, _plain(whole), _plain(parts))
    assert run._cache_size() == 1


def test_a_run_whose_loss_is_not_finite_keeps_its_last_good_learner():
    learner, chunk = _small_chunk()
    good = jax.tree.map(jnp.float32, probes.PROBES["constant"])
    bad = good.replace(constant=jnp.float32(np.nan))
    init, run = jax.jit(chunk.init), jax.jit(chunk.run)
    state = init(jax.random.key(0), learner.default_hp, good)
    state, _ = run(state, learner.default_hp, (), good, jnp.float32(9), jnp.int32(2))
    after, _ = run(state, learner.default_hp, (), bad, jnp.float32(9), jnp.int32(3))
    assert int(after.diverged) == 2
    assert int(after.updates) == 5
    jax.tree.map(np.testing.assert_array_equal, _plain(after.learner), _plain(state.learner))
    # It stays stopped, and says so from when.
    after, _ = run(after, learner.default_hp, (), good, jnp.float32(9), jnp.int32(1))
    assert int(after.diverged) == 2
    jax.tree.map(np.testing.assert_array_equal, _plain(after.learner), _plain(state.learner))


def test_the_learning_rate_follows_the_clock():
    learner, chunk = _small_chunk()
    hp = learner.default_hp.replace(learning_rate=jnp.float32(0.1), learning_rate_end=jnp.float32(0.5))
    params = jax.tree.map(jnp.float32, probes.PROBES["constant"])
    run = jax.jit(chunk.run)
    state = jax.jit(chunk.init)(jax.random.key(0), hp, params)
    for update in range(4):
        state, metrics = run(state, hp, (), params, jnp.float32(4), jnp.int32(1))
        assert float(metrics["learning_rate"]) == pytest.approx(0.1 * (1 - 0.5 * update / 4), rel=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"minibatches": 3}, "minibatches is 3; it must divide"),
        ({"epochs": 0}, "epochs is 0"),
        ({"shuffle": "blocks", "network": NetworkConfig(memory="gru")}, "needs whole sequences"),
    ],
)
def test_impossible_settings_are_refused_by_name(settings: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        ppo(probes.probe_env(), 4, 8, PPOConfig(**settings))


def test_a2c_refuses_more_than_one_pass():
    with pytest.raises(ValueError, match="epochs is 4"):
        find_algorithm("a2c").make(probes.probe_env(), 4, 8, PPOConfig(), PPOHyperparameters(), None)


def test_an_objective_without_metrics_says_so():
    alone: Any = Objective(no_parameters, lambda eta, batch, outputs, clock: outputs.entropy.mean(), "alone")
    env = probes.probe_env()
    with pytest.raises(
        ValueError, match=r"^objective 'alone': loss gives float32\[\]; it must be the pair \(loss"
    ):
        check_learner(ppo(env, 4, 4, objective=alone), env, 4, 4)
