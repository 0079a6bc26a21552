"""Running statistics against NumPy over everything seen."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_evolve.experience.normalisation import ReturnScale, RunningMoments


@pytest.mark.parametrize("shape", [(), (3,), (4, 2)])
def test_moments_are_those_of_all_batches_together(shape: tuple[int, ...]):
    rng = np.random.default_rng(0)
    batches = [
        (rng.normal(size=(t, n, *shape)) * 10**i + 100 * i).astype(np.float32)
        for i, (t, n) in enumerate([(5, 3), (1, 1), (2, 8), (30, 4)])
    ]
    moments = RunningMoments.of_shape(shape)
    merge = jax.jit(RunningMoments.merge)
    for i, batch in enumerate(batches):
        moments = merge(moments, jnp.asarray(batch))
        together = np.concatenate([b.reshape(-1, *shape) for b in batches[: i + 1]]).astype(np.float64)
        assert float(moments.count) == len(together)
        np.testing.assert_allclose(moments.mean, together.mean(0), rtol=2e-4, atol=1e-3)
        if len(together) > 15:
            np.testing.assert_allclose(moments.variance, together.var(0), rtol=2e-3)


@pytest.mark.parametrize("shape", [(), (3,)])
def test_only_samples_that_count_are_merged(shape: tuple[int, ...]):
    """Whatever the others hold, and also where none counts."""
    rng = np.random.default_rng(0)
    merge = jax.jit(RunningMoments.merge)
    moments, seen = RunningMoments.of_shape(shape), np.zeros((0, *shape))
    for share in (0.0, 0.4, 0.0, 1.0):
        batch = rng.normal(3.0, 2.0, (6, 5, *shape)).astype(np.float32)
        counted = rng.random((6, 5)) < share
        moments = merge(moments, np.where(counted.reshape(6, 5, *[1] * len(shape)), batch, np.nan), counted)
        seen = np.concatenate([seen, batch[counted]])
        assert float(moments.count) == len(seen)
        expected = (seen.mean(0), seen.var(0)) if len(seen) else (np.zeros(shape), np.ones(shape))
        np.testing.assert_allclose(moments.mean, expected[0], rtol=1e-5)
        np.testing.assert_allclose(moments.variance, expected[1], rtol=1e-4)


def test_moments_of_a_batch_far_from_zero_keep_their_variance():
    data = np.random.default_rng(0).normal(1000.0, 0.5, (50, 40)).astype(np.float32)
    moments = RunningMoments.of_shape(())
    for row in data:
        moments = moments.merge(jnp.asarray(row))
    assert float(moments.variance) == pytest.approx(data.astype(np.float64).var(), rel=0.02)


def test_the_first_batch_is_taken_as_it_is():
    """A prior at zero, of whatever small weight, would add the square of the mean to the variance."""
    data = np.random.default_rng(1).normal(1e5, 0.1, (64, 16)).astype(np.float32)
    moments = RunningMoments.of_shape(()).merge(jnp.asarray(data))
    exact = data.astype(np.float64)  # what float32 leaves of it: its numbers lie 1/128 apart there
    assert float(moments.variance) == pytest.approx(exact.var(), rel=0.01)
    assert float(moments.mean) == pytest.approx(exact.mean(), abs=0.01)
    np.testing.assert_array_equal(RunningMoments.of_shape(()).normalise(jnp.float32(3.0)), 3.0)


def test_integer_observations_are_counted_as_numbers():
    batch = np.random.default_rng(0).integers(0, 256, (6, 5, 2)).astype(np.uint8)
    moments = RunningMoments.of_shape((2,)).merge(jnp.asarray(batch))
    np.testing.assert_allclose(moments.mean, batch.reshape(-1, 2).mean(0), rtol=1e-4)
    assert moments.normalise(jnp.asarray(batch)).dtype == jnp.float32


def test_normalising_centres_scales_and_clips():
    moments = RunningMoments(jnp.float32(9.0), jnp.asarray([1.0, -2.0]), jnp.asarray([4.0, 0.25]))
    out = moments.normalise(jnp.asarray([[5.0, -2.5], [1000.0, -1000.0]]))
    np.testing.assert_allclose(out, [[2.0, -1.0], [10.0, -10.0]], rtol=1e-5)
    out = moments.normalise(jnp.asarray([[1000.0, -1000.0]]), limit=3.0)
    np.testing.assert_allclose(out, [[3.0, -3.0]])


def test_before_anything_is_seen_observations_pass_unchanged():
    x = jnp.asarray([[-1.5, 0.0, 2.0]])
    np.testing.assert_allclose(RunningMoments.of_shape((3,)).normalise(x), x, rtol=1e-6)


def test_returns_are_scaled_by_a_slow_loops_standard_deviation():
    rng, num, gamma = np.random.default_rng(1), 4, 0.9
    scale, running, seen = ReturnScale.for_slots(num), np.zeros(num), []
    for length in (7, 1, 12):
        reward = rng.normal(2.0, 3.0, (length, num)).astype(np.float32)
        first = rng.random((length, num)) < 0.25
        scale = scale.merge(jnp.asarray(reward), jnp.asarray(first), jnp.float32(gamma))
        for t in range(length):
            # Whether the one before ended, or was left in the middle.
            running = np.where(first[t], 0.0, running) * gamma + reward[t]
            seen.append(running.copy())
        np.testing.assert_allclose(scale.running, running, rtol=1e-5)
        np.testing.assert_allclose(scale.moments.mean, np.mean(seen), rtol=1e-3)
        np.testing.assert_allclose(scale.moments.variance, np.var(seen), rtol=1e-3)
        # Not centred: signs stay.
        expected = np.clip(reward / np.std(seen), -10.0, 10.0)
        np.testing.assert_allclose(scale.scale(jnp.asarray(reward)), expected, rtol=1e-3)


def test_scaled_rewards_are_clipped():
    scale = ReturnScale.for_slots(1)
    np.testing.assert_array_equal(scale.scale(jnp.asarray([500.0, -500.0])), [10.0, -10.0])
    np.testing.assert_array_equal(scale.scale(jnp.asarray([500.0]), limit=2.0), [2.0])
