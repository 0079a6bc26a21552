"""`stabilise`: an adapter's first tool."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from jaxrl_envs import Discrete, EnvStep, stabilise


@struct.dataclass
class Elementwise:
    """A state as suites have it that compare states entry by entry."""

    time: jax.Array
    cells: jax.Array

    def __eq__(self, other):
        return jnp.stack([jnp.asarray(self.time == other.time), (self.cells == other.cells).all()])


def test_states_may_define_what_equality_means():
    def reset(key, params):
        return jnp.zeros(3), Elementwise(0, jnp.zeros(2, jnp.int8))

    def step(key, state, action, params):
        state = Elementwise(state.time + 0.5, state.cells + jnp.int8(1))
        return EnvStep(jnp.ones(3), state, 1, False, state.time >= 1, {"n": 2})

    reset, step, obs = stabilise("suite", reset, step, (), Discrete(2))
    _, state = jax.jit(reset)(jax.random.key(0), ())
    out = jax.jit(step)(jax.random.key(0), state, jnp.int32(0), ())
    assert (obs.shape, obs.dtype) == ((3,), jnp.float32)
    # Reset's integer and step's number are one type, and so are the others; none of them is weak.
    for leaf, dtype in zip(
        jax.tree.leaves((state, out)),
        ["float32", "int8"] + ["float32"] * 2 + ["int8", "float32", "bool", "bool", "int32"],
        strict=True,
    ):
        assert (leaf.dtype.name, leaf.weak_type) == (dtype, False)
    assert (float(out.state.time), float(out.reward), bool(out.truncated)) == (0.5, 1.0, False)
    np.testing.assert_array_equal(out.state.cells, [1, 1])


def test_another_structure_or_shape_is_named():
    reset = lambda key, params: (jnp.zeros(3), jnp.zeros(2))
    step = lambda key, state, action, params: EnvStep(jnp.zeros(3), jnp.zeros(4), 0, False, False, {})
    with pytest.raises(ValueError, match=r"suite: \[1\] has shape \(2,\) after reset, \(4,\) after step"):
        stabilise("suite", reset, step, (), Discrete(2))
