"""A whole generation of evolution strategies, compiled as it is, on lives whose best schedule is known in closed form."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import tiny

from jaxrl_evolve import random
from jaxrl_evolve.meta.experiment import MetaExperiment, build_meta
from jaxrl_evolve.meta.generation import evolution_programs
from jaxrl_evolve.meta.movable import movable

UPDATES, ARMS = 20, 64


def live(key: Any, eta: Any, hp: Any, params: Any, updates: Any) -> Any:
    """A life that learns the values of bandits' arms from noisy rewards by ``q += a (r - q)``, where the step ``a`` is a
    logistic function of ``scale + slope n / N``. Its fitness is minus the mean squared error at the end.
    """
    del hp, params
    key_value, key_noise = jax.random.split(key)
    value = jax.random.normal(key_value, (ARMS,))
    noise = jax.random.normal(key_noise, (UPDATES, ARMS))

    def update(n: Any, q: Any) -> Any:
        step = jax.nn.sigmoid(eta["scale"] + eta["slope"] * n / updates)
        return q + step * (value + noise[n] - q)

    q = jax.lax.fori_loop(0, updates, update, jnp.zeros(ARMS))
    return -jnp.square(q - value).mean(), {"step": jax.nn.sigmoid(eta["scale"])}


def expected_error(scale: Any, slope: Any) -> np.ndarray:
    """The expectation of that error, exactly: what is left of the values' variance 1, and of each reward's noise."""
    error = np.ones(np.broadcast_shapes(np.shape(scale), np.shape(slope)))
    for n in range(UPDATES):
        step = 1 / (1 + np.exp(-(scale + slope * n / UPDATES)))
        error = (1 - step) ** 2 * error + step**2
    return error


SCALES, SLOPES = np.linspace(-5, 3, 161), np.linspace(-6, 3, 181)
GRID = expected_error(SCALES[:, None], SLOPES)
BEST, BEST_CONSTANT = float(GRID.min()), float(expected_error(SCALES, 0.0).min())


def experiment_of(config: Any) -> MetaExperiment:
    start = {"scale": jnp.float32(-2.0), "slope": jnp.float32(0.0)}
    return build_meta(config)._replace(lifetime=live, start=lambda key: start)


def config_of(**evolution: Any) -> Any:
    strategy = {"population": 32, "sigma": 0.3, "learning_rate": 0.15, **evolution}
    return tiny(horizons={"kind": "fixed", "high": UPDATES}, lanes=0, evolution=strategy)


def run(config: Any, generations: int = 60) -> tuple[Any, Any]:
    """The state and the metrics after that many generations, all of them one program."""
    programs = evolution_programs(config, experiment_of(config))
    state = programs.init(random.key(0), ())
    go = jax.jit(
        lambda state: jax.lax.scan(lambda s, _: programs.generation(s, ()), state, None, generations)
    )
    return go(state)


def test_the_best_schedule_is_a_falling_one_and_known():
    """Of all schedules the Kalman gain's is best, whose error is 1 / (N + 1); a line in the logit comes near it."""
    scale, slope = np.unravel_index(GRID.argmin(), GRID.shape)
    assert SLOPES[slope] < -1.5 and abs(SCALES[scale]) < 1.5
    assert 1 / (UPDATES + 1) < BEST < 0.053 < 0.062 < BEST_CONSTANT


@pytest.mark.parametrize("shaping", ["sign", "centred_rank"])
def test_evolution_finds_the_best_schedule(shaping: str):
    """Regression: with a sign turned round anywhere between weighing and stepping, evolution runs downhill as happily."""
    state, metrics = run(
        config_of(shaping=shaping, keys="generation" if shaping == "centred_rank" else "pair")
    )
    found = {name: float(leaf) for name, leaf in state.eta.items()}
    assert expected_error(**found) < BEST + 0.2 * (BEST_CONSTANT - BEST), found
    assert found["slope"] < -1.0
    fitness = np.asarray(metrics["fitness"])
    assert fitness[-10:].mean() > fitness[:5].mean()


def test_what_may_not_move_stays():
    state, _ = run(config_of(only=("slope",), weight_decay=0.1), 20)
    assert float(state.eta["scale"]) == -2.0 and float(state.optimiser.mu["scale"]) == 0.0
    assert float(state.eta["slope"]) < -0.3


def test_one_key_for_a_generation_is_the_same_life_for_every_pair_and_another_one_next_time():
    """With next to no noise all that tells pairs apart is their luck."""
    fitness = lambda **evolution: np.asarray(run(config_of(sigma=1e-6, **evolution), 2)[1]["fitness"])
    one, shared = fitness(keys="pair", population=2), fitness(keys="generation", population=16)
    # The first of a generation's keys does not depend on how many there are; steps are of one size.
    np.testing.assert_allclose(shared[0], one[0], rtol=1e-4)
    assert abs(shared[1] - shared[0]) > 1e-3


LIKE = {"time": np.zeros((2, 8, 4)), "input": np.zeros((8, 4)), "deep": {"b": np.zeros(3)}}


def test_parameters_are_named_by_leaves_rows_and_time_features():
    features = ("fraction", "log_horizon")
    assert movable((), LIKE) is None
    moves = lambda *only: jax.tree.map(lambda x: float(np.asarray(x).sum()), movable(only, LIKE, features))
    assert moves("time") == {"time": 64.0, "input": 0.0, "deep": {"b": 0.0}}
    assert moves("deep", "input.3") == {"time": 0.0, "input": 4.0, "deep": {"b": 3.0}}
    mask = np.asarray(movable(("time.log_horizon",), LIKE, features)["time"])
    assert mask[1].all() and not mask[0].any()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tme", "evolution.only has 'tme', which is no parameter: did you mean time"),
        ("time.periodic", r"'time.periodic', but time has 2 rows \(fraction, log_horizon\): give one of"),
        ("input.8", "'input.8', but input has 8 rows: give one of them, or 'input'"),
    ],
)
def test_what_is_no_parameter_is_one_sentence(name: str, message: str):
    with pytest.raises(ValueError, match=message):
        movable((name,), LIKE, ("fraction", "log_horizon"))
