"""Programs whose results have NaN as a mark, while `JAX_DEBUG_NANS` is set."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import walk

from jaxrl_evolve.training.marks import marked
from jaxrl_evolve.training.train import train


@pytest.fixture
def looking():
    """`JAX_DEBUG_NANS=1`, as the environment sets it."""
    jax.config.update("jax_debug_nans", True)
    yield
    jax.config.update("jax_debug_nans", False)


def short(**changes):
    """A row of two steps per environment: no episode of eight steps ends."""
    return dataclasses.replace(walk.config(updates=1, rows=1, **changes), rollout_length=2, steps=8)


def test_a_healthy_run_goes_on_where_no_episode_ended(looking):
    rows = train(short()).rows
    assert len(rows) == 1
    assert all(row["episode_return"] == [None] and math.isfinite(row["loss"][0]) for row in rows)


def test_a_nan_that_is_no_mark_is_caught(looking):
    with pytest.raises(FloatingPointError, match=r"\w+ is NaN, and JAX_DEBUG_NANS is set"):
        train(short(env_options={"nan_rate": "1.0"}))


def test_marks_are_let_through_by_name_and_the_flag_comes_back(looking):
    nothing = jax.jit(lambda x: {"given": x / x, "episode_return": x / x, "fine": jnp.int32(x)})
    assert np.isnan(marked(nothing, ("given",))(jnp.float32(0))["given"])
    with pytest.raises(FloatingPointError, match="given is NaN"):
        marked(nothing)(jnp.float32(0))
    assert jax.config.jax_debug_nans


def test_without_the_flag_nothing_is_looked_at():
    assert np.isnan(marked(jax.jit(lambda x: x / x))(jnp.float32(0)))
