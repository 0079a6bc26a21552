"""Keys whose generator is straight-line code are jax's own Threefry, bit for bit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_evolve import random
from jaxrl_evolve.storage.checkpoint import Checkpoints

DRAWS = {
    "split": lambda k: jax.random.key_data(jax.random.split(k, 7)),
    "split to a shape": lambda k: jax.random.key_data(jax.random.split(k, (3, 2))),
    "fold_in": lambda k: jax.random.key_data(jax.random.fold_in(k, 99)),
    "fold in a word": lambda k: jax.random.key_data(jax.random.fold_in(k, np.uint32(2**32 - 1))),
    "normal": lambda k: jax.random.normal(k, (5, 3)),
    "bytes": lambda k: jax.random.bits(k, (9,), jnp.uint8),
    "half words": lambda k: jax.random.bits(k, (9,), jnp.uint16),
    "permutation": lambda k: jax.random.permutation(k, 100),
    "rejection": lambda k: jax.random.gamma(k, 2.0, (3,)),
    "a batch of keys": lambda k: jax.vmap(lambda k: jax.random.uniform(k, (3,)))(jax.random.split(k, 4)),
    "in a loop": lambda k: jax.lax.scan(
        lambda k, _: (lambda a, b: (a, jax.random.bits(b)))(*jax.random.split(k)), k, None, 5
    )[1],
}


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("seed", [0, 123456789])
def test_same_bits_as_jax(name, seed):
    np.testing.assert_array_equal(
        jax.jit(DRAWS[name])(random.key(seed)), jax.jit(DRAWS[name])(jax.random.key(seed))
    )


def test_a_draw_is_no_loop():
    """The reason for all this: jax's generator compiles to a loop on CPU."""
    draw = lambda k: jax.random.bits(k, (64,))
    compiled = lambda k: jax.jit(draw).lower(k).compile().as_text()
    assert " while(" not in compiled(random.key(0))
    if jax.default_backend() == "cpu":
        assert " while(" in compiled(jax.random.key(0))


def test_keys_come_back_from_a_checkpoint(tmp_path):
    keys = {"many": jax.random.split(random.key(3), 4), "none": jax.random.split(random.key(3), 0)}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, keys)
        found, _ = checkpoints.restore(keys)
    for name in keys:
        assert found[name].dtype == keys[name].dtype
        np.testing.assert_array_equal(jax.random.key_data(found[name]), jax.random.key_data(keys[name]))


def test_too_many_numbers_are_refused():
    with pytest.raises(ValueError, match="fewer than 2\\*\\*32"):
        jax.jit(lambda k: jax.random.bits(k, (2**31, 2))).lower(random.key(0))


@pytest.mark.parametrize("seed", [-1, 2**32, 2**32 + 7, 2**63])
def test_seeds_that_would_lose_bits_are_refused(seed: int):
    with pytest.raises(ValueError, match=rf"seed is {seed}; it must be a whole number from 0 to 4294967295"):
        random.key(seed)


def test_keys_are_threefry_whatever_jax_makes_by_default():
    usual = jax.random.key_data(random.key(7))
    with jax.default_prng_impl("rbg"):
        np.testing.assert_array_equal(jax.random.key_data(random.key(7)), usual)


@pytest.mark.parametrize("make", [random.key, jax.random.key])
def test_numbers_in_the_shape_of_a_tree_are_those_of_a_key_for_each_leaf(make):
    tree = {
        "a": np.zeros((3, 4)),
        "b": [np.zeros(()), np.zeros((0, 2)), np.zeros(7)],
        "c": np.zeros((2, 1, 2)),
    }

    def each(key):
        leaves = jax.tree.leaves(tree)
        keys = jax.random.split(key, len(leaves))
        return [jax.random.normal(k, x.shape, jnp.float32) for k, x in zip(keys, leaves, strict=True)]

    keys = jax.random.split(make(3), 5)
    for over in (lambda f: f(keys[0]), lambda f: jax.jit(f)(keys[1]), lambda f: jax.jit(jax.vmap(f))(keys)):
        found = over(lambda key: random.normal_like(key, tree))
        assert jax.tree.structure(found) == jax.tree.structure(tree)
        for got, want in zip(jax.tree.leaves(found), over(each), strict=True):
            assert got.dtype == np.float32 and got.shape == want.shape
            np.testing.assert_array_equal(got, want)
    assert random.normal_like(keys[0], ()) == ()
    with pytest.raises(ValueError, match="key is one of rbg; it must be a Threefry key"):
        random.normal_like(jax.random.key(0, impl="rbg"), tree)
