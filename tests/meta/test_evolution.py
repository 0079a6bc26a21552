"""Evolution strategies: direction, fairness to ties and failures, and noise that is never stored."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import program

from jaxrl_evolve import random
from jaxrl_evolve.meta import evolution, horizons
from jaxrl_evolve.meta.evolution import (
    EvolutionConfig,
    ascent,
    evolve,
    init_evolution,
    member,
    noise,
    sigma_of,
)
from jaxrl_evolve.meta.horizons import HorizonConfig, mean_horizon

pair_weights = program(evolution.pair_weights, "shaping")
sample_horizons = program(horizons.sample_horizons, "config", "count")
SHAPINGS = ("sign", "difference", "scaled_difference", "centred_rank", "z_score")
NAN = float("nan")


@pytest.mark.parametrize("shaping", SHAPINGS)
def test_fitness_rises_on_a_quadratic(shaping: Any):
    config = EvolutionConfig(population=32, sigma=0.1, learning_rate=0.1, shaping=shaping)
    target = {"a": np.full((3,), 1.0, np.float32), "b": np.full((2, 2), -1.0, np.float32)}
    fitness = lambda eta: 10.0 - sum(jnp.sum((eta[k] - target[k]) ** 2) for k in target)

    def generation(state: Any, _: Any) -> Any:
        key, key_noise = jax.random.split(state.key)
        sigma = sigma_of(config, state.generation)
        keys = jax.random.split(key_noise, config.pairs)
        both = jnp.stack(
            [jax.vmap(lambda k, s=s: fitness(member(state.eta, k, sigma, s)))(keys) for s in (1.0, -1.0)], 1
        )
        weights, _ = evolution.pair_weights(both, shaping)
        gradient = ascent(weights, keys, state.eta, sigma)
        state, _ = evolve(config, state, gradient, key)
        return state, fitness(state.eta)

    @program
    def fifty(key: Any) -> Any:
        start = init_evolution(config, key, jax.tree.map(jnp.zeros_like, target))
        return jax.lax.scan(generation, start, None, 50)

    state, curve = fifty(random.key(0))
    assert curve[0] < 4.5
    assert curve[-1] > 9.8
    assert int(state.generation) == 50


def test_difference_shaping_estimates_the_gradient_without_bias():
    eta = {"x": np.float32([0.5, -1.0, 2.0])}
    slope = np.float32([1.0, -2.0, 0.5])

    @program
    def estimate(key: Any, eta: Any) -> Any:
        keys, sigma = jax.random.split(key, 20_000), jnp.float32(0.05)
        both = jnp.stack(
            [jax.vmap(lambda k, s=s: member(eta, k, sigma, s)["x"] @ slope)(keys) for s in (1.0, -1.0)], 1
        )
        return ascent(evolution.pair_weights(both, "difference")[0], keys, eta, sigma)["x"]

    gradient = estimate(random.key(1), eta)
    np.testing.assert_allclose(gradient, slope, atol=0.06)


def test_ties_count_nothing_and_failures_are_the_worst():
    fitness = np.float32([[1.0, 1.0], [2.0, 0.0], [NAN, 0.0], [0.0, np.inf], [NAN, -np.inf]])
    weights, failed = pair_weights(fitness, "sign")
    np.testing.assert_array_equal(weights, [0.0, 1.0, -1.0, 1.0, 0.0])
    assert int(failed) == 4
    for shaping in SHAPINGS:
        weights = pair_weights(fitness, shaping)[0]
        assert np.isfinite(weights).all(), shaping
        assert weights[0] == weights[4] == 0.0, shaping
        assert weights[1] > 0, shaping
        swapped = pair_weights(fitness[:, ::-1], shaping)[0]
        np.testing.assert_allclose(swapped, -weights, atol=1e-6)


@pytest.mark.parametrize("shaping", SHAPINGS)
def test_a_generation_of_failures_moves_nothing(shaping: Any):
    weights, failed = pair_weights(np.full((3, 2), NAN, np.float32), shaping)
    np.testing.assert_array_equal(weights, 0.0)
    assert int(failed) == 6


def test_centred_ranks_average_ties():
    fitness = np.float32([[3.0, 1.0], [1.0, 2.0]])
    # In ascending order 1, 1, 2, 3: ranks 0.5, 0.5, 2, 3 of 0 to 3, centred to [-1/2, 1/2].
    np.testing.assert_allclose(
        pair_weights(fitness, "centred_rank")[0], [(3 - 0.5) / 3, (0.5 - 2) / 3], rtol=1e-6
    )


def test_noise_is_a_function_of_its_key():
    eta = {"a": jnp.zeros((4,)), "b": jnp.zeros((2, 3))}
    key = random.key(7)
    jax.tree.map(np.testing.assert_array_equal, noise(key, eta), jax.jit(noise)(key, eta))
    plus, minus = (member(eta, key, jnp.float32(0.3), jnp.float32(s)) for s in (1.0, -1.0))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, -b), plus, minus)
    assert not np.array_equal(noise(random.key(8), eta)["a"], plus["a"] / 0.3)


def test_decay_of_noise_and_step():
    config = EvolutionConfig(
        sigma=0.5, sigma_decay=0.9, learning_rate=0.1, learning_rate_decay=0.5, learning_rate_floor=0.02
    )
    state = program(partial(init_evolution, config))(random.key(0), {"x": np.zeros(2, np.float32)})
    step = program(lambda state: evolve(config, state, {"x": jnp.ones(2)}, state.key))
    rates, sigmas = [], []
    for _ in range(5):
        state, metrics = step(state)
        rates.append(float(metrics["learning_rate"]))
        sigmas.append(float(metrics["sigma"]))
    np.testing.assert_allclose(rates, [0.1, 0.05, 0.025, 0.02, 0.02], rtol=1e-6)
    np.testing.assert_allclose(sigmas, 0.5 * 0.9 ** np.arange(5), rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"population": 5}, "population is 5; members come in antithetic pairs, so it must be even"),
        ({"population": 0}, "population is 0"),
        ({"sigma": 0.0}, "sigma is 0.0; it must be above 0"),
        ({"population": "x"}, "evolution.population is 'x'; it must be a whole number"),
        ({"sigma": None}, "evolution.sigma is None; it must be a finite number"),
        ({"learning_rate": (1,)}, r"evolution.learning_rate is \(1,\); it must be a finite number"),
    ],
)
def test_bad_settings_are_refused(changes: Any, message: str):
    with pytest.raises(ValueError, match=message):
        EvolutionConfig(**changes)


HORIZONS = [
    HorizonConfig("fixed", 10, 250),
    HorizonConfig("uniform", 10, 250),
    HorizonConfig("log_uniform", 10, 250),
    HorizonConfig("inverse_budget", choices=(20, 50, 100, 200)),
    HorizonConfig("curriculum", 10, 250),
    HorizonConfig("log_uniform", 1, 3),
]


@pytest.mark.parametrize("config", HORIZONS, ids=lambda c: f"{c.kind} {c.low}")
def test_horizons_stay_in_their_range_with_their_mean(config: HorizonConfig):
    n = sample_horizons(config, random.key(3), 100_000, np.float32(1.0))
    assert n.dtype == np.int32
    assert config.range == (n.min(), n.max())
    # Rounding to whole numbers moves the mean of short ranges by a per cent or two.
    np.testing.assert_allclose(n.mean(), mean_horizon(config), rtol=0.02)


def test_log_uniform_10_to_250_has_the_published_mean_and_median():
    n = sample_horizons(HorizonConfig(), random.key(0), 200_000, np.float32(0.0))
    assert abs(n.mean() - 74.7) < 1.0
    assert abs(np.median(n) - 50) <= 1


def test_inverse_budget_gives_every_choice_equal_experience():
    config = HORIZONS[3]
    n = sample_horizons(config, random.key(1), 200_000, np.float32(0.0))
    experience = np.array([(n == c).sum() * c for c in config.choices])
    np.testing.assert_allclose(experience / experience.mean(), 1.0, rtol=0.03)


def test_the_curriculum_grows():
    config = HorizonConfig("curriculum", 10, 250)
    highest = [int(sample_horizons(config, random.key(0), 5_000, np.float32(p)).max()) for p in (0, 0.5, 1)]
    assert highest[0] <= 11
    assert 45 <= highest[1] <= 51
    assert highest[2] >= 240


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"low": 0}, "horizons.low is 0 and horizons.high 250; 1 <= low <= high must hold"),
        ({"low": 300}, "horizons.low is 300"),
        ({"low": None}, "horizons.low is None; it must be a whole number"),
        ({"kind": "inverse_budget", "choices": ()}, r"horizons.choices is \(\); 'inverse_budget' needs"),
    ],
)
def test_bad_horizons_are_refused(changes: Any, message: str):
    with pytest.raises(ValueError, match=message):
        HorizonConfig(**changes)
