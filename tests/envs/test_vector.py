"""Batches of environments: what the reset policies deal, and how episodes are counted."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import lives
import numpy as np
import probes
import pytest

from jaxrl_envs import Box, Discrete, Env, EnvStep, scale_rewards, time_limit
from jaxrl_envs.resets import FullResets, OptimisticResets, PoolResets, resets_from_name
from jaxrl_envs.vector import VectorState, vectorize

N = 12


def switch_env() -> Env:
    """Action 0 goes on, 1 terminates, 2 truncates; the observation is the episode's random number."""

    def reset(key: jax.Array, params: Any) -> tuple[Any, Any]:
        number = jax.random.randint(key, (), 0, probes.NUMBERS, jnp.int32)
        return number.astype(jnp.float32)[None], number

    def step(key: jax.Array, state: Any, action: Any, params: Any) -> EnvStep:
        return EnvStep(state.astype(jnp.float32)[None] + params, state, params, action == 1, action == 2, {})

    params = jnp.asarray(0.5, jnp.float32)
    return Env("switch", reset, step, params, Box(0.0, float(probes.NUMBERS), (1,)), Discrete(3))


def _step(resets: Any, action: np.ndarray, seed: int = 0) -> tuple[VectorState, VectorState, Any]:
    env = switch_env()
    venv = vectorize(env, N, resets)
    before = venv.reset(jax.random.key(seed), env.params)
    after, seen = jax.jit(venv.step)(
        jax.random.key(seed + 1), before, jnp.asarray(action, jnp.int32), env.params
    )
    return before, after, seen


@pytest.mark.parametrize(
    "resets",
    [FullResets(), OptimisticResets(3), OptimisticResets(5), PoolResets(4), PoolResets(4, 2)],
    ids=str,
)
@pytest.mark.parametrize("seed", range(3))
def test_slots_that_ended_start_anew_and_the_others_go_on(resets: Any, seed: int):
    action = np.random.default_rng(seed).integers(0, 3, N)
    before, after, seen = _step(resets, action, seed)
    ended = action > 0
    np.testing.assert_array_equal(seen.terminated, action == 1)
    np.testing.assert_array_equal(seen.truncated, action == 2)
    np.testing.assert_array_equal(after.first, ended)
    # The successor is the true one whether or not the slot was reset.
    np.testing.assert_array_equal(seen.next_obs[:, 0], np.asarray(before.env) + 0.5)
    np.testing.assert_array_equal(np.asarray(after.env)[~ended], np.asarray(before.env)[~ended])
    np.testing.assert_array_equal(np.asarray(after.obs)[~ended], np.asarray(seen.next_obs)[~ended])
    # State and observation of a start belong together.
    np.testing.assert_array_equal(np.asarray(after.obs)[ended, 0], np.asarray(after.env)[ended])
    assert not set(np.asarray(after.env)[ended]) & set(np.asarray(before.env))


@pytest.mark.parametrize("ended", [0, 1, 3, 4, 7, 12])
@pytest.mark.parametrize("per_slot", [False, True])
def test_starts_made_a_few_at_once_are_those_of_full_resets(ended: int, per_slot: bool):
    plain = switch_env()

    def reset(key: jax.Array, params: Any) -> tuple[Any, Any]:
        obs, state = plain.reset(key, params)
        return obs + params, state  # a start tells whose parameters it was made with

    env = dataclasses.replace(plain, reset=reset)
    params = jnp.arange(N, dtype=jnp.float32) / 64 if per_slot else env.params
    places = np.random.default_rng(ended).permutation(N)[:ended]
    action = np.isin(np.arange(N), places).astype(np.int32)
    venv = lambda size: vectorize(env, N, FullResets(at_once=size), params_per_slot=per_slot)
    before = venv(0).reset(jax.random.key(0), params)
    step = lambda size: jax.jit(venv(size).step)(jax.random.key(1), before, action, params)
    every = jax.tree.leaves(step(0))
    for size in (3, 5, 64):  # divides the slots, does not, and is more than all
        for a, b in zip(every, jax.tree.leaves(step(size)), strict=True):
            np.testing.assert_array_equal(a, b)


def test_full_resets_never_share_a_start():
    _, after, _ = _step(FullResets(), np.ones(N))
    assert len(set(np.asarray(after.env).tolist())) == N


def test_neighbours_that_end_together_share_a_start_where_it_is_asked_for():
    before, after, _ = _step(FullResets(4), np.asarray([1, 1, 1, 1, 0, 1, 0, 1, 0, 0, 0, 0]))
    for state, groups in ((before, [range(4), range(4, 8), range(8, 12)]), (after, [range(4), (5, 7)])):
        starts = np.asarray(state.env)
        assert [len(set(starts[list(group)].tolist())) for group in groups] == [1] * len(groups)
        assert len({float(starts[group[0]]) for group in groups}) == len(groups)
    with pytest.raises(ValueError, match="shared must divide num_envs, 3"):
        vectorize(switch_env(), 3, FullResets(2))


@pytest.mark.parametrize("k", [1, 3, 4, 12, 20])
@pytest.mark.parametrize("ended", [0, 1, 3, 4, 5, 12])
def test_optimistic_resets_share_starts_only_when_they_must(k: int, ended: int):
    places = np.sort(np.random.default_rng(ended).permutation(N)[:ended])
    action = np.isin(np.arange(N), places)
    _, after, _ = _step(OptimisticResets(k), action)
    starts = np.asarray(after.env)[places]
    assert len(set(starts.tolist())) == min(k, ended)
    # Dealt in order: the ended slots number i and i + k share.
    np.testing.assert_array_equal(starts, starts[np.arange(ended) % k])


def test_pool_resets_draw_from_the_pool_and_renew_its_oldest():
    env, size, renew = switch_env(), 5, 2
    venv = vectorize(env, 200, PoolResets(size, renew))
    state = venv.reset(jax.random.key(0), env.params)
    stored = np.asarray(state.pool.state)
    np.testing.assert_array_equal(np.asarray(state.pool.obs)[:, 0], stored)
    after, _ = jax.jit(venv.step)(jax.random.key(1), state, jnp.ones(200, jnp.int32), env.params)
    assert set(np.asarray(after.env).tolist()) == set(stored.tolist())
    refresh = jax.jit(venv.refresh)
    for turn in range(4):
        fresh = refresh(jax.random.key(turn + 2), state, env.params)
        old, new = np.asarray(state.pool.state), np.asarray(fresh.pool.state)
        replaced = np.isin(np.arange(size), [(2 * turn) % size, (2 * turn + 1) % size])
        np.testing.assert_array_equal(old != new, replaced)
        np.testing.assert_array_equal(np.asarray(fresh.pool.obs)[:, 0], new)
        np.testing.assert_array_equal(fresh.env, state.env)
        state = fresh


def test_a_pool_without_renewal_is_left_alone():
    env = switch_env()
    venv = vectorize(env, 3, PoolResets(2))
    state = venv.reset(jax.random.key(0), env.params)
    assert venv.refresh(jax.random.key(1), state, env.params) is state


def test_returns_and_lengths_count_whole_episodes():
    env = switch_env()
    venv = vectorize(env, 2)
    state = venv.reset(jax.random.key(0), env.params)
    step = jax.jit(venv.step)
    seen_returns, seen_lengths = [], []
    for t, action in enumerate([(0, 0), (0, 1), (2, 0), (0, 0)]):
        state, seen = step(jax.random.key(t), state, jnp.asarray(action, jnp.int32), env.params)
        seen_returns.append(seen.episode_return.tolist())
        seen_lengths.append(seen.episode_length.tolist())
    assert seen_returns == [[0.5, 0.5], [1.0, 1.0], [1.5, 0.5], [0.5, 1.0]]
    assert seen_lengths == [[1, 1], [2, 2], [3, 1], [1, 2]]


def test_every_slot_can_have_its_own_parameters():
    env = switch_env()
    venv = vectorize(env, 3, params_per_slot=True)
    params = jnp.asarray([1.0, 2.0, 3.0], jnp.float32)
    state = venv.reset(jax.random.key(0), params)
    _, seen = venv.step(jax.random.key(1), state, jnp.zeros(3, jnp.int32), params)
    assert seen.reward.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("full", FullResets()),
        ("full:2:8", FullResets(2, at_once=8)),
        ("full:4", FullResets(4)),
        ("optimistic:16", OptimisticResets(16)),
        ("pool:8", PoolResets(8)),
        ("pool:8:2", PoolResets(8, 2)),
    ],
)
def test_reset_policies_have_names(name: str, policy: Any):
    assert resets_from_name(name) == policy


@pytest.mark.parametrize("name", ["", "fully", "full:0", "optimistic", "optimistic:x", "pool:0", "pool:2:3"])
def test_other_names_are_refused(name: str):
    with pytest.raises(ValueError, match="resets is '"):
        resets_from_name(name)


def test_impossible_batches_are_refused():
    env = switch_env()
    with pytest.raises(ValueError, match="num_envs is 0"):
        vectorize(env, 0)
    with pytest.raises(ValueError, match="only FullResets is allowed"):
        vectorize(env, 2, OptimisticResets(1), params_per_slot=True)
    with pytest.raises(ValueError, match="at_once is -1"):
        FullResets(at_once=-1)
    with pytest.raises(ValueError, match="resets_per_step is 0"):
        OptimisticResets(0)
    with pytest.raises(ValueError, match="renew is 5; it must be between 0 and size"):
        PoolResets(4, 5)


@pytest.mark.parametrize(
    "wrap", [lambda env: env, lambda env: scale_rewards(env, 2.0)], ids=["bare", "scaled"]
)
def test_a_game_goes_on_after_a_life_and_is_counted_whole(wrap: Any):
    env = wrap(lives.make())
    venv = vectorize(env, 1)

    def step(state: VectorState, key: jax.Array) -> Any:
        state, seen = venv.step(key, state, jnp.zeros(1, jnp.int32), env.params)
        return state, (state, seen)

    start = venv.reset(jax.random.key(0), env.params)
    _, (after, seen) = jax.lax.scan(step, start, jax.random.split(jax.random.key(1), 12))
    np.testing.assert_array_equal(np.flatnonzero(seen.terminated), [2, 5, 8, 11])
    np.testing.assert_array_equal(after.first, seen.terminated)
    np.testing.assert_array_equal(seen.next_obs[:, 0, 0], [1, 2, 3, 4, 5, 6] * 2)
    # After a life the same game goes on, by `restart`; after the game another one begins.
    np.testing.assert_array_equal(after.obs[:, 0, 0], [1, 2, 3, 4, 5, 0] * 2)
    np.testing.assert_array_equal(after.obs[:, 0, 1], [0, 0, 2, 0, 0, 1] * 2)
    np.testing.assert_array_equal(seen.episode_return[:, 0], [1, 2, 3, 4, 5, 6] * 2)
    np.testing.assert_array_equal(after.episode_length[:, 0], [1, 2, 3, 4, 5, 0] * 2)


def test_what_cannot_go_on_after_a_life_is_refused():
    with pytest.raises(
        ValueError, match="lives says itself how an ended episode goes on, so only FullResets"
    ):
        vectorize(lives.make(), 2, PoolResets(2))
    with pytest.raises(
        ValueError, match="lives: a game goes on after an end .* make it so that only games end"
    ):
        time_limit(lives.make(), 4)
