"""Normalised scores: the ends of each scale, and what happens without constants."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from jaxrl_evolve.results.scores import SCALES, normalise, scale_of


@pytest.mark.parametrize("name", SCALES)
def test_each_scale_is_sound(name):
    scale = SCALES[name]
    assert scale.random < scale.reference
    assert scale.source
    assert scale.meaning in {"maximum", "solved", "tuned PPO", "human"}
    np.testing.assert_allclose(scale([scale.random, scale.reference]), [0, 1])
    if scale.solved is not None:
        assert scale.random < scale.solved <= scale.reference
    if "solved" in scale.meaning:
        assert scale.solved == scale.reference


def test_published_constants():
    """The numbers the library will be compared by; a change here must be deliberate."""
    references = {
        name.removesuffix("-MinAtar"): s.reference for name, s in SCALES.items() if "MinAtar" in name
    }
    assert references == {"Asterix": 15.0, "Breakout": 50.1, "Freeway": 61.8, "SpaceInvaders": 167.1}
    solved = {name: s.solved for name, s in SCALES.items() if s.solved is not None}
    assert solved == {
        "CartPole-v1": 475.0,
        "Acrobot-v1": -100.0,
        "MountainCar-v0": -110.0,
        "MountainCarContinuous-v0": 90.0,
        "Pendulum-v1": -200.0,
    }
    assert normalise("craftax/Craftax-Classic-Symbolic-v1", 11.0) == pytest.approx(0.5)
    assert normalise("craftax/Craftax-Symbolic-v1", 22.6) == pytest.approx(0.1)


def test_shape_is_kept_and_nan_stays():
    returns = np.array([[500.0, 22.6], [np.nan, 261.3]])
    np.testing.assert_allclose(normalise("CartPole-v1", returns), [[1, 0], [np.nan, 0.5]])
    assert normalise("CartPole-v1", 500.0).shape == ()


def test_options_make_another_task():
    assert scale_of("brax/ant") is None
    assert scale_of("brax/ant", backend="positional").reference == 6517.0
    assert scale_of("CartPole-v1", max_steps=200) is None


def test_unknown_environment_is_named_with_near_ones():
    assert scale_of("Nowhere-v0") is None
    with pytest.raises(ValueError, match=r"'Cartpole-v1'; near names that have: CartPole-v1"):
        normalise("Cartpole-v1", [1.0])
    with pytest.raises(ValueError, match=r"known for the environment 'xyz'$"):
        normalise("xyz", [1.0])


def test_importing_it_does_not_import_jax():
    code = "import sys, jaxrl_evolve.results.scores; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
