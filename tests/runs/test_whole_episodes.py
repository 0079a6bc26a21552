"""Which episodes of a rollout count, where short ones are successes and long ones are not; and where a store sees their ends."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from jaxrl_envs import Box, Discrete, Env, EnvStep
from jaxrl_envs.vector import vectorize
from jaxrl_evolve import random
from jaxrl_evolve.curricula.levels.duel import returns_on
from jaxrl_evolve.curricula.levels.visits import visit_of
from jaxrl_evolve.curricula.statistics import success_rule
from jaxrl_evolve.experience.layout import Layout
from jaxrl_evolve.experience.replay import observation, read
from jaxrl_evolve.learners.learner import Learner, Store
from jaxrl_evolve.learners.rainbow import rainbow
from jaxrl_evolve.learners.rainbow_config import RainbowConfig
from jaxrl_evolve.networks.action_values_config import ActionValuesConfig
from jaxrl_evolve.runs.chunk import make_chunk
from jaxrl_evolve.runs.tasks import NEW, Assignment, Curriculum, Scouts
from jaxrl_evolve.runs.whole_episodes import most_steps
from jaxrl_evolve.trajectory import PolicyOutput

N, LIMIT, QUICK = 256, 20, 3
CHANCES = (0.5, 0.9)


@struct.dataclass
class Sprint:
    """How likely an episode is a success, after `QUICK` steps; a failure takes all of ``max_steps``."""

    p: Any
    max_steps: Any


def sprints() -> Env:
    """The observation is the time, and a number that is another in each episode."""

    def look(state: Any) -> Any:
        return jnp.stack([state["time"], state["number"]])

    def reset(key: Any, params: Sprint) -> tuple[Any, Any]:
        wins, number = jax.random.bernoulli(key, params.p), jax.random.uniform(jax.random.fold_in(key, 1))
        state = {"time": jnp.float32(0), "number": number, "wins": wins}
        return look(state), state

    def step(key: Any, state: Any, action: Any, params: Sprint) -> EnvStep:
        after = state | {"time": state["time"] + 1}
        won = state["wins"] & (after["time"] >= QUICK)
        late = after["time"] >= params.max_steps
        return EnvStep(look(after), after, won.astype(jnp.float32), won, late, {"success": won})

    params = Sprint(jnp.float32(0.5), jnp.int32(LIMIT))
    return Env("sprints", reset, step, params, Box(0.0, 99.0, (2,)), Discrete(2), metrics=("success",))


def idle(store: Store | None = None) -> Learner:
    """Does nothing, and learns nothing."""

    def act(actor: Any, obs: Any, first: Any, memory: Any, key: Any, mode: Any = "explore") -> Any:
        return jnp.zeros(first.shape, jnp.int32), memory, PolicyOutput(jnp.zeros(first.shape, jnp.float32))

    def update(key: Any, state: Any, t: Any, hp: Any, eta: Any, clock: Any, *store: Any) -> Any:
        return state, {"loss": jnp.float32(0.0)}, *store

    nothing = lambda *_: ()
    zero = jnp.float32(0.0)
    return Learner(
        *("idle", lambda key, hp: (), lambda s: s, act, update, nothing, nothing, zero), store=store
    )


def polled(env: Env, limit: int, restart: bool) -> Curriculum:
    """Half of the slots have each chance; sums what came of them, and of scouts, by `visit_of`."""
    chance = jnp.asarray(CHANCES, jnp.float32)[jnp.arange(N) % 2]
    given = Assignment(jnp.full((N,), NEW, jnp.int32), Sprint(chance, jnp.full((N,), limit, jnp.int32)))

    def heard(place: int) -> Any:
        def record(state: Any, lived: Any) -> Any:
            visit = visit_of(lived, success_rule(env), critic=False)
            told = jnp.stack([visit.episodes, visit.successes, returns_on(lived, "mean"), visit.solved])
            return state.at[place].add(told.reshape(4, N // 2, 2).sum(1))

        return record

    scouts = Scouts(N, 0, lambda key, state, lived: (state, given), heard(1)) if restart else None
    propose = lambda key, state, openings: (state, given)
    init = lambda key: jnp.zeros((2, 4, 2), jnp.float32)
    return Curriculum(init, propose, heard(0), lambda state: {}, restart=restart, scouts=scouts)


def polls(length: int, limit: int = LIMIT, env: Env | None = None, updates: int = 20) -> np.ndarray:
    """``[rollouts or scouts, (episodes, successes, mean returns, whether ever solved), chances]``, sums over slots and updates."""
    env = env or sprints()
    chunk = make_chunk(idle(), vectorize(env, N, params_per_slot=True), length, polled(env, limit, True))

    @jax.jit
    def go(key: Any) -> Any:
        state = chunk.init(key, jnp.float32(0), env.params)
        return chunk.run(state, jnp.float32(0), (), env.params, jnp.float32(99), jnp.int32(updates))[0]

    return np.asarray(go(random.key(0)).tasks.curriculum)


def test_episodes_count_that_end_within_the_rollout_whatever_happens():
    """Rollouts of one limit and a half, and of two and a bit: one and two episodes for every slot, of which means have no bias."""
    for length, whole in ((LIMIT + LIMIT // 2, 1), (2 * LIMIT + 2, 2)):
        for episodes, successes, returns, solved in polls(length):
            visits = 20 * N / 2
            np.testing.assert_array_equal(episodes, whole * visits)
            np.testing.assert_allclose(successes / episodes, CHANCES, atol=0.03)
            np.testing.assert_allclose(returns / visits, CHANCES, atol=0.03)
            # Whether there ever was a success is asked of all.
            assert (solved / visits > 1 - (1 - np.array(CHANCES)) ** whole - 0.03).all()


def test_where_nobody_knows_how_long_an_episode_can_be_all_count():
    env = sprints()
    endless = dataclasses.replace(env, params=Sprint(jnp.float32(0.5), jnp.int32(2**31 - 1)))
    assert (most_steps(env, env.params), most_steps(endless, endless.params)) == (LIMIT, None)
    known = dataclasses.replace(endless, longest=lambda params: 7)
    assert most_steps(known, known.params) == 7
    # Nor do those of a level count less whose own limit is longer than the rollout.
    for found in (polls(LIMIT + 4, env=endless, updates=2), polls(LIMIT + 4, 999, updates=2)):
        assert (found[:, 0, 1] > 2.5 * N).all()


@pytest.mark.parametrize("restart", [True, False])
def test_a_store_is_told_where_episodes_are_left(restart: bool):
    """The last step of a rollout after which all begin anew was cut, with its own successor."""
    keep = Store(
        lambda example: jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), example), lambda store, t: t
    )
    env, length = sprints(), LIMIT + 1
    curriculum = polled(env, LIMIT, restart)
    chunk = make_chunk(idle(keep), vectorize(env, N, params_per_slot=True), length, curriculum)

    @jax.jit
    def go(key: Any) -> Any:
        state = chunk.init(key, jnp.float32(0), env.params)
        t = chunk.run(state, jnp.float32(0), (), env.params, jnp.float32(9), jnp.int32(2))[0].store
        return {"truncated": t.truncated, "terminated": t.terminated, "obs": t.obs, "next": t.next_obs}

    t = jax.device_get(go(random.key(1)))
    truncated, terminated = t["truncated"], t["terminated"]
    ended = truncated | terminated
    assert (ended[-1].all(), truncated[-1].mean() > 0.5) == (restart, restart)
    assert not (terminated & truncated).any()
    assert truncated[:-1].sum() == ((t["obs"][:-1, :, 0] == LIMIT - 1) & ~terminated[:-1]).sum()
    # The successor is of the same episode.
    np.testing.assert_array_equal(t["next"][..., 1], t["obs"][..., 1])
    np.testing.assert_array_equal(t["next"][..., 0], t["obs"][..., 0] + 1)


def test_returns_from_replay_stop_where_episodes_are_left():
    """Windows of three steps around the end of DQN's first rollout: none reads what came after it, the last successor is the true one."""
    env, length = sprints(), LIMIT + 1
    config = RainbowConfig(
        capacity=3 * N * length, batch=4, warm_up=0, longest=3, network=ActionValuesConfig(hidden=(8,))
    )
    store = rainbow(env, N, length, config).store
    curriculum = polled(env, LIMIT, True)
    chunk = make_chunk(idle(store), vectorize(env, N, params_per_slot=True), length, curriculum)
    layout = Layout(3)

    @jax.jit
    def go(key: Any) -> Any:
        state = chunk.init(key, jnp.float32(0), env.params)
        held = chunk.run(state, jnp.float32(0), (), env.params, jnp.float32(9), jnp.int32(2))[0].store
        window = read(layout, held, (length - 2) * N + jnp.arange(N))
        return window, jnp.stack([observation(layout, window, i) for i in range(4)], 1)

    window, seen = jax.device_get(go(random.key(2)))
    assert window.known.all() and window.ended[:, 1].all()
    left = ~window.ended[:, 0] & ~window.terminated[:, 1]
    assert left.mean() > 0.25
    time, number = seen[left, :, 0], seen[left, :, 1]
    np.testing.assert_array_equal(time[:, 2], time[:, 0] + 2)
    np.testing.assert_array_equal(number[:, 2], number[:, 0])
