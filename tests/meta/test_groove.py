"""GROOVE: regret is computed for agents that finished and no others, and all of it is state."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_evolve import random
from jaxrl_evolve.curricula.level_buffer import NEW
from jaxrl_evolve.meta.config import MetaTrainConfig
from jaxrl_evolve.meta.evolution import member
from jaxrl_evolve.meta.experiment import build_meta, tasks
from jaxrl_evolve.meta.generation import evolution_programs
from jaxrl_evolve.meta.gradient import gradient_programs
from jaxrl_evolve.meta.groove import curation, regrets_of_finished
from jaxrl_evolve.meta.horizons import sample_horizons
from jaxrl_evolve.meta.lifetimes import PAIRS
from jaxrl_evolve.meta.train import meta_train
from jaxrl_evolve.runs.axes import device_mesh, place
from jaxrl_evolve.storage.checkpoint import Checkpoints
from jaxrl_evolve.training.experiment import traced

GENERATIONS, LIVES, INNER = 8, 4, 2


def config(estimator: str, **changes: Any) -> MetaTrainConfig[Any, Any, Any]:
    return MetaTrainConfig.preset(
        "ta-lpg",
        "chain/delayed-short",
        **{
            "estimator": estimator,
            "generations": GENERATIONS,
            "num_envs": 8,
            "rollout_length": 10,
            "horizons": {"low": 2, "high": 5},
            "evolution": {"population": 4, "sigma": 1.0},
            "gradient": {"lifetimes": LIVES, "inner_updates": INNER},
            "fitness": {"episodes": 8, "max_steps": 40},
            "settings": {"width": 3, "predictions": 2, "embedding": 2},
            "levels": {"kind": "groove", "buffer": {"capacity": 3}, "antagonist": {"learning_rate": 0.03}},
            "learner": {"network": {"hidden": (8,)}},
            **changes,
        },
    )


class Run(NamedTuple):
    """Generations of one estimator: the states before, between and after them, and the metrics of each."""

    config: Any
    experiment: Any
    generation: Any
    states: list[Any]
    history: list[Any]


@pytest.fixture(scope="module", params=["es", "meta-gradient"])
def run(request: Any) -> Run:
    c = config(request.param)
    experiment, hp = build_meta(c), traced(c.hp)
    programs = {"es": evolution_programs, "meta-gradient": gradient_programs}[request.param](c, experiment)
    generation = jax.jit(programs.generation)
    states, history = [jax.jit(programs.init)(random.key(0), hp)], []
    for _ in range(GENERATIONS):
        state, metrics = generation(states[-1], hp)
        states.append(state)
        history.append(jax.device_get(metrics))
    return Run(c, experiment, generation, states, history)


def on_host(run: Run) -> Any:
    """State before, state after and metrics of every generation."""
    states = [jax.device_get(dataclasses.replace(state, key=())) for state in run.states]
    return zip(states[:-1], states[1:], run.history, strict=True)


def test_antagonists_live_for_finished_agents_alone(run: Run):
    spent = np.array([metrics["antagonist_updates"] for metrics in run.history])
    made = np.array([metrics["updates"] for metrics in run.history])
    assert spent.max() > 0
    if run.config.estimator == "es":
        # One antagonist per pair, its life as long as theirs.
        np.testing.assert_array_equal(made, 3 * spent)
        return
    np.testing.assert_array_equal(made, LIVES * INNER + spent)
    assert spent.min() == 0, "there was no generation in which nobody finished"
    for before, after, metrics in on_host(run):
        ages = before.lives.train.updates + INNER
        finished = (ages + INNER > before.lives.retire) & (before.lives.retire == before.lives.horizon)
        assert metrics["antagonist_updates"] == ages[finished].sum()
        assert np.isnan(metrics["regret"]) == (not finished.any())
        # Every score is that of a level that was lived on to its end.
        new = after.levels.scored_at == after.levels.updates
        assert new.sum() <= finished.sum()
        assert set(after.levels.levels.horizon[new]) <= set(before.lives.horizon[finished])


def test_replayed_levels_are_those_of_the_buffer_with_their_lifetimes(run: Run):
    last, replays = run.history[-1], 0
    assert last["buffer_fill"] == np.mean(np.asarray(run.states[-1].levels.numbers) >= 0) > 0.5
    assert 2 <= last["buffer_horizon"] <= 5
    scores = np.asarray(run.states[-1].levels.scores)
    np.testing.assert_allclose(last["buffer_score"], scores[np.isfinite(scores)].mean(), rtol=1e-5)
    assert 0 < np.mean([metrics["replayed"] for metrics in run.history]) < 1
    if run.config.estimator == "es":
        return
    for before, after, _ in on_host(run):
        stored, lived = before.levels.levels, after.lives
        for i in np.flatnonzero((lived.train.updates == 0) & (lived.number != NEW)):
            assert lived.number[i] not in before.lives.number
            slot = np.flatnonzero(before.levels.numbers == lived.number[i]).item()
            pick = lambda tree, at: jax.tree.map(lambda x: x[at], tree)
            jax.tree.map(np.testing.assert_array_equal, pick(stored.params, slot), pick(lived.params, i))
            assert stored.horizon[slot] == lived.horizon[i]
            replays += 1
    assert replays > 0


def test_resumed_is_uninterrupted(run: Run, tmp_path: Any):
    """The state in a checkpoint is all there is: read into an empty one, it goes on as it did."""
    with contextlib.closing(Checkpoints(tmp_path, {"run": "groove"}, keep=1)) as checkpoints:
        checkpoints.save(3, run.states[3], {})
        checkpoints.wait()
        state, _ = checkpoints.restore(run.states[0])
    for _ in range(3, GENERATIONS):
        state = run.generation(state, traced(run.config.hp))[0]
    jax.tree.map(np.testing.assert_array_equal, state.levels, run.states[-1].levels)
    jax.tree.map(np.testing.assert_array_equal, state.eta, run.states[-1].eta)


@pytest.mark.parametrize("run", ["meta-gradient"], indirect=True)
def test_over_devices_the_buffer_is_the_same(run: Run):
    mesh, hp = device_mesh(PAIRS, jax.devices()[:2]), traced(run.config.hp)
    programs = gradient_programs(run.config, run.experiment, mesh)
    before = run.states[-2]
    lives, rest = place(before.lives, mesh, PAIRS), place(dataclasses.replace(before, lives=()), mesh)
    split = dataclasses.replace(rest, lives=lives)
    state, metrics = jax.jit(programs.generation)(split, place(hp, mesh))
    same = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5)
    jax.tree.map(same, state.levels, run.states[-1].levels)
    same(metrics["antagonist_updates"], run.history[-1]["antagonist_updates"])


@pytest.fixture(scope="module")
def lives() -> Any:
    c = config("es")
    experiment = build_meta(c)
    curated = curation(c, experiment)
    assert curated is not None
    return c, experiment, curated, jax.jit(experiment.lifetime), jax.jit(curated.antagonist.live)


@pytest.mark.parametrize("run", ["es"], indirect=True)
def test_regret_is_the_antagonists_return_less_the_pairs(run: Run, lives: Any):
    """The first generation of the compiled program, and the same from single lives."""
    c, experiment, curated, live, oppose = lives
    state, after, metrics, hp = run.states[0], run.states[1], run.history[0], traced(c.hp)
    _, key_tasks, key_noise, key_lives, key_horizons, _ = jax.random.split(state.key, 6)
    split = lambda key: jax.random.split(key, 2)
    lengths = sample_horizons(c.horizons, key_horizons, 2, jnp.float32(0.0))
    levels = jax.vmap(experiment.env.sample_params)(split(key_tasks))
    regrets = []
    for i in range(2):
        params = jax.tree.map(lambda x, i=i: x[i], levels)
        key, noise = split(key_lives)[i], split(key_noise)[i]
        etas = [member(state.eta, noise, jnp.float32(1.0), sign) for sign in (1.0, -1.0)]
        pair = [float(live(key, eta, hp, params, lengths[i])[1]["final_return"]) for eta in etas]
        theirs = float(oppose(key, (), curated.antagonist.hp, params, lengths[i])[0])
        regrets.append(theirs - np.mean(pair))
    np.testing.assert_allclose(metrics["regret"], np.mean(regrets), rtol=1e-5)
    np.testing.assert_allclose(after.levels.scores[:2], sorted(regrets, reverse=True), rtol=1e-5)
    assert float(metrics["replayed"]) == 0.0


def test_the_antagonist_learns(lives: Any):
    _, experiment, curated, _, oppose = lives
    params = tasks(experiment.env, jax.random.split(random.key(8), 3))
    earned = np.asarray(
        [
            [
                oppose(
                    random.key(1), (), curated.antagonist.hp, jax.tree.map(lambda x, i=i: x[i], params), n
                )[0]
                for i in range(3)
            ]
            for n in jnp.asarray([0, 60], jnp.int32)
        ]
    )
    best = np.asarray(jax.lax.map(experiment.env.optimal_return, params))
    assert earned[1].sum() > 0.5 * best.sum() + 0.5 * earned[0].sum(), (earned, best)


@pytest.mark.parametrize(("lanes", "idle"), [(1, []), (2, [0])])
def test_only_finished_agents_are_worked_on(lanes: int, idle: list[int]):
    """Counted where it happens: a masked vmap over all would count the others."""
    seen: list[int] = []

    def regret(key: Any, learner: Any, params: Any, updates: Any) -> Any:
        del key, params
        jax.debug.callback(lambda n: seen.append(int(n)), updates)
        return learner + updates.astype(jnp.float32)

    keys, updates = jax.random.split(random.key(0), 6), np.array([3, 9, 4, 7, 5, 8], np.int32)
    function = jax.jit(
        lambda finished: regrets_of_finished(
            regret, lanes, keys, jnp.arange(6.0), (), jnp.asarray(updates), finished
        )
    )
    for chosen in ([], [1, 3, 5]):
        finished = np.isin(np.arange(6), chosen)
        found, spent = function(finished)
        jax.effects_barrier()
        assert sorted(seen) == (sorted([*idle, *updates[finished]]) if chosen else [])
        assert spent == updates[finished].sum()
        np.testing.assert_array_equal(found, np.where(finished, np.arange(6) + updates, np.nan))


@pytest.mark.parametrize("estimator", ["es", "meta-gradient"])
def test_a_single_level_cannot_be_curated(estimator: str):
    single = MetaTrainConfig.preset("lpg", "grid/dense", estimator=estimator, levels={"kind": "groove"})
    with pytest.raises(ValueError, match="levels.kind is 'groove', but grid/dense is one level only"):
        meta_train(single)


def test_bad_settings_are_one_sentence():
    with pytest.raises(ValueError, match="levels.kind is 'grove'; it must be 'uniform' or 'groove'"):
        config("es", levels={"kind": "grove"})
    with pytest.raises(ValueError, match="levels.antagonist.lanes is 0; it must be a whole number"):
        config("es", levels={"antagonist": {"lanes": 0}})
