"""Levels that can be solved, and episodes on each of them: none left out, none twice."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_envs import Box, Discrete, Env, EnvStep
from jaxrl_evolve.learners.learner import Learner
from jaxrl_evolve.runs.levels import draw_solvable, make_level_evaluation
from jaxrl_evolve.trajectory import PolicyOutput


def countdown() -> Env:
    """A level is a number of steps; each pays its level and what the action adds, and can be solved if it is odd."""

    def reset(key: Any, params: Any) -> Any:
        start = jax.random.uniform(key)
        return start[None], (jnp.int32(0), start)

    def step(key: Any, state: Any, action: Any, params: Any) -> EnvStep:
        time = state[0] + 1
        facts = {"action": action, "start": state[1]}
        over = time >= params
        return EnvStep(state[1][None], (time, state[1]), params * 1.0, over, jnp.bool_(False), facts)

    sample = lambda key: jax.random.randint(key, (), 1, 7, jnp.int32)
    solvable = lambda params: params % 2 == 1
    spaces = Box(0.0, 1.0, (1,)), Discrete(9)
    return Env(
        *("countdown", reset, step, jnp.int32(3), *spaces),
        sample_params=sample,
        solvable=solvable,
        metrics=("action", "start"),
    )


def counter() -> Learner:
    """Its action is the number of steps since the first, so a memory that is not cleared tells."""

    def act(state: Any, obs: Any, first: Any, memory: Any, key: Any, mode: str = "explore") -> Any:
        memory = jnp.where(first, 0, memory + 1)
        return memory, memory, PolicyOutput(0.0 * memory)

    start = lambda n: jnp.full((n,), 99, jnp.int32)
    return Learner("counter", lambda key, hp: (), lambda s: s, act, lambda *a: a, start, lambda key: (), ())


@pytest.mark.parametrize("slots", [3, 64])
def test_every_episode_of_every_level_is_played_once(slots: int):
    levels = jnp.asarray([1, 5, 2, 9, 1, 1, 3], jnp.int32)
    play = jax.jit(make_level_evaluation(countdown(), counter(), 4, slots=slots))
    seen = play(jax.random.key(0), (), levels)
    expected = np.tile(np.asarray(levels)[:, None], 4)
    np.testing.assert_array_equal(seen.lengths, expected)
    np.testing.assert_array_equal(seen.returns, expected**2)
    np.testing.assert_array_equal(seen.info["action"], expected - 1)
    assert seen.finished.all()
    starts = np.asarray(seen.info["start"])
    assert len(np.unique(starts)) == starts.size == 28


def test_episodes_are_cut_off_and_say_so():
    levels = jnp.asarray([1, 5, 2, 9], jnp.int32)
    seen = jax.jit(make_level_evaluation(countdown(), counter(), 2, 3, slots=2))(
        jax.random.key(0), (), levels
    )
    assert seen.lengths[:, 0].tolist() == [1, 3, 2, 3]
    np.testing.assert_array_equal(seen.finished.all(1), [True, False, True, False])
    with pytest.raises(ValueError, match="episodes is 0; it must be at least 1"):
        make_level_evaluation(countdown(), counter(), 0)


def test_levels_that_cannot_be_solved_are_drawn_anew():
    draw = jax.jit(draw_solvable, static_argnums=(0, 2, 3))
    levels, found = draw(countdown(), jax.random.key(1), 300, 64)
    assert found.all() and levels.dtype == jnp.int32
    shares = np.bincount(np.asarray(levels), minlength=7) / 300
    assert shares[[0, 2, 4, 6]].sum() == 0 and abs(shares[[1, 3, 5]] - 1 / 3).max() < 0.1
    few, _ = draw(countdown(), jax.random.key(1), 20, 64)
    np.testing.assert_array_equal(few, levels[:20])
    _, found = draw(countdown(), jax.random.key(1), 300, 1)
    assert abs(float(found.mean()) - 0.5) < 0.1
