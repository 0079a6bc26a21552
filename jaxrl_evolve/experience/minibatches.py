"""Minibatches of a rollout: which samples go together, and how cheaply they are fetched.

Shuffling single samples of ``[T, N]`` data means sorting ``T * N`` random numbers an epoch and gathering
rows of a few bytes. On CPU that can cost more than the gradients of a small network. Samples of one time
step come from ``N`` unrelated episodes and lie next to each other in memory, so shuffling *blocks* of them
gives minibatches nearly as mixed for a fraction of the time. Recurrent policies need whole sequences and
shuffle environments.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

Shuffle = Literal["blocks", "samples", "envs"]

MIN_BLOCKS = 16
"""Blocks that a minibatch should be mixed from at the least, where the sizes allow it."""


class Minibatches(NamedTuple):
    """How to cut ``[T, N, ...]`` data into minibatches.

    Attributes:
        permutations: ``(key, epochs) -> int32 [epochs * minibatches, rows]``; within an epoch every row
            occurs exactly once. A single minibatch is one row, the rollout as it is.
        take: ``(tree [T, N, ...], rows) -> tree [t, n, ...]``.
        take_slots: ``(tree [N, ...], rows) -> tree [n, ...]``; only for ``"envs"``.
    """

    permutations: Callable[[Array, int], Int[Array, "M R"]]
    take: Callable[[Any, Array], Any]
    take_slots: Callable[[Any, Array], Any]


def divisors(number: int) -> list[int]:
    """All of them, in rising order."""
    low = [d for d in range(1, math.isqrt(number) + 1) if number % d == 0]
    return sorted({*low, *(number // d for d in low)})


def block_size(length: int, num_envs: int, minibatches: int) -> int:
    """Environments per block: the largest divisor of ``num_envs`` that leaves every minibatch an equal
    number of blocks, and at least `MIN_BLOCKS` of them if any divisor does.
    """
    total = length * num_envs
    fitting = [d for d in divisors(num_envs) if (total // d) % minibatches == 0]
    mixed = [d for d in fitting if total // d // minibatches >= MIN_BLOCKS]
    return max(mixed) if mixed else min(fitting)


def permutation(key: Array, size: int) -> Int[Array, " size"]:
    """A random order of ``0 .. size - 1``.

    Up to 4096 rows, each row's number fills the low bits of its random number: sorting single integers takes
    a third of the time of sorting pairs. At least 20 random bits decide, so ties, which keep their order, are
    too rare to matter.
    """
    bits = (size - 1).bit_length()
    if bits > 12:
        return jax.random.permutation(key, size).astype(jnp.int32)
    low = jnp.uint32(2**bits - 1)
    tagged = (jax.random.bits(key, (size,), jnp.uint32) & ~low) | jnp.arange(size, dtype=jnp.uint32)
    return (jnp.sort(tagged, stable=False) & low).astype(jnp.int32)


def check_minibatches(shuffle: Shuffle, length: int, num_envs: int, minibatches: int) -> None:
    """Refuse sizes that don't divide.

    Raises:
        ValueError: naming the sizes and the divisors that would do.
    """
    size = num_envs if shuffle == "envs" else length * num_envs
    if minibatches < 1 or size % minibatches:
        near = sorted(divisors(size), key=lambda d: abs(d - minibatches))[:4]
        what = "num_envs" if shuffle == "envs" else "num_envs * rollout_length"
        raise ValueError(
            f"minibatches is {minibatches}; it must divide {what} = {size} (for example "
            f"{', '.join(map(str, sorted(near)))})"
        )


def make_minibatches(shuffle: Shuffle, length: int, num_envs: int, minibatches: int) -> Minibatches:
    """Plan the minibatches of ``[length, num_envs]`` rollouts.

    Raises:
        ValueError: if the sizes don't divide.
    """
    check_minibatches(shuffle, length, num_envs, minibatches)
    if minibatches == 1:  # The whole rollout, whose order does not matter: nothing to draw or to move.
        same = lambda tree, index: tree
        return Minibatches(lambda key, epochs: jnp.zeros((epochs, 1), jnp.int32), same, same)
    if shuffle == "envs":
        rows = num_envs
        take = lambda tree, index: jax.tree.map(lambda x: x[:, index], tree)
    else:
        block = 1 if shuffle == "samples" else block_size(length, num_envs, minibatches)
        rows = length * num_envs // block
        take = lambda tree, index: jax.tree.map(lambda x: x.reshape((rows, block, *x.shape[2:]))[index], tree)

    def permutations(key: Array, epochs: int) -> Array:
        keys = jax.random.split(key, epochs)
        order = jax.vmap(lambda k: permutation(k, rows))(keys)
        return order.reshape((epochs * minibatches, rows // minibatches))

    def take_slots(tree: Any, index: Array) -> Any:
        return jax.tree.map(lambda x: x[index], tree)

    return Minibatches(permutations, take, take_slots)
