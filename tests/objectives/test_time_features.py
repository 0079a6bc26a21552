"""Time features and clock ablations against plain formulas."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_evolve.clock import Clock
from jaxrl_evolve.objectives import ClockAblation, HorizonRange, TimeFeatures

RANGE = HorizonRange(10, 250, "updates")
ALL = TimeFeatures(("log_horizon", "fraction", "remaining", "periodic"), RANGE, (1.0, 3.0))


def at(step: float, horizon: float, unit: str = "updates") -> Clock:
    return Clock.at(step, horizon, unit=unit)


@pytest.mark.parametrize(("step", "horizon"), [(0, 10), (3, 10), (60, 100), (249, 250), (250, 250)])
def test_features_are_their_formulas(step: float, horizon: float):
    fraction = step / horizon
    expected = [
        2 * math.log(horizon / 10) / math.log(25) - 1,
        fraction,
        (horizon - step) / 250,
        *(wave(2 * math.pi * f * fraction) for f in (1, 3) for wave in (math.sin, math.cos)),
    ]
    found = ALL.features(at(step, horizon))
    assert found.dtype == jnp.float32 and found.shape == (ALL.size,) == (7,)
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert ALL.names[:3] == ("log_horizon", "fraction", "remaining") and ALL.names[5:] == ("sin 3", "cos 3")


def test_no_features_are_no_numbers():
    assert TimeFeatures().features(at(3, 10)).shape == (0,)
    assert (TimeFeatures().size, TimeFeatures().names) == (0, ())


@pytest.mark.parametrize("horizon", [1, 5, 250 * 400, 1e9])
def test_far_outside_the_range_features_stay_within_one(horizon: float):
    steps = jnp.linspace(0, horizon, 33)
    found = np.asarray(jax.vmap(lambda n: ALL.features(at(n, horizon)))(steps))
    assert (abs(found) <= 1).all() and np.isfinite(found).all()
    assert (found[:, 0] == (-1 if horizon < 10 else 1)).all()  # log N is clamped
    np.testing.assert_allclose(found[:, 1], np.linspace(0, 1, 33), atol=1e-6)  # n / N is not


def test_a_long_horizon_does_not_saturate_a_network():
    """Random units that read an input beside the features keep their slope at 400 times the range."""
    rng = np.random.default_rng(0)
    slope = lambda numbers: (1 - np.tanh(rng.normal(size=(512, len(numbers))) @ numbers) ** 2).mean()
    inside, beyond = (np.asarray(ALL.features(at(n, N))) for n, N in ((25, 50), (50_000, 100_000)))
    assert slope(beyond) > 0.7 * slope(inside) > 0.1
    assert slope(np.array([50_000, 100_000])) < 1e-3 * slope(inside)  # what raw counts would do


def test_a_single_horizon_has_no_information_in_its_length():
    one = TimeFeatures(("log_horizon", "fraction"), HorizonRange(100, 100))
    for horizon in (100.0, 5.0, 1e6):
        np.testing.assert_allclose(one.features(Clock.at(horizon / 2, horizon)), [0.0, 0.5], atol=1e-6)


def test_features_are_traced_functions_of_the_clock():
    horizons = jnp.asarray([10.0, 100.0, 1000.0])
    many = jax.jit(jax.vmap(lambda N: ALL.features(at(5.0, N))))(horizons)
    for horizon, row in zip(horizons, many, strict=True):
        np.testing.assert_allclose(row, ALL.features(at(5.0, float(horizon))), atol=1e-6)


@pytest.mark.parametrize("kind", ["remaining", "log_horizon"])
def test_another_unit_is_refused_where_the_length_is_read(kind: Any):
    features = TimeFeatures(("fraction", kind), RANGE)
    with pytest.raises(ValueError, match="clock counts env_steps.*10 to 250 updates.*in env_steps"):
        features.features(at(5, 10, "env_steps"))
    # A fraction has no unit.
    assert TimeFeatures(("fraction",), RANGE).features(at(5, 10, "env_steps")) == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kinds": ("fractoin",)}, "time feature is 'fractoin'.*did you mean fraction"),
        ({"kinds": ("fraction", "fraction")}, "once"),
        ({"kinds": ("log_horizon",)}, "'log_horizon' needs the range"),
        ({"kinds": ("periodic",), "frequencies": ()}, "frequency"),
    ],
)
def test_wrong_settings_are_refused(arguments: Any, message: str):
    # Values that the types forbid too: what a file may hold.
    with pytest.raises(ValueError, match=message):
        TimeFeatures(**arguments)


@pytest.mark.parametrize(("least", "most"), [(0, 5), (-1, 5), (10, 5), (1, math.inf), (math.nan, 5)])
def test_a_range_that_is_none_is_refused(least: float, most: float):
    with pytest.raises(ValueError, match="horizons are|must be a finite number"):
        HorizonRange(least, most)


def test_a_range_knows_what_it_holds_and_reads_well():
    assert 10 in RANGE and 250 in RANGE and 9.9 not in RANGE and 251 not in RANGE
    assert str(RANGE) == "10 to 250 updates" and str(HorizonRange(1e7, 1e7)) == "10,000,000 env steps"
    with pytest.raises(ValueError, match="unit is 'steps'.*env_steps"):
        HorizonRange(1, 2, "steps")  # type: ignore[arg-type]


def fractions(ablation: ClockAblation, count: int = 512) -> np.ndarray:
    features = TimeFeatures(("fraction",), ablation=ablation)
    steps = (jnp.arange(count) + 0.5) * 40 / count
    return np.asarray(jax.vmap(lambda n: features.features(Clock.at(n, 40.0))[0])(steps))


def test_the_true_clock_is_no_ablation():
    np.testing.assert_allclose(fractions(ClockAblation()), (np.arange(512) + 0.5) / 512, atol=1e-6)


def test_a_frozen_clock_stands():
    assert (fractions(ClockAblation("frozen", fraction=0.25)) == 0.25).all()


def test_a_wrong_clock_multiplies_the_horizon():
    true = (np.arange(512) + 0.5) / 512
    np.testing.assert_allclose(fractions(ClockAblation("wrong", factor=4.0)), true / 4, atol=1e-6)
    np.testing.assert_allclose(
        fractions(ClockAblation("wrong", factor=0.25)), np.minimum(true * 4, 1), atol=1e-6
    )
    longer = TimeFeatures(("log_horizon", "remaining"), RANGE, ablation=ClockAblation("wrong"))
    true = TimeFeatures(("log_horizon", "remaining"), RANGE)
    np.testing.assert_allclose(longer.features(at(5, 20)), true.features(at(5, 80)), atol=1e-6)


def test_a_shuffled_clock_shows_every_fraction_once_in_another_order():
    true = (np.arange(512) + 0.5) / 512
    shuffled = fractions(ClockAblation("shuffled"))
    np.testing.assert_allclose(np.sort(shuffled), true, atol=1e-6)
    assert abs(np.corrcoef(shuffled, true)[0, 1]) < 0.2
    assert (shuffled == fractions(ClockAblation("shuffled"))).all()
    assert (shuffled != fractions(ClockAblation("shuffled", seed=1))).any()
    last = TimeFeatures(("fraction",), ablation=ClockAblation("shuffled"))
    assert 0 <= float(last.features(Clock.at(40.0, 40.0))[0]) <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "frosen"}, "ablation.kind is 'frosen'.*frozen"),
        ({"kind": "frozen", "fraction": 1.5}, "fraction is 1.5"),
        ({"kind": "wrong", "factor": 0.0}, "factor is 0"),
        ({"kind": "shuffled", "parts": 1}, "parts is 1"),
    ],
)
def test_wrong_ablations_are_refused(arguments: Any, message: str):
    with pytest.raises(ValueError, match=message):
        ClockAblation(**arguments)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TimeFeatures(3), "kinds is 3; it must be a tuple"),
        (lambda: TimeFeatures((["fraction"],)), "time feature is "),
        (
            lambda: TimeFeatures(("periodic",), frequencies=("x",)),
            "frequencies is .'x',.; it must be a tuple",
        ),
        (lambda: TimeFeatures(horizons=5), "horizons is 5; it must be"),
        (lambda: HorizonRange("5", 6), "least is '5'; it must be a finite number"),
        (lambda: HorizonRange(5, 6, "step"), "unit is 'step', which is not known: .*env_steps"),
        (
            lambda: ClockAblation("shuffled", parts=10**12),
            "ablation.parts is 1000000000000; .* between 2 and",
        ),
        (lambda: ClockAblation("frozen", fraction=2.0), "ablation.fraction is 2.0; .* between 0 and 1"),
    ],
)
def test_settings_of_another_type_are_refused_by_name(make: Any, message: str):
    with pytest.raises(ValueError, match=message):
        make()
