"""Lives side by side, in groups, over devices and one by one are the same lives."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import tiny

from jaxrl_envs import make
from jaxrl_envs.vector import vectorize
from jaxrl_evolve import random
from jaxrl_evolve.learners.ppo import PPOConfig, PPOHyperparameters, ppo
from jaxrl_evolve.meta import lifetimes
from jaxrl_evolve.meta.evolution import member
from jaxrl_evolve.meta.lifetimes import PAIRS, FitnessConfig, live_pairs, make_lifetime
from jaxrl_evolve.networks.network import NetworkConfig
from jaxrl_evolve.objectives.lpg import LPGConfig, lpg
from jaxrl_evolve.runs.axes import device_mesh
from jaxrl_evolve.runs.chunk import Chunk, make_chunk
from jaxrl_evolve.training.experiment import traced

PAIR_COUNT = 6
HORIZONS = jnp.asarray([3, 1, 4, 1, 5, 2], jnp.int32)


@pytest.fixture(scope="module")
def parts() -> Any:
    env = make("Catch-bsuite")
    config = PPOConfig(epochs=1, minibatches=1, network=NetworkConfig(hidden=(4,)))
    learner = ppo(env, 4, 5, config, objective=lpg(LPGConfig(width=3, predictions=2, start="random")))
    chunk = make_chunk(learner, vectorize(env, 4), 5)
    lifetime = make_lifetime(env, learner, chunk, FitnessConfig(episodes=32, max_steps=12))
    mean = jax.jit(learner.init_objective)(random.key(1))
    keys = jax.random.split(random.key(2), (2, PAIR_COUNT))
    params = jax.tree.map(lambda x: jnp.stack([x] * PAIR_COUNT), env.params)
    return lifetime, mean, keys, traced(PPOHyperparameters(learning_rate=0.05)), params


@functools.cache
def compiled(lifetime: Any, lanes: int, mesh: Any) -> Any:
    return jax.jit(live_pairs(lifetime, lanes, mesh))


@functools.cache
def single(lifetime: Any) -> Any:
    return jax.jit(lifetime)


def lives(parts: Any, lanes: int, mesh: Any = None, horizons: Any = HORIZONS, sigma: float = 2.0) -> Any:
    lifetime, mean, keys, hp, params = parts
    live = compiled(lifetime, lanes, mesh)
    return live(mean, jnp.float32(sigma), keys[0], keys[1], hp, params, horizons)


def test_groups_and_single_lives_are_the_lives_of_all_side_by_side(parts: Any):
    lifetime, mean, keys, hp, params = parts
    together = lives(parts, 0)
    one = single(lifetime)

    @jax.jit
    def given(i: Any, sign: Any) -> Any:
        own = jax.tree.map(lambda x: x[i], params)
        return keys[1, i], member(mean, keys[0, i], 2.0, sign), hp, own, HORIZONS[i]

    alone = np.asarray([[one(*given(i, sign))[0] for sign in (1.0, -1.0)] for i in range(PAIR_COUNT)])
    # Fitness is a mean of a few whole numbers, so equal lives are equal to the bit.
    np.testing.assert_array_equal(together.fitness, alone)
    for lanes in (1, 4):
        grouped = lives(parts, lanes)
        np.testing.assert_array_equal(grouped.fitness, alone)
        np.testing.assert_allclose(grouped.metrics["entropy"], together.metrics["entropy"], rtol=1e-5)
    assert np.unique(alone).size > 3


def test_metrics_are_means_over_each_life_alone(parts: Any):
    """A life of one update reports that update, however long its neighbours live."""
    short = lives(parts, 0, horizons=jnp.ones((PAIR_COUNT,), jnp.int32))
    mixed = lives(parts, 0)
    for i in (1, 3):
        np.testing.assert_allclose(mixed.metrics["entropy"][i], short.metrics["entropy"][i], rtol=1e-6)
    assert np.all(np.asarray(mixed.metrics["episodes"])[4] > np.asarray(short.metrics["episodes"])[4])


def test_pairs_dealt_over_devices_live_the_same(parts: Any):
    if jax.device_count() < 2:
        pytest.skip("one device")
    sharded = lives(parts, 1, device_mesh(PAIRS, jax.devices()[:2]))
    np.testing.assert_array_equal(sharded.fitness, lives(parts, 1).fitness)


def test_members_of_a_pair_differ_in_nothing_but_the_objective(parts: Any):
    still = lives(parts, 1, sigma=0.0)
    np.testing.assert_array_equal(still.fitness[:, 0], still.fitness[:, 1])


def test_a_diverging_member_counts_as_not_finite(parts: Any):
    lifetime, mean, keys, hp, params = parts
    broken = {**mean, "policy_bias": jnp.full((1,), jnp.nan)}
    fitness, metrics = single(lifetime)(
        keys[1, 0], broken, hp, jax.tree.map(lambda x: x[0], params), HORIZONS[0]
    )
    assert np.isnan(fitness)
    assert np.isfinite(metrics["final_return"])


def test_step_sizes_are_drawn_per_life_and_shared_by_a_pair(parts: Any):
    """The factor of a life is that of its key, which both of a pair have."""
    env = make("Catch-bsuite")
    chunk = Chunk(lambda key, hp, params: hp.learning_rate, lambda *_: None, 20)

    def stretch(rate: Any, *_: Any) -> Any:
        return SimpleNamespace(diverged=jnp.int32(-1)), rate, rate, {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lifetimes, "make_stretch", lambda *_: stretch)
        live = make_lifetime(env, ppo(env, 4, 5), chunk, FitnessConfig(), 3.0)
        still = make_lifetime(env, ppo(env, 4, 5), chunk, FitnessConfig())
    one = jax.jit(lambda key: live(key, None, parts[3], (), jnp.int32(1))[0])
    seen = [float(one(key)) / 0.05 for key in jax.random.split(random.key(3), 64)]
    assert 1 / 3 <= min(seen) < 0.5 < 2.0 < max(seen) <= 3.0
    assert abs(np.log(seen).mean()) < 0.25 and len(set(seen)) == 64
    assert float(still(random.key(3), None, parts[3], (), jnp.int32(1))[0]) == np.float32(0.05)
    with pytest.raises(ValueError, match="step_size_spread is 2.0, which estimator 'pes' does not serve"):
        tiny(estimator="pes", step_size_spread=2.0)


def test_fitness_can_reward_the_way_there():
    env = make("Catch-bsuite")
    config = PPOConfig(epochs=1, minibatches=1, network=NetworkConfig(hidden=(4,)))
    learner = ppo(env, 4, 5, config, objective=lpg(LPGConfig(width=3, predictions=2)))
    chunk = make_chunk(learner, vectorize(env, 4), 5)
    outcomes = {}
    for average in (0.0, 0.25, 1.0):
        live = jax.jit(make_lifetime(env, learner, chunk, FitnessConfig(8, 12, average)))
        fitness, metrics = live(
            random.key(0),
            learner.init_objective(random.key(1)),
            traced(PPOHyperparameters()),
            env.params,
            jnp.int32(6),
        )
        outcomes[average] = float(fitness), float(metrics["final_return"]), float(metrics["episode_return"])
    final, along = outcomes[0.0][1:]
    assert final != along
    np.testing.assert_allclose(
        [outcomes[a][0] for a in outcomes], [final, 0.75 * final + 0.25 * along, along], rtol=1e-6
    )
    with pytest.raises(ValueError, match="fitness.average is 1.5; it must be a number between 0 and 1"):
        FitnessConfig(average=1.5)
