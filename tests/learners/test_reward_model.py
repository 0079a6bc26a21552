"""Reward models: losses and rewards against NumPy, what is asked and when, and what is learned from it."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import walk

from jaxrl_envs import Box, Env, EnvStep, time_limit
from jaxrl_envs.vector import vectorize
from jaxrl_evolve import make_chunk, random
from jaxrl_evolve.clock import Clock
from jaxrl_evolve.experience.relabelling import Relabelled
from jaxrl_evolve.experience.replay import draw
from jaxrl_evolve.learners.ppo_config import PPOHyperparameters
from jaxrl_evolve.learners.reward_model import pebble, reward_model
from jaxrl_evolve.learners.reward_model_config import PebbleConfig, RewardModelPPOConfig
from jaxrl_evolve.learners.reward_sessions import Sessions
from jaxrl_evolve.learners.sac_config import SACHyperparameters
from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.preferences.reward_model import Pairs, RewardModel
from jaxrl_evolve.training.experiment import traced

MODEL = {
    "segment": 5,
    "queries": 60,
    "sessions": 3,
    "candidates": 4,
    "model_hidden": (16,),
    "model_steps": 60,
    "model_learning_rate": 1e-2,
}
SMALL = RewardModelPPOConfig(
    minibatches=1, network=NetworkConfig(hidden=(8,)), model_batch=32, check_oracle=False, **MODEL
)
TINY = PebbleConfig(
    capacity=4096,
    batch=32,
    gradient_steps=8,
    warm_up=32,
    hidden=(16,),
    model_batch=32,
    check_oracle=False,
    **MODEL,
)
UPDATES, ENVS = 30, 8


@pytest.fixture(scope="module")
def walked() -> Any:
    """A run of PPO with a reward model on walks whose rewards are the places arrived at; one in ten episodes is spoiled."""
    env = walk.make(nan_rate=0.1)
    hp = traced(PPOHyperparameters(learning_rate=3e-2, learning_rate_end=1.0, entropy_coef=0.0))
    learner = reward_model(env, ENVS, walk.LENGTH, SMALL)
    chunk = make_chunk(learner, vectorize(env, ENVS), walk.LENGTH)
    state, run, rows = jax.jit(chunk.init)(random.key(0), hp, env.params), jax.jit(chunk.run), []
    for _ in range(3):
        state, row = run(state, hp, (), env.params, jnp.float32(UPDATES), jnp.int32(UPDATES // 3))
        rows.append(row)
    return learner, state, rows


def sessions_of(learner: Any) -> Sessions:
    update: Any = learner.update
    assert isinstance(update, partial)
    return update.args[0].sessions


def by_hand(params: Any, x: np.ndarray) -> np.ndarray:
    """Rewards ``[M, ...]`` of an ensemble with one hidden layer."""
    (first, offset), (last, shift) = [[np.float64(leaf) for leaf in layer] for layer in params]
    hidden = [np.tanh(x @ w + b) for w, b in zip(first, offset, strict=True)]
    return np.stack([(h @ w + b)[..., 0] for h, w, b in zip(hidden, last, shift, strict=True)])


def test_losses_and_disagreement_are_those_of_numpy():
    model, rng = RewardModel(3, (4,), 2), np.random.default_rng(0)
    x, alive = rng.normal(size=(6, 2, 5, 3)).astype(np.float32), rng.random((6, 2, 5)) < 0.7
    label = np.asarray([1, 0, 0.5, 1, 0.25, 0], np.float32)
    params, pairs = model.init(random.key(0)), Pairs(jnp.asarray(x), jnp.asarray(alive), jnp.asarray(label))
    score = (by_hand(params, np.float64(x)) * alive).sum(-1)
    prob = 1 / (1 + np.exp(score[..., 1] - score[..., 0]))
    losses = -label * np.log(prob) - (1 - label) * np.log(1 - prob)
    np.testing.assert_allclose(model.losses(params, pairs), losses, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.disagreement(params, pairs), prob.std(0), rtol=1e-4, atol=1e-6)


def test_of_many_pairs_some_go_by_at_a_time(monkeypatch: pytest.MonkeyPatch):
    """The same numbers whatever the block, also where the last is not full; what lies between layers is then that of a block."""
    model, rng = RewardModel(3, (64,), 2), np.random.default_rng(0)
    x, alive = (
        jnp.asarray(rng.normal(size=(50, 2, 5, 3)), jnp.float32),
        jnp.asarray(rng.random((50, 2, 5)) < 0.7),
    )
    params, pairs = model.init(random.key(0)), Pairs(x, alive, jnp.zeros(50))
    told, doubt = model.rewards(params, x).mean(0), model.disagreement(params, pairs)
    whole = jax.jit(model.mean_rewards).lower(params, x).compile().memory_analysis().temp_size_in_bytes
    monkeypatch.setattr("jaxrl_evolve.preferences.reward_model._AT_ONCE", 70)
    np.testing.assert_allclose(model.mean_rewards(params, x), told, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.disagreement(params, pairs), doubt, rtol=1e-4, atol=1e-6)
    again = jax.jit(lambda params, x: model.mean_rewards(params, x)).lower(params, x).compile()
    assert again.memory_analysis().temp_size_in_bytes < whole / 2


def test_what_is_asked_is_answered_by_the_rewards_that_were_lived(walked: Any):
    """Features tell the place, the step and the action, so that returns of segments can be found from them."""
    _, state, _ = walked
    asked = jax.tree.map(np.asarray, state.store.asked)
    assert (int(asked.labels), int(asked.sessions)) == (60, 3)
    features, alive = asked.pairs.features, asked.pairs.alive
    place, time = features[..., 0] * walk.LENGTH, features[..., 1] * walk.LENGTH
    # Steps of a segment follow each other in one episode, and those after its end do not count.
    np.testing.assert_allclose(np.diff(time)[alive[..., 1:]], 1, atol=1e-4)
    np.testing.assert_array_equal(alive.sum(-1), np.minimum(5, walk.LENGTH - np.round(time[..., 0])))
    moved = np.where(features[..., 3] > 0.5, 1.0, -1.0)
    total = ((place + moved) * alive).sum(-1)
    np.testing.assert_array_equal(asked.pairs.label, (total[:, 0] > total[:, 1]).astype(np.float32))


def test_the_budget_is_spent_on_the_clock(walked: Any):
    """A session at the beginning of each third of the horizon."""
    _, state, rows = walked
    assert [float(row["queries"]) for row in rows] == [20, 40, 60]
    assert [float(row["sessions"]) for row in rows] == [1, 2, 3]
    assert int(state.diverged) == -1


def test_it_learns_what_is_preferred(walked: Any):
    """From rewards that it never sees; those of spoiled episodes are in no label."""
    learner, state, rows = walked
    assert float(rows[-1]["model_accuracy"]) > 0.9
    # All eight steps to the right: 1 + ... + 8 from the start.
    actor = learner.actor(state.learner)
    obs = jnp.asarray([[0.0, 0.0], [0.3, 0.4], [0.8, 0.9]])
    action = learner.act(actor, obs, jnp.ones(3, bool), learner.initial_memory(3), random.key(0), "greedy")[0]
    np.testing.assert_array_equal(action, 1)


def test_what_its_critic_says_is_not_for_curricula(walked: Any):
    """The learner inside would assess a rollout by rewards that it never learned from, and by a state that is not the wrapper's."""
    learner, _, _ = walked
    inner = learner.update.args[0].inner
    assert inner.assess is not None and inner.influence is not None
    assert learner.assess is None and learner.influence is None


def test_sessions_wait_for_their_time_and_for_experience(walked: Any):
    learner, state, _ = walked
    sessions = sessions_of(learner)._replace(start=100)
    asked, replay = sessions.nothing_asked(), state.store.replay
    due = lambda step, asked=asked, replay=replay: int(
        sessions.due(asked, replay, Clock.at(float(step), 400.0))
    )
    assert [due(step) for step in (0, 99, 100, 199, 200, 399, 500)] == [0, 0, 1, 1, 2, 3, 3]
    assert due(200, dataclasses.replace(asked, sessions=jnp.int32(2))) == 0
    assert due(200, replay=dataclasses.replace(replay, filled=jnp.int32(5))) == 0


def test_ppo_learns_nothing_before_anything_was_asked():
    """Rollouts that are shorter than a segment: advantages of rewards that are all zero would be the critic's errors, brought to a variance of one."""
    env, hp = walk.make(), traced(PPOHyperparameters())
    learner = reward_model(env, 4, 2, dataclasses.replace(SMALL, model_steps=2))
    chunk = make_chunk(learner, vectorize(env, 4), 2)
    state, run = jax.jit(chunk.init)(random.key(0), hp, env.params), jax.jit(chunk.run)
    moved = []
    for _ in range(4):
        before = state.learner.learner
        state, row = run(state, hp, (), env.params, jnp.float32(10), jnp.int32(1))
        same = jax.tree.map(lambda a, b: bool((a == b).all()), state.learner.learner, before)
        moved.append((float(row["queries"]) > 0, not all(jax.tree.leaves(same)), float(row["loss"]) != 0))
    # A segment has five steps, and one more lies behind it.
    assert moved == [(False, False, False)] * 2 + [(True, True, True)] * 2


def test_those_are_asked_about_whom_the_models_disagree(walked: Any):
    learner, state, _ = walked
    sessions, model = sessions_of(learner), state.learner.model
    key = random.key(3)
    after, asked = jax.jit(sessions.ask)(key, model, sessions.nothing_asked(), state.store.replay)
    seen = after.moments.normalise
    features, alive, phi = jax.jit(sessions.segments, static_argnums=2)(
        jax.random.split(key)[0], state.store.replay, 2 * 4 * 20
    )
    fine = np.isfinite(np.asarray(phi.total)).reshape(-1, 2).all(1)
    pairs = Pairs(seen(features).reshape(80, 2, 5, 4), alive.reshape(80, 2, 5), jnp.zeros(80))
    doubt = np.where(fine, sessions.model.disagreement(model.params, pairs), -1)
    chosen = np.sort(doubt)[-20:]
    taken = dataclasses.replace(asked.pairs, features=seen(asked.pairs.features))
    found = np.asarray(sessions.model.disagreement(model.params, taken))[:20]
    np.testing.assert_allclose(np.sort(found), chosen, rtol=1e-3, atol=1e-5)
    assert 0 < (~fine).sum() < 40 and int(asked.labels) == 20


def aiming() -> Env:
    """Episodes of eight steps in each of which an action near 1/2 is best."""
    seen = lambda time: jnp.stack([time / 8, jnp.float32(1)])

    def reset(key: Any, params: Any) -> Any:
        del key, params
        return seen(jnp.float32(0)), jnp.float32(0)

    def step(key: Any, time: Any, action: Any, params: Any) -> EnvStep:
        del key, params
        reward = -jnp.square(action[0] - 0.5)
        return EnvStep(seen(time + 1), time + 1, reward, jnp.bool_(False), time >= 7, {})

    return Env("aiming", reset, step, (), Box(0.0, 1.0, (2,)), Box(-1.0, 1.0, (1,)))


@pytest.fixture(scope="module")
def aimed() -> Any:
    """A run of PEBBLE of 100 updates."""
    env = aiming()
    hp = traced(
        SACHyperparameters(
            learning_rate=1e-2,
            critic_learning_rate=1e-2,
            temperature=0.5,
            temperature_learning_rate=0.0,
            gamma=0.5,
        )
    )
    learner = pebble(
        env,
        8,
        4,
        dataclasses.replace(TINY, queries=400, sessions=4, model_steps=200, model_learning_rate=3e-3),
    )
    chunk = make_chunk(learner, vectorize(env, 8), 4)
    state = jax.jit(chunk.init)(random.key(0), hp, ())
    state, metrics = jax.jit(chunk.run)(state, hp, (), (), jnp.float32(100), jnp.int32(100))
    return learner, state, metrics


@pytest.mark.core
def test_pebble_learns_what_is_preferred(aimed: Any):
    learner, state, _ = aimed
    obs, actor = jnp.asarray([[0.125, 1.0], [0.75, 1.0]]), learner.actor(state.learner)
    action = learner.act(actor, obs, jnp.ones(2, bool), learner.initial_memory(2), random.key(1), "greedy")[0]
    np.testing.assert_allclose(action, 0.5, atol=0.2)
    # A time limit is inside of no segment.
    asked = state.store.asked
    assert int(asked.labels) == 400 and asked.pairs.alive.all()
    np.testing.assert_allclose(np.diff(asked.pairs.features[..., 0]), 1 / 8, atol=1e-6)


@pytest.mark.parametrize("whole", [True, False])
def test_whole_episodes_are_asked_about_where_time_limits_end_them(whole: bool):
    """Of segments as long as episodes one in eight has no time limit inside, too few for the labels that were meant."""
    env, hp = aiming(), traced(PPOHyperparameters())
    config = dataclasses.replace(SMALL, segment=8, whole=whole, model_steps=2)
    chunk = make_chunk(reward_model(env, 8, 8, config), vectorize(env, 8), 8)
    state = jax.jit(chunk.init)(random.key(0), hp, env.params)
    state, row = jax.jit(chunk.run)(state, hp, (), env.params, jnp.float32(6), jnp.int32(6))
    asked = jax.tree.map(np.asarray, state.store.asked)
    assert float(asked.sessions) == 3 and float(row["queries"]) <= asked.labels
    assert (asked.labels == 60) if whole else (0 < asked.labels < 45)
    if whole:
        np.testing.assert_allclose(asked.pairs.features[:60, :, 0, 0], 0.0)  # from the first step
        assert asked.pairs.alive[:60].all()


def test_whole_episodes_must_fit_what_is_asked_about():
    env = time_limit(aiming(), 6)
    with pytest.raises(
        ValueError, match="learner.segment is 5; with learner.whole it must be at least the 6 steps"
    ):
        reward_model(env, 4, 8, dataclasses.replace(SMALL, whole=True))
    learner = reward_model(env, 4, 8, dataclasses.replace(SMALL, segment=9, whole=True))
    assert sessions_of(learner).watch.horizon == 6  # early and late are those of an episode


def test_rewards_in_replay_are_those_of_the_model_of_now(aimed: Any):
    learner, state, _ = aimed
    inner: Any = learner.update
    model = state.learner.model
    relabel = inner.args[0].inner.update.args[0].relabel
    drawn = draw(inner.args[0].inner.update.args[0].layout, random.key(4), state.store.replay, 16)
    told = relabel(random.key(0), drawn, Relabelled(state.store.replay, model, jnp.asarray(True)))
    x = np.concatenate([drawn.window.frames[:, 0], drawn.window.action[:, 0]], 1).astype(np.float64)
    seen = np.clip(
        (x - np.float64(model.moments.mean)) / np.sqrt(np.float64(model.moments.variance) + 1e-8), -10, 10
    )
    expected = by_hand(model.params, seen).mean(0) / max(float(model.scale), 1e-3)
    np.testing.assert_allclose(told.reward[:, 0], expected, rtol=1e-3, atol=1e-4)
    assert told.known.all()


def test_what_does_not_fit_is_refused():
    env = walk.make()
    with pytest.raises(
        ValueError, match="learner.queries is 60; it must be a multiple of learner.sessions, 7"
    ):
        reward_model(env, 4, 8, dataclasses.replace(SMALL, sessions=7))
    with pytest.raises(ValueError, match="need at least .*, a capacity of"):
        pebble(aiming(), 4, 4, dataclasses.replace(TINY, segment=2_000))
    with pytest.raises(ValueError, match="weights has 2 shares; there must be one for each of 3 criteria"):
        reward_model(
            env, 4, 8, dataclasses.replace(SMALL, check_oracle=True, preference="populations:0.5:0.5")
        )
