"""PQN: the optimal values of the probes, its first step against NumPy, its clock, and lanes."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
import walk
from same import assert_equal

from jaxrl_envs.spaces import Box
from jaxrl_envs.vector import vectorize
from jaxrl_evolve import RunAxis, make_chunk, over_runs, ppo_clip, random
from jaxrl_evolve.algorithms.pqn import pqn_preset
from jaxrl_evolve.algorithms.table import find_preset
from jaxrl_evolve.learners.pqn import pqn
from jaxrl_evolve.learners.pqn_config import PQNConfig, PQNHyperparameters
from jaxrl_evolve.networks.action_values import ActionValues, check_action_values
from jaxrl_evolve.networks.action_values_config import ActionValuesConfig
from jaxrl_evolve.runs.rollout import rollout
from jaxrl_evolve.training.experiment import traced
from jaxrl_evolve.training.train import train

GAMMA = 0.5
SMALL = ActionValuesConfig(hidden=(32,), layer_norm=True)
TINY = PQNConfig(epochs=1, minibatches=1, network=dataclasses.replace(SMALL, hidden=(8,), layer_norm=False))


def values_of(config: ActionValuesConfig, params: Any, obs: Any) -> Any:
    network = ActionValues(config, 2, 1, False)
    read = lambda n, obs: n.values(n.encode(obs), False)[0][..., 0]
    return network.apply(params, obs, method=read)


@pytest.mark.core
def test_it_learns_the_optimal_values_and_actions_of_every_probe():
    """One-step returns, so that what exploration does is no part of them; the probe of the time limit among them."""
    env = probes.probe_env()
    config = PQNConfig(epochs=2, minibatches=4, network=SMALL)
    hp = traced(
        PQNHyperparameters(
            learning_rate=3e-3,
            gamma=GAMMA,
            q_lambda=0.0,
            epsilon_end=0.5,
            exploration=0.3,
            learning_rate_end=0.1,
        )
    )
    learner = pqn(env, 16, 8, config, hp)
    count, updates = len(probes.NAMES), 400
    axis = RunAxis("probe", count, env_params=True)
    chunk = over_runs(make_chunk(learner, vectorize(env, 16), 8), [axis])
    params = probes.stacked()
    state = jax.jit(chunk.init)(jax.random.split(random.key(1), count), hp, params)
    state, _ = jax.jit(chunk.run, donate_argnums=0)(
        state, hp, (), params, jnp.float32(updates), jnp.int32(updates)
    )
    assert (np.asarray(state.diverged) == -1).all()
    obs = probes.observations()
    flat = obs.reshape(count, -1, 2)
    values = np.asarray(jax.vmap(lambda p, o: values_of(SMALL, p, o))(state.learner.params, flat))
    values = values.reshape(count, probes.LONGEST, 2, 2)
    for i, name in enumerate(probes.NAMES):
        probe = probes.PROBES[name]
        length = int(probe.length)
        if name == "memory":
            continue  # it has none
        if probe.action or probe.match:
            wanted = probe.action + probe.match * probes.CUES
            np.testing.assert_array_equal(values[i, length - 1].argmax(-1), wanted > 0, err_msg=name)
        expected = probes.optimal_values(name, GAMMA)
        np.testing.assert_allclose(values[i, :length].max(-1), expected, atol=0.1, err_msg=name)


def test_the_first_step_is_that_of_numpy():
    env = walk.make()
    hp = traced(
        PQNHyperparameters(learning_rate=1e-2, q_lambda=0.7, max_grad_norm=0.5, learning_rate_end=1.0)
    )
    learner, venv = pqn(env, 4, 8, TINY, hp), vectorize(env, 4)
    chunk = make_chunk(learner, venv, 8)
    before = chunk.init(random.key(0), hp, env.params)
    after, metrics = chunk.run(before, hp, (), env.params, jnp.float32(10), jnp.int32(1))
    t = lived(before, learner, venv, env)

    def layers(params: Any) -> Any:
        p = params["params"]
        return [
            np.float64(p[part][x]) for part in ("advantage_hidden", "advantage") for x in ("kernel", "bias")
        ]

    w, b, v, c = layers(before.learner.params)
    hidden = lambda obs: np.maximum(np.float64(obs) @ w + b, 0.0)
    q = hidden(t.obs) @ v + c
    best = (hidden(t.next_obs) @ v + c).max(-1)
    target, later = np.zeros((8, 4)), best[-1]
    for i in reversed(range(8)):
        # Peng's mixture of the successor's value and its own return, which an end of the episode cuts.
        mixed = np.where(t.terminated[i] | t.truncated[i], best[i], 0.3 * best[i] + 0.7 * later)
        later = target[i] = t.reward[i] + 0.99 * np.where(t.terminated[i], 0.0, mixed)
    error = np.take_along_axis(q, np.asarray(t.action)[..., None], -1)[..., 0] - target
    np.testing.assert_allclose(metrics["loss"], 0.5 * (error**2).mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["td_error"], abs(error).mean(), rtol=1e-5)
    pull = np.eye(q.shape[-1])[np.asarray(t.action)] * error[..., None] / error.size
    through = (pull @ v.T) * (hidden(t.obs) > 0)
    flat = lambda x: x.reshape(-1, x.shape[-1])
    gradient = [
        flat(np.float64(t.obs)).T @ flat(through), flat(through).sum(0),
        flat(hidden(t.obs)).T @ flat(pull), flat(pull).sum(0),
    ]  # fmt: skip
    size = np.sqrt(sum((g**2).sum() for g in gradient))
    np.testing.assert_allclose(metrics["grad_norm"], size, rtol=1e-5)
    # The first steps of rectified Adam have no denominator.
    for x, old, g in zip(layers(after.learner.params), (w, b, v, c), gradient, strict=True):
        np.testing.assert_allclose(x, old - 1e-2 * min(1.0, 0.5 / size) * g, atol=1e-6)


def lived(before: Any, learner: Any, venv: Any, env: Any) -> Any:
    """The rollout of the first update."""
    key = jax.random.split(before.key, 4)[2]
    return jax.device_get(
        rollout(key, learner, learner.actor(before.learner), venv, before.envs, (), env.params, 8)[2]
    )


def test_runs_side_by_side_with_hyperparameters_of_their_own_are_the_runs_alone():
    env, runs = walk.make(), 2
    learner = pqn(env, 4, 8, dataclasses.replace(TINY, minibatches=4))
    hps = [traced(PQNHyperparameters(epsilon_end=end, exploration=end, q_lambda=end)) for end in (0.1, 0.9)]
    chunk = make_chunk(learner, vectorize(env, 4), 8)
    many = over_runs(chunk, [RunAxis("seed", runs, hp=True)])
    keys, length = jax.random.split(random.key(5), runs), (jnp.float32(5), jnp.int32(5))

    def go(chunk: Any, key: Any, hp: Any) -> Any:
        state = jax.jit(chunk.init)(key, hp, env.params)
        return jax.jit(chunk.run)(state, hp, (), env.params, *length)

    together, metrics = go(many, keys, jax.tree.map(lambda *x: jnp.stack(x), *hps))
    for i in range(runs):
        alone, own = go(chunk, keys[i], hps[i])
        close = lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-4, atol=1e-6)
        jax.tree.map(close, together.learner.params, alone.learner.params)
        jax.tree.map(close, metrics, own)


def test_a_resumed_run_is_the_run_that_went_on(tmp_path: Any):
    learner = {"epochs": 1, "minibatches": 1, "network": {"hidden": (8,)}}
    config = walk.config("pqn", num_envs=4, rollout_length=8, learner=learner, updates=4)
    config = dataclasses.replace(config, rows=4, checkpoints=4, keep=4)
    whole = train(config, tmp_path / "run")
    again = train(config, tmp_path / "run", resume=True, step=2)
    assert_equal(again.states, whole.states)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"minibatches": 5}, "minibatches is 5"),
        ({"epochs": 0}, "epochs is 0; it must be a whole number of at least 1"),
        ({"network": dataclasses.replace(SMALL, noisy=True)}, "PQN explores by epsilon"),
        ({"network": dataclasses.replace(SMALL, encoder="minatar")}, "encoder is 'minatar' but observations"),
    ],
)
def test_what_does_not_fit_is_refused(changes: Any, message: str):
    with pytest.raises(ValueError, match=message):
        pqn(walk.make(), 4, 8, dataclasses.replace(TINY, **changes))
    with pytest.raises(ValueError, match="PQN takes Discrete actions only"):
        pqn(probes.probe_env(continuous=True), 4, 8)
    with pytest.raises(ValueError, match="objective is 'ppo-clip'; PQN has a loss of its own"):
        pqn(walk.make(), 4, 8, TINY, objective=ppo_clip())


def test_presets_have_the_sizes_of_the_published_code():
    board, other = pqn_preset("Breakout-MinAtar"), pqn_preset("CartPole-v1")
    assert (board.num_envs, board.rollout_length, board.config.minibatches, board.config.epochs) == (
        128,
        32,
        32,
        2,
    )
    assert (other.num_envs, other.rollout_length, other.config.minibatches, other.config.epochs) == (
        32,
        64,
        16,
        4,
    )
    frames = pqn_preset("atari/Pong")
    assert (frames.num_envs, frames.rollout_length, frames.config.minibatches, frames.config.epochs) == (
        128,
        32,
        32,
        2,
    )
    hp, network = frames.hp, frames.config.network
    assert (
        hp.learning_rate,
        hp.learning_rate_end,
        hp.gamma,
        hp.q_lambda,
        hp.epsilon_end,
        hp.max_grad_norm,
    ) == (2.5e-4, 1.0, 0.99, 0.65, 0.001, 10.0)
    assert (network.encoder, network.hidden, network.layer_norm, network.layout) == (
        "atari",
        (512,),
        True,
        "faithful",
    )


@pytest.mark.parametrize("name", ["pqn", "dqn"])
@pytest.mark.parametrize(
    ("env", "shape", "dtype"),
    [
        ("octax/pong", (32, 64, 4), "bool"),
        ("craftax/Craftax-Classic-Pixels-v1", (63, 63, 3), "float32"),
        ("atari/Pong", (84, 84, 4), "uint8"),
    ],
)
def test_presets_for_images_read_them(name: str, env: str, shape: tuple[int, ...], dtype: str):
    network = find_preset(name, env).config.network
    assert network.encoder == "atari"
    check_action_values(network, Box(0.0, 255.0 if dtype == "uint8" else 1.0, shape, dtype))
