"""Persistent evolution strategies: every pair by its own clock, and the whole life's estimate as a special case."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_evolve import random
from jaxrl_evolve.meta.config import MetaTrainConfig
from jaxrl_evolve.meta.evolution import ascent, pair_weights
from jaxrl_evolve.meta.experiment import build_meta
from jaxrl_evolve.meta.lifetimes import PAIRS, FitnessConfig, live_pairs
from jaxrl_evolve.meta.persistent import persistent_programs, window_credit
from jaxrl_evolve.meta.persistent_config import PersistentConfig
from jaxrl_evolve.runs.axes import device_mesh, place
from jaxrl_evolve.storage.checkpoint import Checkpoints
from jaxrl_evolve.training.experiment import traced

PAIR_COUNT, WINDOW = 4, 2


def config(**changes: Any) -> MetaTrainConfig[Any, Any, Any]:
    return MetaTrainConfig.preset(
        "lpg",
        "chain/delayed-short",
        **{
            "estimator": "pes",
            "generations": 8,
            "num_envs": 4,
            "rollout_length": 5,
            "evolution": {"population": 2 * PAIR_COUNT, "sigma": 3.0, "shaping": "difference"},
            "horizons": {"kind": "uniform", "low": 1, "high": 5},
            "persistent": {"window": WINDOW},
            "fitness": {"episodes": 8, "max_steps": 40, "average": 0.25},
            "settings": {"width": 3, "predictions": 2, "embedding": 2},
            "learner": {"network": {"hidden": (4,)}},
            "hp": {"learning_rate": 0.3},
            "lanes": 0,
            **changes,
        },
    )


def generation_of(c: MetaTrainConfig[Any, Any, Any], mesh: Any = None) -> Any:
    """``state -> (state, metrics)``, compiled."""
    generation, hp = jax.jit(persistent_programs(c, build_meta(c), mesh).generation), traced(c.hp)
    return lambda state: generation(state, hp if mesh is None else place(hp, mesh))


def with_horizon(state: Any, updates: int) -> Any:
    """First lives that are ``updates`` long, none of them cut short."""
    lengths = jnp.full((PAIR_COUNT,), updates, jnp.int32)
    return dataclasses.replace(state, lives=dataclasses.replace(state.lives, horizon=lengths, retire=lengths))


@pytest.fixture(scope="module")
def trained() -> Any:
    c = config()
    init = jax.jit(persistent_programs(c, build_meta(c)).init)
    states, history, generation = [init(random.key(0), traced(c.hp))], [], generation_of(c)
    for _ in range(8):
        state, metrics = generation(states[-1])
        states.append(state)
        history.append(jax.device_get(metrics))
    return states, history, generation


def test_lives_end_at_their_own_horizon_and_begin_anew(trained: Any):
    states, history, _ = trained
    read = lambda field: np.array([getattr(state.lives, field) for state in states])
    ages = np.array([state.lives.members.updates for state in states])
    np.testing.assert_array_equal(ages[..., 0], ages[..., 1])
    ages, retire, horizon, window = ages[..., 0], read("retire"), read("horizon"), read("window")
    due = np.minimum(ages + WINDOW, retire)
    over = due[:-1] == retire[:-1]
    np.testing.assert_array_equal(ages[1:], np.where(over, 0, due[:-1]))
    np.testing.assert_array_equal(window[1:], np.where(over, 0, window[:-1] + 1))
    np.testing.assert_array_equal([m["updates"] for m in history], 2 * (due - ages)[:-1].sum(1))
    np.testing.assert_array_equal([m["lives_ended"] for m in history], over.sum(1))
    # Only first lives are cut short, and those at the end of a window.
    firsts = np.cumsum(np.vstack([np.zeros(PAIR_COUNT), over]), 0) == 0
    np.testing.assert_array_equal(retire[~firsts], horizon[~firsts])
    assert np.all((retire == horizon) | (retire % WINDOW == 0))
    assert np.unique(horizon).size > 3
    assert np.unique(over.sum(1)).size > 1, "all lives end together"
    assert (over & (due[:-1] - ages[:-1] < WINDOW)).any(), "no life ended within a window"


def test_a_new_life_is_new_in_everything_and_the_same_for_both(trained: Any):
    states, _, _ = trained
    for before, after in itertools.pairwise(states):
        new = np.asarray(after.lives.window) == 0
        for field in ("key", "noise_key"):
            keys = [np.asarray(jax.random.key_data(getattr(s.lives, field))) for s in (before, after)]
            np.testing.assert_array_equal((keys[0] != keys[1]).any(-1), new)
        params = jax.device_get(after.lives.members.learner.params)
        plus, minus = (jax.tree.map(lambda x, i=i, new=new: x[new, i], params) for i in (0, 1))
        jax.tree.map(np.testing.assert_array_equal, plus, minus)
        np.testing.assert_array_equal(np.asarray(after.lives.evaluated)[new], 0.0)


def test_resumed_is_uninterrupted(trained: Any, tmp_path: Any):
    """The state in a checkpoint is all there is: read into another one, it goes on as it did."""
    states, _, generation = trained
    with contextlib.closing(Checkpoints(tmp_path, {"run": "pes"}, keep=1)) as checkpoints:
        checkpoints.save(5, states[5], {})
        checkpoints.wait()
        state, _ = checkpoints.restore(states[0])
    for _ in range(5, 8):
        state = generation(state)[0]
    jax.tree.map(
        np.testing.assert_array_equal,
        *(dataclasses.replace(s, key=(), lives=()) for s in (state, states[-1])),
    )
    members = (state.lives.members.learner, states[-1].lives.members.learner)
    jax.tree.map(np.testing.assert_array_equal, *members)


def test_metrics_are_finite_and_the_mean_moves(trained: Any):
    states, history, _ = trained
    for metrics in history:
        assert np.isfinite(metrics["fitness"])
        assert metrics["failed"] == 0.0
        assert np.isfinite(metrics["agent_entropy"])
        assert metrics["fitness_by_horizon"].shape == (4,)
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(states[-1].eta)) > 0.0


def test_a_pair_with_an_agent_that_diverged_loses_and_gives_way(trained: Any):
    states, _, generation = trained
    state = with_horizon(states[0], 5)
    learner = state.lives.members.learner
    broken = jax.tree.map(lambda x: x.at[1, 0].set(jnp.nan), learner.params)
    members = dataclasses.replace(state.lives.members, learner=dataclasses.replace(learner, params=broken))
    lives = dataclasses.replace(state.lives, members=members)
    after, metrics = generation(dataclasses.replace(state, lives=lives))
    assert float(metrics["failed"]) == 1.0
    assert np.isfinite(metrics["fitness"])
    np.testing.assert_array_equal(after.lives.window, [1, 0, 1, 1])
    np.testing.assert_array_equal(after.lives.members.diverged, -1)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(after.eta))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(after.lives.members.learner.params))


def test_lanes_and_devices_live_the_same(trained: Any):
    if jax.device_count() < 2:
        pytest.skip("one device")
    states, history, _ = trained
    mesh = device_mesh(PAIRS, jax.devices()[:2])
    parts = {field.name: getattr(states[0], field.name) for field in dataclasses.fields(states[0])}
    split = {name: (PAIRS,) if name == "lives" else () for name in parts}
    state = type(states[0])(**{name: place(part, mesh, *split[name]) for name, part in parts.items()})
    generation = generation_of(config(lanes=1), mesh)
    for expected, there in zip(states[1:4], history[:3], strict=True):
        state, metrics = generation(state)
        for name in ("fitness", "updates", "lives_ended", "gradient_norm", "agent_entropy"):
            np.testing.assert_allclose(metrics[name], there[name], rtol=1e-4, err_msg=name)
        np.testing.assert_array_equal(state.lives.members.updates, expected.lives.members.updates)
        np.testing.assert_array_equal(state.lives.horizon, expected.lives.horizon)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6), state.eta, expected.eta
        )


@pytest.fixture(scope="module")
def whole(trained: Any) -> Any:
    """Lives as plain evolution strategies have them, of the pairs in a state of the other one."""
    c = config()
    live = jax.jit(live_pairs(build_meta(c).lifetime, 0))

    def run(state: Any) -> Any:
        lives = state.lives
        noise_keys = jax.vmap(jax.random.fold_in, (0, None))(lives.noise_key, 0)
        sigma, hp = jnp.float32(c.evolution.sigma), traced(c.hp)
        return noise_keys, live(state.eta, sigma, noise_keys, lives.key, hp, lives.params, lives.horizon)

    return run


@pytest.mark.core
def test_a_window_as_long_as_life_is_plain_evolution_strategies(trained: Any, whole: Any):
    states, _, generation = trained
    state = with_horizon(states[0], WINDOW)
    noise_keys, lives = whole(state)
    after, metrics = generation(state)
    np.testing.assert_allclose(metrics["fitness"], lives.fitness.mean(), rtol=1e-6)
    np.testing.assert_allclose(metrics["updates"], 2 * WINDOW * PAIR_COUNT)
    weights, _ = pair_weights(lives.fitness, "difference")
    assert np.abs(weights).max() > 0
    gradient = ascent(weights, noise_keys, state.eta, jnp.float32(3.0))
    # After one step, Adam's mean is a tenth of the gradient.
    found = jax.tree.map(lambda m: m / 0.1, after.optimiser.mu)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), found, gradient)


def test_a_life_in_windows_is_the_same_life(trained: Any, whole: Any):
    """With one noise for the life and a mean that is held still."""
    state = with_horizon(trained[0][0], 3)
    final = whole(state)[1].metrics["final_return"]
    still = {"sigma": 3.0, "learning_rate": 1e-30, "learning_rate_floor": 0.0}
    generation = generation_of(
        config(
            persistent={"window": WINDOW, "noise": "reuse"},
            fitness={"episodes": 8, "max_steps": 40, "average": 0.0},
            evolution={"population": 2 * PAIR_COUNT, **still},
        )
    )
    state, _ = generation(state)
    np.testing.assert_array_equal(state.lives.members.updates, WINDOW)
    state, metrics = generation(state)
    np.testing.assert_array_equal(state.lives.members.updates, 0)
    np.testing.assert_allclose(metrics["updates"], 2 * PAIR_COUNT)
    assert np.abs(final[:, 0] - final[:, 1]).max() > 0
    np.testing.assert_allclose(metrics["fitness"], final.mean(), rtol=1e-6)
    np.testing.assert_allclose(metrics["fitness_spread"], np.abs(final[:, 0] - final[:, 1]).mean(), rtol=1e-6)


def test_credits_add_up_to_what_a_life_is_worth():
    rng = np.random.default_rng(0)
    final, along, share = rng.normal(size=3), rng.normal(size=3), np.array([0.4, 0.4, 0.2])
    before, fitness = np.array([0.0, *final[:2]]), FitnessConfig(average=0.25)
    total = {
        kind: float(
            window_credit(kind, fitness, *(jnp.asarray(x) for x in (final, before, along, share))).sum()
        )
        for kind in ("change", "level")
    }
    np.testing.assert_allclose(total["change"], 0.75 * final[-1] + 0.25 * along @ share, rtol=1e-5)
    np.testing.assert_allclose(total["level"], (0.75 * final + 0.25 * along) @ share, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": 0}, "persistent.window is 0; it must be a whole number of at least 1"),
        ({"window": 2.5}, "persistent.window is 2.5; it must be a whole number"),
        ({"noise": "resuse"}, "persistent.noise is 'resuse', which is not known: did you mean reuse"),
        (
            {"credit": "final"},
            "persistent.credit is 'final', which is not known: it must be one of change, level",
        ),
    ],
)
def test_bad_settings_are_refused(changes: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        PersistentConfig(**changes)
