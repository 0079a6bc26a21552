"""What a rollout records, against a plain loop over a scripted environment."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import lives
import numpy as np
import probes
import pytest

from jaxrl_envs import scale_rewards
from jaxrl_envs.contract import reported
from jaxrl_envs.resets import FullResets, OptimisticResets, PoolResets
from jaxrl_envs.vector import vectorize
from jaxrl_evolve.learners.learner import Learner
from jaxrl_evolve.runs.rollout import rollout
from jaxrl_evolve.trajectory import PolicyOutput

N, LENGTH = 7, 11


def clockwork() -> Learner:
    """Acts by the observation's time; its memory counts the steps of the episode."""

    def act(state: Any, obs: Any, first: Any, memory: Any, key: Any, mode: str = "explore") -> Any:
        assert mode == "explore"
        before = memory
        memory = jnp.where(first, 0, memory) + 1
        action = (obs[:, 1].astype(jnp.int32) + state) % 3
        return action, memory, PolicyOutput(-obs[:, 1], memory=before)

    zeros = lambda n: jnp.zeros((n,), jnp.int32)
    return Learner("clockwork", lambda key, hp: (), lambda s: s, act, lambda *a: a, zeros, lambda key: (), ())


@pytest.mark.parametrize(
    "resets",
    [FullResets(), OptimisticResets(2), OptimisticResets(N), PoolResets(3), PoolResets(4, 2)],
    ids=str,
)
def test_flags_and_observations_follow_the_script(resets: Any):
    env, learner = probes.scripted_env(), clockwork()
    venv = vectorize(env, N, resets)
    state = venv.reset(jax.random.key(0), env.params)
    memory = learner.initial_memory(N)

    @jax.jit
    def collect(key: Any, state: Any, memory: Any) -> Any:
        state = venv.refresh(jax.random.fold_in(key, 1), state, env.params)
        return state.pool, *rollout(key, learner, jnp.int32(2), venv, state, memory, env.params, LENGTH)

    # The loop's own books: where every slot is, what it has collected, and what has been seen.
    number, time = np.asarray(state.env[0]).copy(), np.zeros(N, int)
    collected, kinds = np.zeros(N), set()
    for turn in range(3):
        before = np.asarray(state.env[0])
        np.testing.assert_array_equal(before, number)
        pool, state, memory, t, sums = collect(jax.random.key(turn + 1), state, memory)
        ended = np.asarray(t.ended)
        t = jax.tree.map(np.asarray, t)
        assert t.reward.shape == (LENGTH, N)
        episodes = returns = lengths = even = 0
        facts = np.zeros(2)
        for step in range(LENGTH):
            fresh = []
            for slot in range(N):
                terminated, truncated = probes.script(number[slot], time[slot])
                kinds.add((bool(terminated), bool(truncated)))
                at = (step, slot)
                assert t.obs[at].tolist() == [number[slot], time[slot]]
                assert t.next_obs[at].tolist() == [number[slot], time[slot] + 1]
                assert t.first[at] == (time[slot] == 0)
                assert (t.terminated[at], t.truncated[at]) == (terminated, truncated)
                assert ended[at] == (terminated or truncated)
                assert t.action[at] == (time[slot] + 2) % 3
                assert t.reward[at] == time[slot] + t.action[at]
                assert t.policy.log_prob[at] == -time[slot]
                assert t.info["number"][at] == number[slot]
                if time[slot]:  # the memory before a first step is whatever the last episode left
                    assert t.policy.memory[at] == time[slot]
                collected[slot] += t.reward[at]
                time[slot] += 1
                if terminated or truncated:
                    episodes, returns = episodes + 1, returns + collected[slot]
                    lengths += time[slot]
                    even += number[slot] % 2 == 0
                    facts += [time[slot] - 1, number[slot] % 7]
                    following = t.obs[step + 1, slot] if step + 1 < LENGTH else np.asarray(state.obs)[slot]
                    number[slot], time[slot], collected[slot] = int(following[0]), 0, 0.0
                    fresh.append(number[slot])
            if isinstance(resets, FullResets):
                assert len(set(fresh)) == len(fresh)
            elif isinstance(resets, OptimisticResets):
                assert len(set(fresh)) == min(len(fresh), resets.resets_per_step)
            else:
                assert set(fresh) <= set(np.asarray(pool.state[0]).tolist())
        assert (float(sums.episodes), float(sums.returns), float(sums.lengths)) == (
            episodes,
            returns,
            lengths,
        )
        assert float(sums.info["even"]) == even and sums.info["facts"].tolist() == facts.tolist()
        np.testing.assert_array_equal(state.first, time == 0)
        np.testing.assert_array_equal(state.episode_length, time)
        np.testing.assert_array_equal(state.episode_return, collected)
    assert kinds == {(False, False), (True, False), (False, True), (True, True)}


def test_rollouts_depend_on_nothing_but_their_key():
    env, learner = probes.scripted_env(), clockwork()
    venv = vectorize(env, N)
    state = venv.reset(jax.random.key(0), env.params)
    collect = jax.jit(
        lambda key: rollout(
            key, learner, jnp.int32(0), venv, state, learner.initial_memory(N), env.params, 8
        )[2]
    )
    one, same, other = collect(jax.random.key(1)), collect(jax.random.key(1)), collect(jax.random.key(2))
    jax.tree.map(np.testing.assert_array_equal, one, same)
    assert (np.asarray(one.obs) != np.asarray(other.obs)).any()


def test_returns_are_the_environments_own_where_rewards_are_changed():
    inner, learner = probes.scripted_env(), clockwork()
    seen = []
    for env in (inner, scale_rewards(inner, 0.5)):
        venv = vectorize(env, N)
        state = venv.reset(jax.random.key(0), env.params)
        start = learner.initial_memory(N)
        seen.append(rollout(jax.random.key(1), learner, jnp.int32(0), venv, state, start, env.params, 8)[2:])
    (plain, sums), (scaled, sums_of_scaled) = seen
    np.testing.assert_array_equal(scaled.reward, 0.5 * plain.reward)
    assert float(sums.returns) > 0
    jax.tree.map(np.testing.assert_array_equal, sums, sums_of_scaled)


def test_what_info_does_not_have_is_named_with_what_it_has():
    env = dataclasses.replace(probes.scripted_env(), metrics=("won",))
    learner, key = clockwork(), jax.random.key(0)
    venv = vectorize(env, N)
    state = jax.eval_shape(venv.reset, key, env.params)
    collect = lambda key, state: rollout(
        key, learner, jnp.int32(2), venv, state, learner.initial_memory(N), env.params, LENGTH
    )
    with pytest.raises(ValueError, match="^metrics names 'won', but there is no such thing in info, which"):
        jax.eval_shape(collect, key, state)
    with pytest.raises(ValueError, match=r"in info, which has other$"):
        reported(("won",), {"other": 1})


def test_games_of_several_lives_count_once():
    env, learner = lives.make(), clockwork()
    venv = vectorize(env, 1)
    start = venv.reset(jax.random.key(0), env.params)
    memory = learner.initial_memory(1)
    _, _, t, episodes = rollout(
        jax.random.key(1), learner, jnp.zeros((), jnp.int32), venv, start, memory, env.params, 14
    )
    assert int(t.ended.sum()) == 4
    found = (episodes.episodes, episodes.returns, episodes.lengths, episodes.info["time"])
    assert [float(x) for x in found] == [2.0, 12.0, 12.0, 12.0]


def test_returns_of_ended_episodes_have_nothing_of_those_that_run():
    """Regression: they were a difference of sums over all slots, with the rounding and the NaN of running episodes."""
    env, learner, slots = probes.scripted_env(), clockwork(), 512
    venv = vectorize(env, slots)
    start = venv.reset(jax.random.key(0), env.params)
    memory = learner.initial_memory(slots)

    @jax.jit
    def collect(before: Any) -> Any:
        state = start._replace(episode_return=before)
        return rollout(jax.random.key(1), learner, jnp.int32(2), venv, state, memory, env.params, 2)[2:]

    t = collect(np.zeros(slots, np.float32))[0]
    ending = np.asarray(t.ended.any(0))
    before = np.where(ending, 0.1, 6_000 * np.random.default_rng(0).random(slots)).astype(np.float32)
    now, wanted = before.astype(np.float64), 0.0
    for reward, ended in zip(np.asarray(t.reward), np.asarray(t.ended), strict=True):
        now += reward
        wanted += now[ended].sum()
        now[ended] = 0.0
    found = collect(before)[1].returns
    assert 0 < ending.sum() < slots
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert collect(np.where(ending, before, np.nan).astype(np.float32))[1].returns == found
