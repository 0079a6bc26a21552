"""Variants: the same happens in all of them, and which it is goes along with every step."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
from same import assert_equal

from jaxrl_envs import variants
from jaxrl_envs.check import check_types
from jaxrl_envs.wrappers.variants import tells
from jaxrl_evolve.curricula.arms.arms import arms_of

NAMES = ("left", "right", "up")


def test_the_same_happens_in_all_of_them():
    inner = probes.scripted_env()
    env = variants(inner, NAMES, "which")
    check_types(env)
    step, key = jax.jit(env.step), jax.random.key(0)
    alone = jax.jit(inner.step)(key, inner.reset(key, inner.params)[1], jnp.int32(1), inner.params)
    assert env.arms is not None and env.arms.names == NAMES
    for number in range(3):
        params = env.arms.sample(key, jnp.int32(number))
        out = step(key, env.reset(key, params)[1], jnp.int32(1), params)
        assert int(out.info["which"]) == number
        assert_equal(out._replace(info={k: x for k, x in out.info.items() if k != "which"}), alone)
    assert tells(env, "which") and not tells(inner, "which")


def test_parameters_are_drawn_as_before_and_variants_evenly():
    inner = dataclasses.replace(
        probes.scripted_env(),
        sample_params=lambda key: jax.random.uniform(key, (), jnp.float32),
        edit_params=lambda key, p: p + 1.0,
    )
    env = variants(inner, NAMES)
    assert env.sample_params is not None and env.edit_params is not None
    drawn = jax.jit(jax.vmap(env.sample_params))(jax.random.split(jax.random.key(0), 600))
    counts = np.bincount(np.asarray(drawn.variant), minlength=3)
    assert (abs(counts - 200) < 60).all() and len(np.unique(drawn.env)) > 500
    one = jax.tree.map(lambda x: x[0], drawn)
    edited = env.edit_params(jax.random.key(1), one)
    assert float(edited.env) == float(one.env) + 1 and int(edited.variant) == int(one.variant)


def test_variants_go_with_other_parameters_as_text():
    env = variants(dataclasses.replace(probes.scripted_env(), params={"size": jnp.float32(1)}), NAMES)
    arms = arms_of(env, "size=0.5,1 variant=0,2")
    assert arms.names == ("0.5 0", "0.5 2", "1 0", "1 2")
    params = arms.sample(jax.random.key(0), jnp.int32(3))
    assert (float(params.env["size"]), int(params.variant)) == (1.0, 2)


def test_what_is_refused_of_variants():
    env = probes.scripted_env()
    for names in ((), ("a", "a"), ("a", "")):
        with pytest.raises(ValueError, match=r"names is .*; it must be names of variants, none twice"):
            variants(env, names)
    twice = variants(variants(env, NAMES), NAMES)
    with pytest.raises(ValueError, match="told is 'variant', which its info has already; call it otherwise"):
        tells(twice, "variant")
