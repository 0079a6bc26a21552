"""Levels are what their seeds say, whatever kind of keys jax makes by default."""

import jax
import numpy as np
import probes
import pytest
import same

from jaxrl_envs import make
from jaxrl_envs.seeds import key_of
from jaxrl_envs.wrappers import level_seeds


def test_a_seed_is_the_key_that_jax_makes_of_it():
    """Regression of results: another value would be another level under the same name."""
    for seed in (0, 7, np.uint32(2**32 - 1)):
        np.testing.assert_array_equal(jax.random.key_data(key_of(seed)), [0, seed])
        assert key_of(seed) == jax.random.key(seed)


@pytest.mark.parametrize("name", ["maze/random", "grid/random-small", "chain/noisy-short", "token/sum-mod"])
def test_levels_by_name_are_the_same_under_other_keys(name):
    usual = make(name, level_seed=3).params
    with jax.default_prng_impl("rbg"):
        other = make(name, level_seed=3).params
    same.assert_equal(other, usual)


def test_starts_of_seeds_are_the_same_under_other_keys():
    env = level_seeds(probes.scripted_env())
    params = env.params.replace(seed=np.uint32(5))
    usual = env.reset(jax.random.key(0), params)
    with jax.default_prng_impl("rbg"):
        same.assert_equal(env.reset(jax.random.key(0), params), usual)
