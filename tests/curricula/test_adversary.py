"""Levels that an adversary builds: what it is paid, what they cost, whom they are for, and that it finds the right ones."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from same import assert_close, assert_equal
from toys import coins

from jaxrl_envs.vector import vectorize
from jaxrl_evolve import random
from jaxrl_evolve.curricula.levels.building import build, paid
from jaxrl_evolve.curricula.levels.duel import regret_of, returns_on
from jaxrl_evolve.curricula.table import make_curriculum
from jaxrl_evolve.learners.learner import Learner, Store
from jaxrl_evolve.learners.ppo import ppo
from jaxrl_evolve.learners.ppo_config import PPOConfig
from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.runs.chunk import make_chunk
from jaxrl_evolve.runs.lived import Lived
from jaxrl_evolve.runs.rollout import EpisodeSums, Played
from jaxrl_evolve.runs.tasks import NEW, Assignment, fitted
from jaxrl_evolve.trajectory import PolicyOutput, Trajectory

N, T = 16, 8
"""Slots, and steps of a rollout; an episode has two."""
ENV = coins(skill=True)
QUICK = {"learning_rate": 0.03, "entropy_coef": 0.0, "hidden": (16,), "epochs": 4}


def resolute() -> Learner:
    """Takes action 0 for ever, or whichever its state says, and counts what it is given to learn from."""

    def act(actor: Any, obs: Any, first: Any, memory: Any, key: Any, mode: Any = "explore") -> Any:
        action = jnp.broadcast_to(actor["action"], first.shape)
        return action, memory, PolicyOutput(jnp.zeros(first.shape, jnp.float32))

    def update(key: Any, state: Any, t: Any, hp: Any, eta: Any, clock: Any) -> Any:
        assert t.reward.shape == (T, N)
        return state | {"seen": state["seen"] + t.obs.sum()}, {"loss": jnp.float32(0.0)}

    init = lambda key, hp: {"action": jnp.int32(0), "seen": jnp.float32(0.0)}
    nothing = lambda *_: ()
    return Learner("resolute", init, lambda s: s, act, update, nothing, nothing, jnp.float32(0.0))


def chunk_of(name: str, **options: Any) -> Any:
    made = make_curriculum(name, ENV, N, QUICK | options)
    return make_chunk(resolute(), vectorize(ENV, N, params_per_slot=True), T, made)


def lived(returns: np.ndarray, ended: np.ndarray) -> Lived:
    """A rollout of these returns ``[T, N]`` of running episodes."""
    zeros, no = jnp.zeros(returns.shape, jnp.float32), jnp.zeros(returns.shape, bool)
    t = Trajectory((), (), zeros, jnp.asarray(ended), no, no, (), PolicyOutput(zeros))
    played = Played(
        t, EpisodeSums.none(), jnp.asarray(returns, jnp.float32), jnp.ones(zeros.shape, jnp.int32)
    )
    return Lived(Assignment(jnp.full(returns.shape[1:], NEW), ()), played, (), {})


def test_regret_is_the_antagonists_return_less_the_protagonists():
    """By level, against a loop; where no episode ended, by what the running one has; and never NaN."""
    rng = np.random.default_rng(0)
    protagonist, antagonist = rng.normal(size=(2, T, N)).astype(np.float32)
    ended = rng.random((2, T, N)) < 0.3
    ended[0, :, 3], ended[1, :, 4] = False, False
    antagonist[2, 5], ended[1, 2, 5] = np.nan, True
    protagonist[-1, 6], ended[0, :, 6] = np.nan, False
    mean = returns_on(lived(protagonist, ended[0]), "mean")
    for which, of in (("max", np.max), ("mean", np.mean)):
        found = returns_on(lived(antagonist, ended[1]), which)
        worth = np.asarray(regret_of(mean, found, clipped=False))
        for i in range(N):
            each = []
            for returns, over, reduce in ((protagonist, ended[0], np.mean), (antagonist, ended[1], of)):
                counted = over[:, i] & np.isfinite(returns[:, i])
                each.append(reduce(returns[counted, i]) if counted.any() else returns[-1, i])
            expected = 0.0 if i == 6 else each[1] - each[0]
            assert worth[i] == pytest.approx(expected, rel=1e-5, abs=1e-6)
        np.testing.assert_array_equal(regret_of(mean, found, clipped=True), np.maximum(worth, 0.0))


def test_an_adversary_is_paid_by_its_last_action_and_its_episodes_can_be_played_again():
    env, count = coins(), 6
    assert env.builder is not None
    config = PPOConfig(minibatches=1, network=NetworkConfig(hidden=(8,)))
    learner = ppo(env.builder.editor, count, env.builder.steps, config)
    state = learner.init(random.key(0), learner.default_hp)
    go = lambda actions=None: build(random.key(1), env.builder, learner, state, count, actions)

    def both() -> Any:
        first = go()
        return first, go(first.episodes.action), go(3 - first.episodes.action)

    first, again, others = jax.jit(both)()
    assert_close(again, first)
    np.testing.assert_allclose(first.levels.p + others.levels.p, 15 / 16)
    policy = others.episodes.policy
    np.testing.assert_allclose(
        policy.log_prob, policy.distribution.log_prob(3 - first.episodes.action), rtol=1e-5
    )
    digits = np.asarray(first.episodes.action)
    np.testing.assert_array_equal(first.levels.p, (4 * digits[0] + digits[1]) / 16)
    assert len(set(first.levels.p.tolist())) > 1
    np.testing.assert_array_equal(first.episodes.obs[1, :, 1], digits[0])
    worth = jnp.arange(1.0, 7.0)
    t = paid(first.episodes, worth)
    np.testing.assert_array_equal(t.reward, [[0.0] * 6, [1, 2, 3, 4, 5, 6]])
    assert t.terminated.tolist() == [[False] * 6, [True] * 6] and not t.truncated.any()
    assert t.first.tolist() == [[True] * 6, [False] * 6]


@pytest.fixture(scope="module")
def duels() -> Any:
    """Two seeds under PAIRED: of the first the antagonist can do it and the protagonist cannot, of the second the other way round."""
    chunk = chunk_of("paired", regret="mean", clipped=False)
    start = jax.jit(jax.vmap(lambda key: chunk.init(key, jnp.float32(0), ENV.params)))
    states = start(jax.random.split(random.key(0), 2))
    states.learner["action"] = jnp.asarray([0, 1], jnp.int32)
    states.tasks.curriculum.antagonist["action"] = jnp.asarray([1, 0], jnp.int32)
    go = lambda state, updates: chunk.run(state, jnp.float32(0), (), ENV.params, jnp.float32(80), updates)
    return chunk, go, jax.jit(jax.vmap(go, (0, None))), states


@pytest.mark.core
def test_an_adversary_finds_the_level_of_the_highest_regret(duels: Any):
    """A success pays 1 to who can do it: the regret is the level's probability, or less by as much."""
    chunk, _, go, states = duels
    assert chunk.scoring_steps == N * (2 + T)
    early, told = go(states, jnp.int32(1))
    assert abs(float(early.tasks.running.params.p.mean()) - 0.47) < 0.15
    assert told["curriculum_regret"][0] > 0.25 and told["curriculum_regret"][1] < -0.25
    np.testing.assert_allclose(
        told["curriculum_antagonist_return"] - told["curriculum_protagonist_return"],
        told["curriculum_regret"],
        atol=1e-6,
    )
    late, told = go(states, jnp.int32(80))
    p = np.asarray(late.tasks.running.params.p)
    assert p[0].mean() > 0.85 and p[1].mean() < 0.1, p
    # Both students learn, each in every update from the same levels.
    np.testing.assert_allclose(late.learner["seen"], late.tasks.curriculum.antagonist["seen"], rtol=1e-5)
    assert (late.learner["seen"] > 0).all() and late.diverged.tolist() == [-1, -1]


def test_seeds_side_by_side_are_looped_ones_and_a_resumed_run_is_the_uninterrupted(duels: Any):
    _, alone, go, states = duels
    whole = go(states, jnp.int32(4))[0]
    assert_equal(go(go(states, jnp.int32(1))[0], jnp.int32(3))[0], whole)
    alone = jax.jit(alone)
    for i in range(2):
        pick = lambda tree, i=i: jax.tree.map(lambda x: x[i], tree)
        assert_close(alone(pick(states), jnp.int32(4))[0], pick(whole))


def test_repaired_learns_from_replays_of_what_was_built():
    chunk = chunk_of("repaired", score="posterior-learnability", capacity=16, min_fill=0.25, decay=1.0)
    assert chunk.scoring_steps == N * (2 + T + T) + N * T

    @jax.jit
    def run(key: Any) -> Any:
        state = chunk.init(key, jnp.float32(0), ENV.params)
        state.tasks.curriculum.duel.antagonist["action"] = jnp.int32(1)
        return chunk.run(state, jnp.float32(0), (), ENV.params, jnp.float32(9), jnp.int32(6))

    state, told = run(random.key(0))
    seat = state.tasks.curriculum
    # Sixteen coins there are, each at most once in a buffer, for both students the same.
    buffers = [seat.protagonist.buffer, seat.antagonist.buffer]
    held = [
        dict(zip(np.asarray(b.levels.p[b.filled]).tolist(), np.asarray(b.scores[b.filled]), strict=True))
        for b in buffers
    ]
    assert held[0].keys() == held[1].keys() and 8 < len(held[0]) <= 16
    assert all((16 * p).is_integer() for p in held[0])
    assert not np.asarray(buffers[0].extras.successes).any()  # the protagonist's visits are no other's
    won = np.asarray(buffers[1].extras.successes[buffers[1].filled]) > 0
    assert won.mean() > 0.5
    assert (np.asarray(state.tasks.running.number) != NEW).any()
    assert (
        0.2 < float(told["curriculum_regret"]) <= 1.0 and float(told["curriculum_protagonist_return"]) == 0.0
    )
    assert 0.0 < float(told["curriculum_buffer_fill"]) <= 1.0


def test_what_does_not_fit_is_refused_in_one_sentence():
    bare = dataclasses.replace(coins(), builder=None)
    for name in ("paired", "repaired"):
        with pytest.raises(ValueError, match=f"curriculum is '{name}', .* coins has no `builder`"):
            make_curriculum(name, bare, 4, {})
        with pytest.raises(ValueError, match=f"'epoch', which {name} does not take: did you mean epochs"):
            make_curriculum(name, coins(), 4, {"epoch": 3})
        made = make_curriculum(name, coins(), N, {})
        with pytest.raises(ValueError, match="learner 'resolute' learns from a store of experience"):
            fitted(made, resolute()._replace(store=Store(lambda example: (), lambda store, t: store)), T)
        with pytest.raises(ValueError, match=f"curriculum '{name}' has agents like those of a learner"):
            made.init(random.key(0))
    with pytest.raises(ValueError, match="regret is 'most', which is not known: .*max"):
        make_curriculum("paired", coins(), 4, {"regret": "most"})
    with pytest.raises(ValueError, match="gamma is 1.5; it must be a number between 0 and 1"):
        make_curriculum("paired", coins(), 4, {"gamma": 1.5})
    with pytest.raises(ValueError, match="'temperature', which paired does not take"):
        make_curriculum("paired", coins(), 4, {"temperature": 1.0})
    with pytest.raises(ValueError, match="temperature is 0.0; it must be above 0"):
        make_curriculum("repaired", coins(), 4, {"temperature": 0.0})
