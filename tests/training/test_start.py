"""Runs that start from trained weights: which weights, what stays fresh, and the sentences where none fit."""

import dataclasses
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import walk
from same import assert_close, assert_equal

from jaxrl_evolve import random
from jaxrl_evolve.learners import disco as disco_module
from jaxrl_evolve.learners import rainbow as rainbow_module
from jaxrl_evolve.learners.disco import DiscoState
from jaxrl_evolve.learners.rainbow_step import RainbowState
from jaxrl_evolve.training.experiment import build, traced
from jaxrl_evolve.training.start import begin
from jaxrl_evolve.training.train import train

NORMALISED = {
    "minibatches": 2,
    "epochs": 2,
    "normalise_observations": True,
    "normalise_returns": True,
    "network": {"hidden": (8,)},
}


def learned(result):
    """Learner states of all runs, NumPy leaves ``[runs, ...]``."""
    return jax.tree.map(lambda *x: np.concatenate(x), *(jax.device_get(s.learner) for s in result.states))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("start") / "a"
    return train(walk.config(seeds=2, learner=NORMALISED), out), out


def test_the_weights_are_those_of_the_run_and_the_optimiser_is_fresh(trained, tmp_path):
    result, out = trained
    config = walk.config(updates=1, seeds=2, seed=5, learner=NORMALISED, start=f"{out}:1")
    found = train(config, tmp_path / "b")
    # Written out: the state of a new run, with parameters and moments in it, makes one update.
    experiment, old = build(config), jax.tree.map(lambda x: jnp.asarray(x[1]), learned(result))
    init, advance = jax.jit(experiment.chunk.init), jax.jit(experiment.chunk.run)
    for run in range(2):
        key = jax.random.fold_in(random.key(5), run)
        state = init(key, traced(config.hp), experiment.env.params)
        returns = dataclasses.replace(state.learner.returns, moments=old.returns.moments)
        learner = dataclasses.replace(
            state.learner, params=old.params, observations=old.observations, returns=returns
        )
        state = dataclasses.replace(state, learner=learner)
        expected, _ = advance(
            state, traced(config.hp), (), experiment.env.params, jnp.float32(1), jnp.int32(1)
        )
        assert_close(jax.tree.map(lambda x, run=run: x[run], learned(found)), expected.learner)
    assert (learned(found).optimiser.count == 4).all()  # two passes of two minibatches
    assert (learned(found).observations.count == 640 + 64).all()


def test_every_seed_starts_from_the_run_of_its_number(trained):
    result, out = trained
    still = walk.config(updates=1, seeds=2, learner=NORMALISED, start=str(out), hp={"learning_rate": 0.0})
    assert_equal(learned(train(still)).params, learned(result).params)


def test_it_is_recorded_and_resumed_without_its_source(trained, tmp_path):
    _, out = trained
    source = tmp_path / "source"
    shutil.copytree(out, source)
    config = walk.config(seeds=2, learner=NORMALISED, start=str(source))
    whole = train(config, tmp_path / "whole")
    sha256 = json.loads((tmp_path / "whole" / "config.json").read_text())["start_sha256"]
    result = json.loads((tmp_path / "whole" / "result.json").read_text())
    assert (result["start"], result["start_sha256"]) == (str(source), sha256) and len(sha256) == 64
    assert whole.config.start_sha256 == sha256
    shutil.rmtree(source)
    (tmp_path / "whole" / "result.json").unlink()
    again = train(config, tmp_path / "whole", resume=True, step=8)
    assert_equal(again.states, whole.states)
    shutil.copytree(out, source)
    assert begin(config, build(config))[0].start_sha256 == sha256
    other = dataclasses.replace(config, start_sha256="0" * 64)
    with pytest.raises(ValueError, match="whose weights are no longer those .* was 0000"):
        train(other)


def test_networks_that_follow_another_start_as_it_does():
    trained = RainbowState({"w": 1}, {"w": 2}, "adam", 3, 2, 0.5, 0.1, "its own")
    disco = DiscoState({"w": 1}, {"w": 2}, "adam", "rule")
    fresh = (
        RainbowState({"w": 0}, {"w": 0}, "new", 0, 0, 1.0, 0.2, "sound"),
        DiscoState({"w": 0}, {"w": 0}, "new", "life"),
    )
    expected = RainbowState({"w": 1}, {"w": 2}, "new", 0, 0, 1.0, 0.2, "sound")
    assert rainbow_module._adopt(fresh[0], trained) == expected
    assert disco_module._adopt(fresh[1], disco) == DiscoState({"w": 1}, {"w": 1}, "new", "life")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"learner": {**NORMALISED, "network": {"hidden": (9,)}}},
            r"does not fit: params\.\S+ is float32\[2, 8\] there and float32\[2, 9\] here",
        ),
        ({}, r"does not fit: observations\.\w+ is in that run only"),
        ({"seeds": 3, "learner": NORMALISED}, "which has 2 runs for 3 seeds: choose one"),
        ({"start": "OUT:2", "learner": NORMALISED}, "has 2 runs, counted from 0"),
        ({"start": "OUT/none", "learner": NORMALISED}, "there is no run folder OUT/none"),
        ({"algorithm": "dqn", "learner": {}}, "whose agents are ppo's: dqn has others"),
    ],
)
def test_weights_that_do_not_fit_are_refused_in_one_sentence(trained, tmp_path, changes, message):
    out = str(trained[1])
    config = walk.config(**{"seeds": 2, "start": "OUT", **changes})
    with pytest.raises(ValueError, match=message.replace("OUT", out)) as caught:
        train(dataclasses.replace(config, start=config.start.replace("OUT", out)), tmp_path / "new")
    assert "\n" not in str(caught.value) and not (tmp_path / "new").exists()
