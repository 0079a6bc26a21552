"""`computed_once` changes no value and no gradient, and does what it is for; so does `only_where` but for gradients."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_envs.fusion import computed_once, only_where
from jaxrl_evolve import random


@pytest.mark.parametrize(
    "x",
    [
        np.array([0, 1, 2**31, 2**32 - 1], np.uint32),
        np.array([0, -1, -(2**31), 2**31 - 1], np.int32),
        np.array([0, 255], np.uint8),
        np.array([-128, 127], np.int8),
        np.array([0.0, -0.0, 1.5, -np.inf, np.inf, np.nan, 2e-38, 3e38], np.float32),
        np.array([0.0, -0.0, 6e-5, 65504], np.float16),
        np.array([True, False]),
    ],
    ids=lambda x: x.dtype.name,
)
def test_values_stay(x):
    for f in (computed_once, jax.jit(computed_once), jax.jit(jax.vmap(computed_once))):
        out = np.asarray(f(jnp.asarray(x)))
        assert out.dtype == x.dtype
        assert out.tobytes() == x.tobytes() or np.array_equal(out, x, equal_nan=True)
        if x.dtype.kind == "f":
            np.testing.assert_array_equal(np.signbit(out[~np.isnan(x)]), np.signbit(x[~np.isnan(x)]))


def test_keys_and_structure_pass():
    tree = {"key": random.key(3), "x": (jnp.arange(3), None)}
    out = jax.jit(computed_once)(tree)
    assert jax.tree.structure(out) == jax.tree.structure(tree)
    assert jax.random.key_data(out["key"]).tolist() == [0, 3]


def test_gradient_is_that_of_the_identity():
    x = jnp.array([0.0, -2.0, 3.0])
    gradient = jax.jit(jax.grad(lambda x: (computed_once(x) ** 2).sum()))(x)
    np.testing.assert_array_equal(gradient, 2 * x)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="about XLA's CPU fusion")
def test_random_bits_are_computed_in_one_kernel():
    def readers(key):
        x = jax.random.uniform(key, (64,))
        # Sorted, so that the readers cannot become one kernel.
        return jnp.sort(x), jnp.sort(2 * x), jnp.sort(x + 1)

    text = jax.jit(readers).lower(random.key(0)).compile().as_text()
    kernels = re.findall(r"^%\w*fused_computation[.\d]* \(.*?^\}", text, re.MULTILINE | re.DOTALL)
    assert sum(kernel.count(" xor(") >= 20 for kernel in kernels) == 1


def test_what_is_not_due_is_left_alone():
    due, state = jnp.array([True, False, True]), {"x": jnp.arange(6.0).reshape((3, 2)), "n": jnp.arange(3)}
    # Where it is not due, it would spoil every number.
    change = lambda state: {"x": state["x"] / 0.0, "n": state["n"] + 1}
    many = jax.jit(jax.vmap(lambda due, state: only_where(due, change, state)))(due, state)
    for i in range(3):
        one = {name: x[i] for name, x in state.items()}
        wanted = change(one) if due[i] else one
        alone = jax.jit(lambda due, state: only_where(due, change, state))(due[i], one)
        for name, want in wanted.items():
            np.testing.assert_array_equal(many[name][i], want)
            np.testing.assert_array_equal(alone[name], want)
