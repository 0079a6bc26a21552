"""Distributions of returns on atoms, against a loop."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from jaxrl_evolve.objectives.categorical import atoms_between, cross_entropy, entropy, projected


def by_hand(atoms: np.ndarray, probability: np.ndarray, reward: float, discount: float) -> np.ndarray:
    """Algorithm 1 of Bellemare et al. 2017."""
    low, high, spacing = atoms[0], atoms[-1], atoms[1] - atoms[0]
    out = np.zeros_like(probability)
    for atom, p in zip(atoms, probability, strict=True):
        b = min((np.clip(reward + discount * atom, low, high) - low) / spacing, len(atoms) - 1)
        below = int(np.floor(b))
        out[below] += p * (1 - (b - below))
        if b > below:
            out[below + 1] += p * (b - below)
    return out


def test_projections_are_those_of_the_published_loop():
    rng = np.random.default_rng(0)
    atoms = atoms_between(-10.0, 10.0, 51)
    probability = rng.dirichlet(np.ones(51), size=64).astype(np.float32)
    reward = rng.normal(0, 6, 64).astype(np.float32)
    discount = rng.choice([0.0, 0.5, 0.99**10, 1.0], 64).astype(np.float32)
    reward[:4], discount[:4] = [0.0, 0.4, 30.0, -30.0], [1.0, 1.0, 0.9, 0.0]
    found = projected(atoms, jnp.asarray(probability), jnp.asarray(reward), jnp.asarray(discount))
    expected = [
        by_hand(np.asarray(atoms, np.float64), *row)
        for row in zip(probability, reward, discount, strict=True)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-4)  # near an atom a place is known to float32 only
    np.testing.assert_allclose(found.sum(1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(found[0], probability[0], atol=1e-5)


def test_cross_entropy_less_entropy_is_the_divergence():
    target = jnp.array([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]])
    logits = jnp.log(jnp.array([[0.25, 0.25, 0.5], [0.1, 0.8, 0.1]]))
    np.testing.assert_allclose(cross_entropy(target, logits), [np.log(4), -np.log(0.8)], rtol=1e-6)
    np.testing.assert_allclose(entropy(target), [np.log(2), 0.0], rtol=1e-6)
