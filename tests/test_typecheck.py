"""The import hook that checks jaxtyping annotations is on in this test run, and stays out of pytrees' way."""

import os

import jax
import jax.numpy as jnp
import pytest
from jaxtyping import TypeCheckError

from jaxrl_evolve import Clock, PolicyOutput, Trajectory, linear_schedule


def trajectory(key: jax.Array) -> Trajectory:
    x, flag = jax.random.normal(key, (3, 4)), jnp.zeros((3, 4), bool)
    return Trajectory(x, x, x, flag, flag, flag, x, PolicyOutput(x, x))


@pytest.mark.skipif(os.environ.get("TYPE_CHECKS") == "off", reason="TYPE_CHECKS is off")
def test_wrong_types_and_shapes_are_caught():
    with pytest.raises(TypeCheckError):
        linear_schedule(Clock.at(0, 1), "fast", 0.0)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeCheckError):
        _ = trajectory(jax.random.key(0)).map(lambda x: x[0]).ended


def test_trajectories_may_carry_further_axes():
    seeds = jax.vmap(trajectory)(jax.random.split(jax.random.key(0), 2))
    assert seeds.reward.shape == (2, 3, 4)
    assert jax.vmap(lambda t: t.ended)(seeds).shape == (2, 3, 4)
