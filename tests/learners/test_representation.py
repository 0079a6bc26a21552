"""PPO with a representation objective: what it adds, what it leaves as it is, and what it refuses."""

from __future__ import annotations

import dataclasses
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
import walk
from same import assert_close, assert_equal

from jaxrl_envs import Box, Discrete, make
from jaxrl_envs.vector import vectorize
from jaxrl_evolve.algorithms.table import find_algorithm
from jaxrl_evolve.experience.minibatches import make_minibatches
from jaxrl_evolve.learners.ppo import PPOConfig, PPOHyperparameters, PPOState, _adopt, ppo
from jaxrl_evolve.learners.representation import Given, RepresentationState, begun, representation_loss
from jaxrl_evolve.networks.network import Latents, NetworkConfig
from jaxrl_evolve.networks.table import make_network
from jaxrl_evolve.objectives.kinds import find_objective
from jaxrl_evolve.objectives.representation import Representation
from jaxrl_evolve.objectives.self_predictive import self_predictive
from jaxrl_evolve.runs.axes import RunAxis, over_runs
from jaxrl_evolve.runs.check import check_learner
from jaxrl_evolve.runs.chunk import make_chunk
from jaxrl_evolve.training.experiment import build, traced
from jaxrl_evolve.training.train import train
from jaxrl_evolve.trajectory import PolicyOutput, Trajectory

SMALL = {"minibatches": 2, "epochs": 2, "network": {"hidden": (8, 8)}}
PREDICTING = {**SMALL, "predicted": 3, "target_rate": 0.5}
BOARD = Box(0.0, 1.0, (6, 5, 2))


@lru_cache
def programs(predicting: bool) -> Any:
    """The functions of a small run, compiled once: without and with self-prediction."""
    experiment = build(walk.config(learner=PREDICTING if predicting else SMALL))
    return experiment, jax.jit(experiment.chunk.init), jax.jit(experiment.chunk.run)


def lived(predicting: bool, updates: int, state: Any = None, seed: int = 0, **hp: float) -> Any:
    """State and metrics after some updates."""
    experiment, init, run = programs(predicting)
    hyperparameters = traced(PPOHyperparameters(learning_rate_end=1.0, **hp))
    params = experiment.env.params
    if state is None:
        state = init(jax.random.key(seed), hyperparameters, params)
    return run(state, hyperparameters, (), params, jnp.float32(100), jnp.int32(updates))


def experience(rng: Any, length: int, envs: int, ended: Any, space: Box) -> Trajectory:
    """Steps with random numbers; an end is a time limit's as often as the task's."""
    some = lambda *shape: jnp.asarray(rng.normal(size=shape).astype(np.float32))
    truncated = ended & (rng.random(ended.shape) < 0.5)
    return Trajectory(
        obs=some(length, envs, *space.shape),
        action=jnp.asarray(rng.integers(0, 3, (length, envs)).astype(np.int32)),
        reward=some(length, envs),
        terminated=jnp.asarray(ended & ~truncated),
        truncated=jnp.asarray(truncated),
        first=jnp.zeros((length, envs), bool),
        next_obs=some(length, envs, *space.shape),
        policy=PolicyOutput(some(length, envs)),
    )


def test_the_loss_is_that_of_numpy_whatever_ends_where():
    length, envs, ahead = 6, 4, 3
    rng = np.random.default_rng(0)
    config, space = NetworkConfig(hidden=(5, 4)), Box(-1.0, 1.0, (2,))
    network = make_network(config, space, Discrete(3))
    params, older = (jax.jit(network.init)(jax.random.key(seed)) for seed in range(2))
    representation = self_predictive(ahead, 0.25)(network, space, Discrete(3))
    own = jax.jit(representation.init)(jax.random.key(2), params)
    t = experience(rng, length, envs, rng.random((length, envs)) < 0.3, space)
    state = RepresentationState(own, (), (older, own))
    cut = make_minibatches("samples", length, envs, 2)
    rows = cut.permutations(jax.random.key(4), 1)[-1]

    @jax.jit
    def learned(state: Any, params: Any, t: Trajectory) -> Any:
        state, given = begun(representation, jax.random.key(3), state, params, t)
        assert isinstance(given, Given)
        loss = representation_loss(
            representation, given, cut, rows, (params, state.params), jax.random.key(5)
        )
        return state, *loss

    state, found, metrics = learned(state, params, t)

    def layer(p: Any, index: int, x: Any) -> Any:  # one of both towers: [towers, D] to [towers, H]
        p = jax.tree.map(np.asarray, p["params"][f"layers_{index}"])
        return np.einsum("tdf,td->tf", p["kernel"], x) + p["bias"]

    def encode(p: Any, obs: Any) -> Any:
        return np.tanh(layer(p, 0, np.stack([obs, obs])))

    slow = jax.tree.map(lambda old, new: 0.75 * old + 0.25 * new, older, params)
    assert_close(state.target[0], slow)
    model = jax.tree.map(np.asarray, own["params"])
    dense = lambda name, x: x @ model[name]["kernel"] + model[name]["bias"]
    losses, cosines = [], []
    obs, next_obs, action, ended = (np.asarray(x) for x in (t.obs, t.next_obs, t.action, t.ended))
    for step in np.asarray(rows):
        i, n = divmod(int(step), envs)
        x, total = encode(params, obs[i, n]).reshape(-1), 0.0
        for k in range(ahead):
            if i + k >= length or ended[i : i + k, n].any():
                break
            joined = np.concatenate([x, np.eye(3)[action[i + k, n]]])
            x = x + dense("after", np.maximum(dense("hidden", joined), 0.0))
            guess = dense("predictor", layer(params, 1, x.reshape((2, -1))).reshape(-1))
            came = layer(slow, 1, encode(slow, next_obs[i + k, n])).reshape(-1)
            cosines.append(guess @ came / np.linalg.norm(guess) / np.linalg.norm(came))
            total += 2.0 - 2.0 * cosines[-1]
        losses.append(total / ahead)
    assert len(cosines) < 0.8 * ahead * rows.size  # some were masked
    np.testing.assert_allclose(found, np.mean(losses), rtol=1e-4)
    np.testing.assert_allclose(metrics["prediction_cosine"], np.mean(cosines), rtol=1e-4)


@pytest.mark.core
def test_a_coefficient_of_zero_is_ppo_without_it_bit_for_bit():
    plain, facts = lived(False, 3)
    state, metrics = lived(True, 3, prediction_coef=0.0)
    aside = state.learner.representation
    assert_equal(state.replace(learner=state.learner.replace(representation=())), plain)
    assert_equal({name: metrics[name] for name in facts}, facts)
    assert jax.tree.leaves(aside.params) and set(metrics) - set(facts) == {
        *("prediction_loss", "prediction_cosine", "prediction_chance")
    }
    other, _ = lived(True, 3, prediction_coef=1.0)
    assert not np.array_equal(*(s.learner.params["params"]["layers_0"]["bias"] for s in (other, plain)))


def test_predictions_become_better_than_chance():
    hp = {"prediction_coef": 1.0, "learning_rate": 3e-3}
    state, before = lived(True, 2, **hp)
    state, _ = lived(True, 40, state, **hp)
    _, after = lived(True, 2, state, **hp)
    assert after["prediction_loss"] < 0.5 * before["prediction_loss"]
    # What all observations share is in every vector, so distances are compared and not cosines.
    assert 1.0 - after["prediction_cosine"] < 0.3 * (1.0 - after["prediction_chance"])


def test_seeds_side_by_side_are_the_seeds_alone():
    experiment, _, _ = programs(True)
    runs = over_runs(experiment.chunk, [RunAxis("seed", 2)])
    hp, params = traced(PPOHyperparameters(learning_rate_end=1.0)), experiment.env.params
    keys = jax.random.split(jax.random.key(0), 2)
    state = jax.jit(runs.init)(keys, hp, params)
    state, _ = jax.jit(runs.run)(state, hp, (), params, jnp.float32(100), jnp.int32(2))
    _, init, run = programs(True)
    for i in range(2):
        alone = run(init(keys[i], hp, params), hp, (), params, jnp.float32(100), jnp.int32(2))[0]
        assert_close(jax.tree.map(lambda x, i=i: x[i], state), alone)


def test_a_resumed_run_is_the_run_that_went_on(tmp_path: Any):
    config = walk.config(updates=4, rows=2, checkpoints=2, learner=PREDICTING)
    whole = train(config, tmp_path / "run")
    again = train(config, tmp_path / "run", resume=True, step=2)
    assert_equal(again.states, whole.states)
    target = again.states[0].learner.representation.target
    assert not np.array_equal(
        *(p["params"]["layers_0"]["kernel"][0] for p in (target[0], whole.states[0].learner.params))
    )


def test_its_gradient_reaches_every_encoder_and_no_head():
    config = NetworkConfig(encoder="minatar", hidden=(6, 4))
    network = make_network(config, BOARD, Discrete(3))
    params = jax.jit(network.init)(jax.random.key(0))
    representation = self_predictive(2, shift=1)(network, BOARD, Discrete(3))
    own = jax.jit(representation.init)(jax.random.key(1), params)
    t = experience(np.random.default_rng(0), 4, 2, np.zeros((4, 2), bool), BOARD)
    cut = make_minibatches("blocks", 4, 2, 1)

    def loss(params: Any) -> Any:
        state, given = begun(representation, jax.random.key(2), RepresentationState(own, (), ()), params, t)
        assert state.target == () and isinstance(given, Given)
        rows = jnp.zeros((1,), jnp.int32)
        return representation_loss(representation, given, cut, rows, (params, own), jax.random.key(3))[0]

    gradient = jax.jit(jax.grad(loss))(params)["params"]
    size = lambda name: max(float(jnp.abs(x).max()) for x in jax.tree.leaves(gradient[name]))
    assert all(size(name) > 1e-6 for name in ("encoders_0", "encoders_1", "layers_0", "layers_1"))
    assert size("policy_head") == size("value_head") == 0.0


def test_what_was_learned_is_taken_over_with_the_copy_that_follows_it():
    aside = lambda x: RepresentationState({"m": x}, f"adam {x}", ({"w": x}, {"m": x}))
    state = lambda x, of: PPOState({"w": x}, "adam", (), (), of)
    found = _adopt(state(0, aside(0)), state(1, aside(1)))
    assert found == state(1, RepresentationState({"m": 1}, "adam 0", ({"w": 1}, {"m": 1})))
    assert _adopt(state(0, ()), state(1, aside(1))) == state(1, ())
    found = _adopt(state(0, aside(0)), state(1, ()))  # the copy follows the network that is taken over
    assert found.representation == RepresentationState({"m": 0}, "adam 0", ({"w": 1}, {"m": 0}))


def test_it_serves_continuous_actions_whole_numbers_of_states_frames_and_a2c():
    predicting = lambda **network: {"predicted": 2, "network": NetworkConfig(hidden=(4,), **network)}
    walk_env, frames = walk.make(), Box(0.0, 255.0, (36, 36, 1), "uint8")
    once = {"epochs": 1, "minibatches": 1}

    def seeing(space: Any) -> Any:
        zeros = jnp.zeros(space.shape, space.dtype)
        step = lambda *given: walk_env.step(*given)._replace(obs=zeros)
        reset = lambda *given: (zeros, walk_env.reset(*given)[1])
        return dataclasses.replace(walk_env, reset=reset, step=step, observation_space=space)

    for env, name, settings in (
        (probes.probe_env(continuous=True), "ppo", predicting()),
        (seeing(Discrete(7)), "ppo", predicting()),
        (seeing(frames), "ppo", {**predicting(encoder="atari"), "shift": 4}),
        (walk_env, "a2c", {**once, **predicting()}),
    ):
        learner = find_algorithm(name).make(env, 4, 8, PPOConfig(**settings), PPOHyperparameters(), None)
        check_learner(learner, env, 4, 8)
        state = jax.eval_shape(learner.init, jax.random.key(0), traced(PPOHyperparameters()))
        assert jax.tree.leaves(state.representation.params)


REFUSED = {
    "memory": ({"predicted": 2, "network": NetworkConfig(memory="gru")}, "the memory must be 'none'"),
    "table": ({"predicted": 2, "network": NetworkConfig(encoder="tabular")}, "a table has no features"),
    "shift alone": (
        {"shift": 2, "network": NetworkConfig(encoder="minatar")},
        "shift is 2, with predicted 0",
    ),
    "shift of vectors": ({"shift": 2, "predicted": 2}, "network.encoder 'flat'"),
    "longer than a rollout": ({"predicted": 9}, r"predicted is 9; it must be from 1 to rollout_length \(8\)"),
    "rate": ({"predicted": 2, "target_rate": 1.5}, "target_rate is 1.5"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(name: str):
    settings, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        ppo(walk.make(), 4, 8, PPOConfig(**settings))


def test_one_representation_at_most_and_one_reader_of_its_coefficient():
    config = PPOConfig(predicted=2)
    with pytest.raises(ValueError, match="a representation is given besides"):
        ppo(walk.make(), 4, 8, config, representation=self_predictive(2))
    with pytest.raises(ValueError, match="objective is 'ta-lpg', whose predictions are weighed"):
        ppo(walk.make(), 4, 8, config, objective=find_objective("ta-lpg"))

    def without(*spaces: Any) -> Any:
        return make_network(NetworkConfig(), *spaces[1:3])._replace(latents=None)

    with pytest.raises(ValueError, match="the network offers no features to predict"):
        ppo(walk.make(), 4, 8, config, network=without)

    boards = make("Breakout-MinAtar")
    images = dataclasses.replace(config, shift=10, network=NetworkConfig(encoder="minatar"))
    with pytest.raises(ValueError, match="shift is 10, but images are 10x10; it must be less than 10"):
        ppo(boards, 4, 8, images)

    def crooked(*spaces: Any) -> Any:
        network = make_network(NetworkConfig(), *spaces[1:3])
        flat = Latents(lambda params, obs: obs.sum(), lambda params, x: x)
        return network._replace(latents=flat)

    with pytest.raises(ValueError, match=r"latents\.encode gives float32\[\]; it must be float32\[3, D\]"):
        ppo(walk.make(), 4, 8, config, network=crooked)


def test_the_representation_of_another_package_is_learned(monkeypatch: Any):
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parents[1] / "extension" / "src"), *sys.path])
    from corridor_rl.representation import inverse_dynamics

    learner = ppo(
        walk.make(),
        4,
        16,
        PPOConfig(**{**SMALL, "network": NetworkConfig(hidden=(8,))}),
        representation=inverse_dynamics,
    )
    check_learner(learner, walk.make(), 4, 16)
    chunk, hp, params = (
        make_chunk(learner, vectorize(walk.make(), 4), 16),
        traced(PPOHyperparameters(learning_rate=1e-2)),
        walk.make().params,
    )
    state = jax.jit(chunk.init)(jax.random.key(0), hp, params)
    _, metrics = jax.jit(chunk.run)(state, hp, (), params, jnp.float32(40), jnp.int32(40))
    assert metrics["inverse_loss"] < 0.5 * np.log(2.0)  # of two actions, by what they did


def test_what_a_representation_must_not_give_is_refused():
    bad = lambda loss: lambda *parts: Representation(lambda key, params: (), loss, "mine")
    for loss, message in (
        (lambda *_: jnp.zeros(3), "must be the pair"),
        (lambda *_: (jnp.zeros(3), {}), r"gives float32\[3\]; it must be a float32 scalar"),
        (lambda *_: (jnp.float32(0), {"loss": jnp.float32(0)}), "a name that is taken"),
    ):
        learner = ppo(walk.make(), 4, 8, representation=bad(loss))
        with pytest.raises(ValueError, match=f"representation 'mine': loss .*{message}|{message}"):
            check_learner(learner, walk.make(), 4, 8)
