"""Threefry keys whose generator is straight-line code.

On CPU, jax compiles each call of its Threefry generator into a loop of small kernels. In a simulation
step a few such loops cost more than the step. Here the same generator (Salmon et al. 2011, Threefry-2x32
with 20 rounds) is written without a loop, so XLA fuses each call into one kernel; keys, splits and bits
are those of jax's own ``threefry2x32``, bit for bit.
"""

from __future__ import annotations

import enum
import math
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.random import define_prng_impl
from jaxtyping import Array, UInt32

from jaxrl_envs.fusion import computed_once
from jaxrl_envs.seeds import key_of


class KeyTag(enum.IntEnum):
    """Numbers that set one use of randomness apart from all others that grow from the same seed.

    They are folded into a key (``jax.random.fold_in(key, KeyTag.EVALUATION)``). Changing one changes results. Not all uses have
    one: tests level by level, searches for answers and tournaments grow from the root of their seed as runs do, so under a
    training's own seed they read its keys; an objective's parameters are drawn by the key of a training's seed 1.
    """

    EVALUATION = 0x45564C
    """Evaluations, so that how often there is one does not change training; of a run folder anew, at its root."""
    FILMS = 0x46494C4D
    """Episodes that are drawn."""
    SWEEP_DRAWS = 0x5357
    """Points of a random search."""
    TASKS = 0x5441534B
    """Choices of a curriculum, apart from the agent's."""
    SCOUTS = 0x53434F54
    """What a curriculum's scouts play, apart from its choices."""
    META_TESTS = 0x54455354
    """Held-out lives of a meta-training."""
    REPORTED_TASKS = 0x4D545354
    """Tasks that a meta-test reports: none of meta-training, of its held-out tests, or of the tuning."""
    REPRESENTATION = 0x52455052
    """What a representation objective draws, so that the learner is the same as without."""
    VALIDATION_TASKS = 0x56414C44
    """Tasks that a meta-test tunes on."""
    STEP_SIZES = 0x53544550
    """Step sizes of agents that are drawn per life in meta-training."""
    TEST_LEVELS = 0x4C564C53
    """Levels that agents are tested on, apart from those that they are trained on."""
    PROBE = 0x50524F42
    """Tasks of a probe set, apart from those that agents are trained and tested on."""
    TUNED_GAMES = 0x47414D45
    """Plays of a game that tune the numbers of a method, none of which is reported."""
    SNAPSHOTS = 0x534E4150
    """Which policies of before are kept, so that the learner is the same as without."""
    COMPARED = 0x434F4D50
    """Which of the episodes that ended are compared where there is no room for all, so that labels are the same as with room."""
    PROPOSALS = 0x50524F50
    """What is proposed in each cycle of a loop of generated environments."""


_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)


def _threefry(key: UInt32[Array, "2 ..."], x0: Array, x1: Array) -> tuple[Array, Array]:
    """Encrypt the counters ``(x0, x1)``, uint32 arrays of one shape, by one key or by a key for each."""
    schedule = (key[0], key[1], key[0] ^ key[1] ^ _PARITY)
    x0, x1 = x0 + schedule[0], x1 + schedule[1]
    for group in range(5):
        for distance in _ROTATIONS[group % 2]:
            x0 = x0 + x1
            x1 = (x1 << np.uint32(distance)) | (x1 >> np.uint32(32 - distance))
            x1 = x0 ^ x1
        x0 = x0 + schedule[(group + 1) % 3]
        x1 = x1 + schedule[(group + 2) % 3] + np.uint32(group + 1)
    return x0, x1


def _counters(shape: tuple[int, ...]) -> tuple[Array, Array]:
    """High and low words of ``0, 1, 2, …`` in C order."""
    size = math.prod(shape)
    if size >= 2**32:
        raise ValueError(f"shape is {shape}, {size} numbers; one call draws fewer than 2**32")
    low = jnp.arange(size, dtype=jnp.uint32).reshape(shape)
    return jnp.zeros(shape, jnp.uint32), low


def _seed(seed: Array) -> Array:
    words = jnp.asarray(seed)
    if words.dtype.itemsize <= 4:
        return jnp.stack([jnp.zeros((), jnp.uint32), words.astype(jnp.uint32)])
    return jnp.stack([(words >> 32).astype(jnp.uint32), words.astype(jnp.uint32)])


# Inlined where they are traced; one program each, not one for every operation, where they are not.
@partial(jax.jit, static_argnums=1, inline=True)
def _split_program(key: Array, shape: tuple[int, ...]) -> Array:
    return computed_once(jnp.stack(_threefry(key, *_counters(tuple(shape))), axis=-1))


@partial(jax.jit, inline=True)
def _fold_in_program(key: Array, data: Any) -> Array:
    words = _seed(jnp.asarray(data, jnp.uint32))
    return computed_once(jnp.stack(_threefry(key, words[0], words[1])))


@partial(jax.jit, static_argnums=(1, 2), inline=True)
def _random_bits_program(key: Array, bit_width: int, shape: tuple[int, ...]) -> Array:
    return _bits(*_threefry(key, *_counters(tuple(shape))), bit_width)


def _bits(high: Array, low: Array, bit_width: int) -> Array:
    if bit_width == 64:
        return computed_once((high.astype(jnp.uint64) << 32) | low.astype(jnp.uint64))
    return computed_once((high ^ low).astype(jnp.dtype(f"uint{bit_width}")))


# Plain functions, which can be pickled by their names: a stored executable tells its keys' implementation so.
def _split(key: Array, shape: tuple[int, ...]) -> Array:
    return _split_program(key, tuple(shape))


def _fold_in(key: Array, data: Any) -> Array:
    return _fold_in_program(key, data)


def _random_bits(key: Array, bit_width: int, shape: tuple[int, ...]) -> Array:
    return _random_bits_program(key, bit_width, tuple(shape))


IMPLEMENTATION = define_prng_impl(
    key_shape=(2,),
    seed=_seed,
    split=_split,
    random_bits=_random_bits,
    fold_in=_fold_in,
    name="threefry2x32_fused",
    tag="fry_fused",
)
"""The implementation, for `jax.random.wrap_key_data` and `jax.random.key`."""


def key(seed: int) -> Array:
    """A typed key with the value of jax's Threefry ``jax.random.key(seed)``, drawing the same numbers faster on CPU.

    Raises:
        ValueError: the seed is below 0 or has more than 32 bits, which jax would drop without a word.
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed}; it must be a whole number from 0 to {2**32 - 1}")
    return fused(key_of(seed))


def fused(keys: Array) -> Array:
    """The same keys (any shape) under this implementation."""
    return jax.random.wrap_key_data(jax.random.key_data(keys), impl=IMPLEMENTATION)


def normal_like(key: Array, tree: Any) -> Any:
    """Standard normal numbers for each leaf of a tree, float32 in its shape: those of ``jax.random.normal`` by the keys of
    ``jax.random.split(key, leaves)``, drawn in one row.

    So a program has the generator once, and not once for each leaf.

    Args:
        key: a Threefry key, jax's or this module's.
        tree: arrays, of which only the shapes are read.

    Raises:
        ValueError: the key is of another generator.
    """
    if (kind := str(jax.random.key_impl(key))) not in ("threefry2x32", str(IMPLEMENTATION)):
        raise ValueError(
            f"key is one of {kind}; it must be a Threefry key, such as jaxrl_evolve.random.key makes"
        )
    leaves, structure = jax.tree.flatten(tree)
    if not leaves:
        return tree
    sizes = tuple(math.prod(jnp.shape(x)) for x in leaves)
    row = jax.random.normal(_one_key(jax.random.split(key, len(leaves)), sizes), (sum(sizes),), jnp.float32)
    parts = jnp.split(computed_once(row), np.cumsum(sizes)[:-1])
    return jax.tree.unflatten(
        structure, [y.reshape(jnp.shape(x)) for x, y in zip(leaves, parts, strict=True)]
    )


def _one_key(keys: Array, sizes: tuple[int, ...]) -> Array:
    """A key for a row of numbers, of which so many in turn are drawn by each of the ``keys``."""
    return jax.random.wrap_key_data(jax.random.key_data(keys).reshape(-1), impl=_by_turns(sizes))


@lru_cache
def _by_turns(sizes: tuple[int, ...]) -> Any:
    whose, size = np.repeat(np.arange(len(sizes)), sizes), sum(sizes)
    place = np.arange(size) - np.repeat(np.cumsum(sizes) - sizes, sizes)

    def random_bits(key: Array, bit_width: int, shape: tuple[int, ...]) -> Array:
        assert shape == (size,)
        words = key.reshape((len(sizes), 2))[whose].T
        low = jnp.asarray(place, jnp.uint32)
        return _bits(*_threefry(words, jnp.zeros_like(low), low), bit_width)

    def none(*_: Any) -> Array:
        raise NotImplementedError("a key of many draws one row and nothing else")

    return define_prng_impl(
        key_shape=(2 * len(sizes),),
        seed=none,
        split=none,
        random_bits=random_bits,
        fold_in=none,
        name="by_turns",
    )


def implementation(name: str) -> Any:
    """What jax takes as ``impl`` for an implementation's name, ``str(jax.random.key_impl(keys))``."""
    return IMPLEMENTATION if name == str(jax.random.key_impl(key(0))) else name
