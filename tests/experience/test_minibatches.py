"""Minibatches: every sample once per epoch, for each way of shuffling and many sizes."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from compiled import program

from jaxrl_evolve.experience.minibatches import (
    MIN_BLOCKS,
    block_size,
    check_minibatches,
    make_minibatches,
)

SIZES = [(1, 1, 1), (1, 6, 3), (4, 4, 4), (6, 1, 2), (5, 12, 4), (16, 8, 8), (10, 7, 7), (128, 4, 4)]


@pytest.mark.parametrize(
    ("shuffle", "length", "num_envs", "minibatches"),
    [
        (shuffle, *size)
        for shuffle in ("blocks", "samples", "envs")
        for size in SIZES
        if shuffle != "envs" or size[1] % size[2] == 0
    ],
)
def test_every_sample_occurs_once_per_epoch(shuffle: Any, length: int, num_envs: int, minibatches: int):
    plan = make_minibatches(shuffle, length, num_envs, minibatches)
    # Two leaves of different shape that name each sample: they must stay together.
    names = np.arange(length * num_envs).reshape(length, num_envs)
    tree = {"name": names, "pair": np.stack([names, -names], -1)}
    epochs = 3

    @program
    def drawn(key: Any, tree: Any) -> Any:
        rows = plan.permutations(key, epochs)
        return rows, jax.lax.map(lambda row: plan.take(tree, row), rows)

    rows, batches = drawn(jax.random.key(0), tree)
    assert rows.dtype == np.int32
    assert rows.shape[0] == epochs * minibatches
    taken = [{name: x[i] for name, x in batches.items()} for i in range(len(rows))]
    size = length * num_envs // minibatches
    for batch in taken:
        assert batch["name"].size == size
        np.testing.assert_array_equal(batch["pair"], np.stack([batch["name"], -batch["name"]], -1))
    for epoch in range(epochs):
        seen = np.concatenate([np.ravel(b["name"]) for b in taken[epoch * minibatches :][:minibatches]])
        np.testing.assert_array_equal(np.sort(seen), names.ravel())


def test_epochs_and_keys_differ():
    plan = make_minibatches("samples", 8, 8, 4)
    permutations = program(plan.permutations, "epochs")
    rows = permutations(jax.random.key(0), epochs=2).reshape(2, -1)
    assert (rows[0] != rows[1]).any()
    assert (rows[0] != permutations(jax.random.key(1), epochs=1).ravel()).any()


def test_whole_environments_keep_their_order_in_time_and_their_slots():
    plan = make_minibatches("envs", 5, 6, 2)
    data, row = np.arange(30).reshape(5, 6), np.asarray([4, 0, 2], np.int32)
    np.testing.assert_array_equal(program(plan.take)(data, row), np.arange(30).reshape(5, 6)[:, [4, 0, 2]])
    np.testing.assert_array_equal(program(plan.take_slots)(np.arange(6), row), [4, 0, 2])


def test_blocks_are_neighbours_of_one_time_step():
    length, num_envs, minibatches = 128, 64, 8
    block = block_size(length, num_envs, minibatches)
    assert block > 1
    plan = make_minibatches("blocks", length, num_envs, minibatches)
    data = np.arange(length * num_envs).reshape(length, num_envs)
    taken = program(lambda key, data: plan.take(data, plan.permutations(key, 1)[0]))(jax.random.key(0), data)
    assert taken.shape == (length * num_envs // minibatches // block, block)
    np.testing.assert_array_equal(taken, taken[:, :1] + np.arange(block))
    np.testing.assert_array_equal(taken[:, 0] // num_envs, taken[:, -1] // num_envs)


@pytest.mark.parametrize(
    ("length", "num_envs", "minibatches"), SIZES + [(128, 64, 8), (16, 1024, 8), (10, 2048, 32)]
)
def test_block_sizes_divide_and_mix(length: int, num_envs: int, minibatches: int):
    block = block_size(length, num_envs, minibatches)
    total = length * num_envs
    assert num_envs % block == 0
    assert (total // block) % minibatches == 0
    divisors = [d for d in range(1, num_envs + 1) if num_envs % d == 0 and (total // d) % minibatches == 0]
    mixed = [d for d in divisors if total // d // minibatches >= MIN_BLOCKS]
    assert block == (max(mixed) if mixed else 1)


@pytest.mark.parametrize(
    ("shuffle", "minibatches", "message"),
    [
        (
            "samples",
            5,
            "minibatches is 5; it must divide num_envs \\* rollout_length = 32 \\(for example 1, 2, 4, 8",
        ),
        ("blocks", 0, "minibatches is 0"),
        ("envs", 3, "minibatches is 3; it must divide num_envs = 8 \\(for example 1, 2, 4, 8\\)"),
        ("envs", -1, "minibatches is -1"),
    ],
)
def test_sizes_that_do_not_divide_are_refused(shuffle: Any, minibatches: int, message: str):
    with pytest.raises(ValueError, match=message):
        check_minibatches(shuffle, 4, 8, minibatches)
    with pytest.raises(ValueError, match=message):
        make_minibatches(shuffle, 4, 8, minibatches)
