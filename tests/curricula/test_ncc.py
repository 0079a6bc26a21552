"""NCC's ascent: where it ends for scores that stay as they are, and what it projects onto."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from compiled import program
from toys import coins

from jaxrl_evolve.curricula.level_buffer import NEW, init_buffer
from jaxrl_evolve.curricula.levels import ncc as module
from jaxrl_evolve.curricula.levels.ncc import ncc, project
from jaxrl_evolve.curricula.levels.options import LevelOptions
from jaxrl_evolve.curricula.levels.replay import LevelState

ENTROPY = 0.05
"""The default weight."""


def ascent(monkeypatch: Any, **options: Any) -> Any:
    """``(y, scores, filled) -> y``, an update of the curriculum with these options, scores being what they are."""
    rules, make = [], module.level_curriculum

    def made(name: Any, env: Any, options: Any, rule: Any) -> Any:
        rules.append(rule)
        return make(name, env, options, rule)

    monkeypatch.setattr(module, "level_curriculum", made)
    ncc(coins(), 16, **options)
    rule = rules[0]

    def moved(y: Any, scores: Any, filled: Any) -> Any:
        held = init_buffer(LevelOptions(capacity=y.size), coins().params)
        buffer = replace(held, scores=scores, numbers=jnp.where(filled, jnp.arange(y.size), NEW))
        state = LevelState(buffer, y)
        return rule.trained(LevelOptions(), state, state, buffer.numbers).aside

    return program(moved)


def optimum(scores: np.ndarray, least: float) -> np.ndarray:
    """The best distribution with at least ``least`` each, by bisection of the factor of ``exp(score / entropy)``."""
    weights = np.exp((scores - scores.max()) / ENTROPY)
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(middle * weights, least).sum() < 1 else (low, middle)
    return np.maximum(low * weights, least)


def objective(y: np.ndarray, scores: np.ndarray) -> float:
    return float(y @ scores - ENTROPY * (y * np.log(y)).sum())


@pytest.mark.parametrize("capacity", [10, 100, 1_000, 8_000])
def test_the_ascent_reaches_the_best_distribution_at_every_size_of_the_buffer(
    capacity: int, monkeypatch: Any
):
    moved = ascent(monkeypatch)
    scores = np.random.default_rng(capacity).uniform(0.0, 0.25, capacity).astype(np.float32)
    y, everyone = np.full(capacity, 1 / capacity, np.float32), np.ones(capacity, bool)
    best = optimum(scores.astype(np.float64), 1e-5)
    reached = [objective(np.asarray(y, np.float64), scores)]
    for _ in range(40):
        y = moved(y, scores, everyone)
        reached.append(objective(np.asarray(y, np.float64), scores))
    assert np.diff(reached).min() > -1e-5  # it never falls
    assert reached[-1] == pytest.approx(objective(best, scores), abs=1e-4)
    assert np.abs(np.asarray(y) - best).sum() < 1e-3


def test_without_an_entropy_the_best_level_has_all_that_is_left(monkeypatch: Any):
    moved = ascent(monkeypatch, entropy=0.0, step=1_000.0)
    filled = np.array([True, True, True, False])
    y = moved(np.full(4, 0.25, np.float32), np.float32([0.1, 0.3, 0.2, np.nan]), filled)
    np.testing.assert_allclose(y, [1e-5, 1 - 2e-5, 1e-5, 0.0], rtol=1e-5)
    np.testing.assert_allclose(
        ascent(monkeypatch, step=0.0)(y, np.float32([1, 2, 3, 4]), filled), y, rtol=1e-5
    )


def test_it_projects_onto_distributions():
    weights, allowed = np.array([5.0, 0.2, 3.0, 0.1, 7.0], np.float32), np.array([1, 1, 1, 1, 0], bool)
    onto = program(project, "least")
    found = onto(np.log(weights), allowed, 0.1)
    # Those above the least keep their proportion.
    np.testing.assert_allclose(found, [0.8 * 5 / 8, 0.1, 0.8 * 3 / 8, 0.1, 0.0], rtol=1e-5)
    assert not onto(np.log(weights), np.zeros(5, bool)).any()
    # So many that the least of each were more than everything.
    found = onto(np.array([9.0, 0.0, 0.0, 0.0, 0.0], np.float32), np.ones(5, bool), 0.5)
    np.testing.assert_allclose(found, [0.6, 0.1, 0.1, 0.1, 0.1], atol=1e-3)
    assert float(jnp.sum(found)) == pytest.approx(1.0)
