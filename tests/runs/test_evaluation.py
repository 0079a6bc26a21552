"""Evaluation: one whole episode a slot, however long the others take."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import lives
import numpy as np
import probes
import pytest

from jaxrl_envs import Box, Discrete, Env, EnvStep, make, scale_rewards
from jaxrl_evolve import random
from jaxrl_evolve.learners.learner import Learner
from jaxrl_evolve.learners.ppo import PPOConfig, ppo
from jaxrl_evolve.networks.network import NetworkConfig
from jaxrl_evolve.runs.evaluation import MOST_STEPS, longest, make_evaluation, warn_of_cut
from jaxrl_evolve.settings.notices import Notice
from jaxrl_evolve.trajectory import PolicyOutput


def counter() -> Learner:
    """Its memory counts steps since the first, which its action repeats (up to 2)."""

    def act(state: Any, obs: Any, first: Any, memory: Any, key: Any, mode: str = "explore") -> Any:
        memory = jnp.where(first, 0, memory + 1)
        return jnp.minimum(memory, 2) if mode == "greedy" else 0 * memory, memory, PolicyOutput(0.0 * memory)

    start = lambda n: jnp.full((n,), 99, jnp.int32)
    return Learner("counter", lambda key, hp: (), lambda s: s, act, lambda *a: a, start, lambda key: (), ())


def _lengths(episodes: int, key: Any, env: Any) -> np.ndarray:
    """Episode lengths by the script, from the starts that the evaluation draws."""
    _, key_reset = jax.random.split(key)
    numbers = np.asarray(
        jax.vmap(env.reset, (0, None))(jax.random.split(key_reset, episodes), env.params)[1][0]
    )
    return numbers % 5 + 1


@pytest.mark.parametrize("mode", ["greedy", "sample"])
def test_every_slot_plays_exactly_one_episode(mode: Any):
    env, key = probes.scripted_env(), jax.random.key(7)
    out = jax.jit(make_evaluation(env, counter(), 40, 100, mode))(key, (), env.params)
    lengths = _lengths(40, key, env)
    assert set(lengths) == {1, 2, 3, 4, 5}
    np.testing.assert_array_equal(out.lengths, lengths)
    assert out.finished.all()
    np.testing.assert_array_equal(out.info["facts"][:, 0], lengths - 1)  # at the last step, not after it
    assert out.info["even"].dtype == jnp.float32 and set(np.asarray(out.info["even"])) == {0.0, 1.0}
    by_length = [sum(t + (min(t, 2) if mode == "greedy" else 0) for t in range(n)) for n in range(6)]
    np.testing.assert_array_equal(out.returns, np.asarray(by_length)[lengths])


def test_returns_are_the_environments_own_where_rewards_are_changed():
    inner = probes.scripted_env()
    plain, scaled = (
        make_evaluation(env, counter(), 10, 9)(jax.random.key(8), (), env.params)
        for env in (inner, scale_rewards(inner, 0.5))
    )
    assert np.asarray(plain.returns).any()
    np.testing.assert_array_equal(plain.returns, scaled.returns)


def test_episodes_longer_than_the_limit_are_cut_and_say_so():
    env, key = probes.scripted_env(), jax.random.key(8)
    out = make_evaluation(env, counter(), 40, 3)(key, (), env.params)
    lengths = _lengths(40, key, env)
    np.testing.assert_array_equal(out.finished, lengths <= 3)
    np.testing.assert_array_equal(out.lengths, np.minimum(lengths, 3))
    np.testing.assert_array_equal(out.info["facts"][:, 0], np.minimum(lengths, 3) - 1)


def test_tasks_are_drawn_apart_from_the_episodes_that_are_played_on_them():
    def reset(key: Any, params: Any) -> Any:
        place = jax.random.uniform(jax.random.split(key)[0])
        return place[None], place

    def step(key: Any, state: Any, action: Any, params: Any) -> EnvStep:
        same = jnp.float32(state == params)
        return EnvStep(state[None], state, same, jnp.bool_(True), jnp.bool_(False), {})

    spaces = Box(0.0, 1.0, (1,)), Discrete(3)
    env = Env("place", reset, step, jnp.float32(0), *spaces, sample_params=jax.random.uniform)
    out = jax.jit(make_evaluation(env, counter(), 6, 2, drawn=True))(random.key(3), (), env.params)
    np.testing.assert_array_equal(out.returns, np.zeros(6))


def timed(limit: Any, sample_params: Any = None) -> Env:
    """An environment that does nothing but end at its limit, if it has one by a name that is known."""

    def step(key: Any, state: Any, action: Any, params: Any) -> EnvStep:
        over = state + 1 >= params.get("max_steps_in_episode", jnp.inf)
        return EnvStep(jnp.zeros(1), state + 1, jnp.float32(1), jnp.bool_(False), over, {})

    start = lambda key, params: (jnp.zeros(1), jnp.zeros((), jnp.int32))
    params = {} if limit is None else {"max_steps_in_episode": limit}
    return Env("timed", start, step, params, Box(0.0, 1.0, (1,)), Discrete(3), sample_params=sample_params)


@pytest.mark.parametrize(
    ("limit", "length"),
    [
        (jnp.int32(10_007), 10_007),
        (jnp.float32(30), 30),
        (jnp.int32(2**31 - 1), MOST_STEPS),
        (None, MOST_STEPS),
    ],
)
def test_an_episode_may_last_as_long_as_its_environment_lets_it(limit: Any, length: int):
    env = timed(limit)
    out = jax.jit(make_evaluation(env, counter(), 2))(random.key(3), (), env.params)
    assert np.asarray(out.lengths).tolist() == np.asarray(out.returns).tolist() == [length] * 2
    assert out.finished.all() == (limit is not None and limit < 2**31 - 1)
    assert longest(env.params) == max(length, MOST_STEPS)


def test_tasks_that_are_drawn_last_as_long_as_each_may():
    draw = lambda key: {"max_steps_in_episode": jax.random.randint(key, (), 1, 20_000, jnp.int32)}
    env = timed(jnp.int32(5), draw)
    out = jax.jit(make_evaluation(env, counter(), 8, drawn=True))(random.key(3), (), env.params)
    assert out.finished.all() and len(set(out.lengths.tolist())) == 8 and out.lengths.max() > MOST_STEPS


def test_greedy_evaluation_needs_no_luck_and_sampling_does():
    env = probes.probe_env()
    learner = ppo(env, 4, 4, PPOConfig(network=NetworkConfig(hidden=(8,))))
    state = learner.init(jax.random.key(0), learner.default_hp)
    params = jax.tree.map(jnp.float32, probes.PROBES["action"])
    evaluations = {m: jax.jit(make_evaluation(env, learner, 64, 10, m)) for m in ("greedy", "sample")}
    greedy = evaluations["greedy"](jax.random.key(1), state, params).returns
    assert len(set(np.asarray(greedy).tolist())) == 1
    sampled = evaluations["sample"](jax.random.key(1), state, params).returns
    assert set(np.asarray(sampled).tolist()) == {-1.0, 1.0}


@pytest.mark.parametrize(("episodes", "steps"), [(0, 1), (1, 0)])
def test_sizes_below_one_are_refused(episodes: int, steps: int):
    with pytest.raises(ValueError, match="both must be at least 1"):
        make_evaluation(probes.scripted_env(), counter(), episodes, steps)


def test_a_mode_that_is_none_of_evaluation_is_refused():
    with pytest.raises(ValueError, match="mode is 'explore', which is not known: known are greedy, sample"):
        make_evaluation(probes.scripted_env(), counter(), 1, 1, "explore")


def test_a_setting_that_cuts_episodes_short_is_told():
    env = make("Freeway-MinAtar")
    with pytest.warns(
        Notice, match="max_steps is 1,000, but Freeway-MinAtar lets an episode last 2,500 steps"
    ):
        warn_of_cut("max_steps", 1_000, env)
    warn_of_cut("max_steps", 2_500, env)  # a warning would be an error here


def test_a_lost_life_ends_no_evaluation():
    env = lives.make()
    out = jax.jit(make_evaluation(env, counter(), 2, 20))(jax.random.key(0), (), env.params)
    np.testing.assert_array_equal(out.returns, [6.0, 6.0])
    np.testing.assert_array_equal(out.lengths, [6, 6])
    np.testing.assert_array_equal(out.info["time"], [6.0, 6.0])
