"""Estimates from windows of a life against the closed form of a linear-quadratic one, without an agent."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_evolve import random
from jaxrl_evolve.meta.windows import window_ascent, window_member

A = np.array([[0.9, 0.2], [-0.1, 0.8]])
B = np.array([[0.5, -0.3], [0.2, 0.4]])
GOAL = np.array([1.0, -2.0])
START = np.array([0.5, 0.5])
ETA = np.array([0.3, -0.2])
STEPS, WINDOW = 7, 3
DRAWS = 20_000


def closed_form(forgetful: bool) -> np.ndarray:
    """Gradient of ``sum over t of goal x_t - |x_t|^2 / 2`` by ``eta``, ``x_{t+1} = A x_t + B eta``.

    Args:
        forgetful: leave out how earlier windows have shaped the state that a window begins in.
    """
    x, slope, total = START, np.zeros((2, 2)), np.zeros(2)
    for t in range(STEPS):
        if forgetful and t % WINDOW == 0:
            slope = np.zeros((2, 2))
        x, slope = A @ x + B @ ETA, A @ slope + B
        total += slope.T @ (GOAL - x)
    return total


def sigma_at(window: int) -> Any:
    """Noise that shrinks from window to window."""
    return lambda ago: 0.5 * jnp.float32(0.7) ** (window - ago)


def draws(kind: str) -> np.ndarray:
    """Sums over a life of single pairs' estimates, ``[draws, 2]``."""
    eta = {"x": jnp.asarray(ETA, jnp.float32)}
    a, b, goal = (jnp.asarray(m, jnp.float32) for m in (A, B, GOAL))

    def pair(key: Any) -> Any:
        states = [jnp.asarray(START, jnp.float32)] * 2
        total = jnp.zeros(2)
        for window, begin in enumerate(range(0, STEPS, WINDOW)):
            sigma, number = sigma_at(window), jnp.int32(window)
            earned = []
            for i, sign in enumerate((1.0, -1.0)):
                own = window_member(kind, eta, key, number, sigma, sign)["x"]
                earned.append(0.0)
                for _ in range(begin, min(begin + WINDOW, STEPS)):
                    states[i] = a @ states[i] + b @ own
                    earned[i] += goal @ states[i] - 0.5 * states[i] @ states[i]
            weight = (earned[0] - earned[1])[None]
            total += window_ascent(kind, weight, key[None], number[None], sigma, eta)["x"]
        return total

    return np.asarray(jax.jit(jax.vmap(pair))(jax.random.split(random.key(0), DRAWS)), np.float64)


def off(estimates: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Distance of the mean from the truth, in standard errors."""
    return np.abs(estimates.mean(0) - truth) / (estimates.std(0) / np.sqrt(len(estimates)))


@pytest.mark.parametrize("kind", ["persistent", "reuse"])
def test_the_windows_of_a_life_add_up_to_its_gradient(kind: str):
    assert off(draws(kind), closed_form(False)).max() < 4.0


def test_forgotten_noise_is_biased_as_it_should_be():
    estimates = draws("truncated")
    assert off(estimates, closed_form(True)).max() < 4.0
    assert off(estimates, closed_form(False)).min() > 20.0


def test_the_sign_divides_a_windows_gradient_by_its_spread():
    """With noise of windows 0 to 2, each of its own slope: sqrt(2 / pi) * sum of slopes / their norm."""
    slopes = jnp.asarray([[1.0, 0.0], [0.5, -1.0], [-0.2, 0.3]])
    eta, sigma = {"x": jnp.zeros(2)}, lambda ago: jnp.float32(0.5)

    def pair(key: Any) -> Any:
        own = [window_member("persistent", eta, key, jnp.int32(w), sigma, 1.0)["x"] for w in range(3)]
        won = jnp.sign(sum(slope @ x for slope, x in zip(slopes, own, strict=True)))
        return window_ascent("persistent", won[None], key[None], jnp.asarray([2]), sigma, eta)["x"]

    votes = np.asarray(jax.jit(jax.vmap(pair))(jax.random.split(random.key(1), DRAWS)), np.float64)
    mean = np.sqrt(2 / np.pi) * slopes.sum(0) / np.linalg.norm(slopes)
    assert off(2 * 0.5 * votes, np.asarray(mean)).max() < 4.0


def test_pairs_of_any_age_stand_side_by_side():
    eta = {"x": jnp.zeros(3), "y": jnp.zeros((2, 2))}
    keys, windows = jax.random.split(random.key(2), 4), jnp.asarray([0, 3, 1, 2])
    weights = jnp.asarray([1.0, -2.0, 0.5, 3.0])
    summed = jax.jit(lambda *own: window_ascent("persistent", *own, sigma_at(3), eta))
    single = jax.vmap(lambda *own: summed(*(x[None] for x in own)))(weights, keys, windows)
    together = summed(weights, keys, windows)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b.sum(0), rtol=1e-5, atol=1e-6), together, single)
