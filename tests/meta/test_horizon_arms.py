"""Horizons as arms: what a bandit is told of lives, and generations whose horizons it chooses."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import tiny
from toys import coins

from jaxrl_evolve import random
from jaxrl_evolve.meta import generation
from jaxrl_evolve.meta.config import MetaTrainConfig
from jaxrl_evolve.meta.experiment import MetaExperiment
from jaxrl_evolve.meta.horizon_arms import LivesOfArms, horizon_curriculum
from jaxrl_evolve.meta.lifetimes import Lives
from jaxrl_evolve.runs.tasks import Assignment

CHOICES = (5, 10, 20)


def config(curriculum: str = "ordered", **options: str) -> MetaTrainConfig[Any, Any, Any]:
    horizons = {"kind": "arms", "choices": CHOICES}
    return tiny(horizons=horizons, curriculum=curriculum, curriculum_options={"threshold": "0.5", **options})


def test_sums_are_those_of_lives_that_did_not_diverge():
    fitness = jnp.asarray([[1.0, 0.2], [jnp.nan, 0.6], [0.4, 0.0], [jnp.nan, jnp.nan]])
    number = jnp.asarray([0, 2, 2, 1])
    lived = LivesOfArms(Assignment(number, jnp.asarray(CHOICES)[number]), fitness)
    for signal, worth in (("return", (0.6, 1 / 3)), ("spread", (0.8, 0.6)), ("success", (0.5, 1 / 3))):
        curriculum = horizon_curriculum(config("sec", signal=signal, step="1.0", optimism="0.125"))
        assert curriculum is not None
        after = curriculum.record(curriculum.init(random.key(0)), lived)
        np.testing.assert_allclose(after.bandit, [worth[0], 0.125, worth[1]], rtol=1e-6, err_msg=signal)
        assert after.seen.tolist() == [True, False, True]
        np.testing.assert_allclose(after.before, [0.6, 0.0, 1 / 3], rtol=1e-6)
        np.testing.assert_allclose(after.success, [0.5, 0.0, 1 / 3], rtol=1e-6)
        np.testing.assert_allclose(after.length, [5, 0, 20])


def by_horizon(
    mean: Any, sigma: Any, noise_keys: Any, keys: Any, hp: Any, params: Any, horizons: Any
) -> Lives:
    """Lives that succeed at all horizons but the longest."""
    del mean, sigma, noise_keys, keys, hp, params
    fitness = jnp.where(horizons < CHOICES[-1], 1.0, 0.0).astype(jnp.float32)
    return Lives(jnp.stack([fitness, fitness], 1), {})


def test_generations_go_on_to_the_first_horizon_that_is_not_mastered():
    asked = config(mastery="0.6", floor="0.0")
    start = lambda key: {"w": jnp.zeros(2, jnp.float32)}
    nothing: Any = None
    experiment = MetaExperiment(coins(), nothing, nothing, nothing, nothing, start)
    parts = generation._Parts(asked, experiment, by_horizon, None, None, horizon_curriculum(asked))
    go = jax.jit(lambda state: generation._generation(parts, state, ()))
    state = jax.jit(lambda key: generation._init(parts, key, ()))(random.key(0))
    lived = []
    for _ in range(5):
        state, metrics = go(state)
        lived.append(float(metrics["updates"]) / (2 * asked.evolution.pairs))
    assert lived == [5, 10, 20, 20, 20]
    # An average of the last twenty generations or so, which begins with the first.
    np.testing.assert_allclose(metrics["curriculum_share_20"], 1 - 0.95**3, rtol=1e-5)
    assert float(metrics["curriculum_success_20"]) == 0.0 and float(metrics["curriculum_success_10"]) == 1.0
    assert asked.horizon_range.least == CHOICES[0] * asked.steps_per_update


def test_what_does_not_fit_is_refused_in_one_sentence():
    arms = {"kind": "arms", "choices": CHOICES}
    for changes, said in (
        (
            {"horizons": arms},
            "curriculum is '', but horizons.kind 'arms': a curriculum chooses among horizons.choices if",
        ),
        ({"curriculum": "sec"}, "curriculum is 'sec', but horizons.kind 'log_uniform'"),
        (
            {"horizons": {**arms, "choices": (5, 5)}, "curriculum": "sec"},
            r"horizons.choices is \(5, 5\); of 'arms' none may",
        ),
        (
            {"curriculum_options": {"floor": "0"}},
            "curriculum_options is .*, but there is no curriculum to take them",
        ),
        (
            {"horizons": arms, "curriculum": "sec", "estimator": "pes"},
            "curriculum is 'sec', which estimator 'pes' does not serve; it must be empty, or the estimator es",
        ),
        (
            {"horizons": arms, "curriculum": "sec", "levels": {"kind": "groove"}},
            "levels.kind 'groove' chooses horizons with the levels",
        ),
    ):
        with pytest.raises(ValueError, match=said):
            tiny(**changes)
    for name, options, said in (
        ("secc", {}, "curriculum is 'secc', which is no curriculum of arms: did you mean sec"),
        ("plr", {}, "curriculum is 'plr', which is no curriculum of arms"),
        (
            "sec",
            {},
            "learns from what a critic says, which there is none of for lives of agents: choose a signal of .*progress",
        ),
        (
            "sec",
            {"signal": "progress", "arms": "x=1,2"},
            "but the arms of a meta-training are horizons.choices",
        ),
        (
            "sec",
            {"signal": "progress", "threshold": "(1,2)"},
            r"threshold is \(1, 2\); it must be a finite number, or 3",
        ),
        (
            "dump",
            {"signal": "progress", "windw": "3"},
            "has windw, which dump does not take: did you mean window",
        ),
    ):
        with pytest.raises(ValueError, match=said):
            horizon_curriculum(config(name, **options))
    alone = tiny(horizons=arms, curriculum="thompson")
    with pytest.raises(
        ValueError, match="'thompson' learns from successes: say from which fitness on a life is one"
    ):
        horizon_curriculum(alone)
