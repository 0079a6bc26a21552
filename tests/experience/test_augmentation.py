"""Random changes of images: their ranges, both ends included, and what they leave alone."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_evolve.experience.augmentation import random_intensity, random_shift


@pytest.mark.parametrize("pad", [1, 4])
def test_every_shift_occurs_and_channels_move_together(pad: int):
    image = np.arange(12 * 11 * 2, dtype=np.float32).reshape(12, 11, 2)
    edges = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
    count = 600 * pad
    moved = np.asarray(random_shift(jax.random.key(0), jnp.asarray(np.stack([image] * count)), pad))
    seen = set()
    for one in moved:
        fits = [
            (y, x)
            for y in range(2 * pad + 1)
            for x in range(2 * pad + 1)
            if one[pad, pad, 0] == edges[y + pad, x + pad, 0]
        ]
        y, x = next((y, x) for y, x in fits if np.array_equal(one, edges[y : y + 12, x : x + 11]))
        seen.add((y, x))
    assert len(seen) == (2 * pad + 1) ** 2


def test_bytes_and_flags_stay_what_they_are():
    for dtype in (jnp.uint8, jnp.bool_):
        assert random_shift(jax.random.key(0), jnp.ones((2, 5, 5, 1), dtype), 2).dtype == dtype


def test_brightness_is_one_factor_of_bounded_size():
    images = jnp.ones((4_000, 3, 3, 2), jnp.float32)
    factor = np.asarray(random_intensity(jax.random.key(0), images, 0.05)).reshape(4_000, -1)
    assert (factor == factor[:, :1]).all()
    assert factor.min() == pytest.approx(0.9) and factor.max() == pytest.approx(1.1)
    assert factor.mean() == pytest.approx(1.0, abs=0.005) and factor.std() == pytest.approx(0.048, abs=0.003)
