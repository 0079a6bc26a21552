"""The learner of action values as DQN: its first step against NumPy, its clock, its seats, and the optimal values of the probes."""

from __future__ import annotations

import dataclasses
import math
import re
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
import walk
from compiled import program
from same import assert_equal

from jaxrl_envs.vector import vectorize
from jaxrl_evolve import RunAxis, TrainConfig, make_chunk, over_runs, ppo_clip, random
from jaxrl_evolve.experience.layout import Layout
from jaxrl_evolve.experience.replay import draw, observation
from jaxrl_evolve.learners.learner import Mode
from jaxrl_evolve.learners.rainbow import epsilon_after, rainbow
from jaxrl_evolve.learners.rainbow_config import RainbowConfig, RainbowHyperparameters
from jaxrl_evolve.networks.action_values import ActionValues
from jaxrl_evolve.networks.action_values_config import ActionValuesConfig
from jaxrl_evolve.training.experiment import traced
from jaxrl_evolve.training.train import train

split = jax.jit(jax.random.split, static_argnums=1)
GAMMA, ENVS, LENGTH = 0.5, 16, 4
SMALL = ActionValuesConfig(hidden=(32,), activation="relu")
TINY = RainbowConfig(capacity=64, batch=8, gradient_steps=2, warm_up=0, target_period=2, network=SMALL)


@pytest.mark.core
def test_it_learns_the_optimal_values_and_actions_of_every_probe():
    """The time limit probe among them: a step that is cut short has a successor of value."""
    env = probes.probe_env()
    config = RainbowConfig(
        capacity=2_048, batch=64, gradient_steps=8, warm_up=256, target_period=8, network=SMALL
    )
    hp = traced(RainbowHyperparameters(learning_rate=3e-3, gamma=GAMMA, epsilon_end=0.5, exploration=0.3))
    learner = rainbow(env, ENVS, LENGTH, config, hp)
    count, updates = len(probes.NAMES), 120
    axis = RunAxis("probe", count, env_params=True)
    chunk = over_runs(make_chunk(learner, vectorize(env, ENVS), LENGTH), [axis])
    params = probes.stacked()
    state = jax.jit(chunk.init)(split(random.key(1), count), hp, params)
    state, metrics = jax.jit(chunk.run, donate_argnums=0)(
        state, hp, (), params, jnp.float32(updates), jnp.int32(updates)
    )
    assert (np.asarray(state.diverged) == -1).all()
    assert (np.asarray(metrics["loss"])[:-1] < 0.1).all()  # but of the one that needs memory

    @program
    @jax.vmap
    def judge(state: Any, obs: Any) -> Any:
        first = jnp.zeros(obs.shape[0], bool)
        act = lambda cue: learner.act(
            learner.actor(state), obs[:, cue], first, (), random.key(0), mode="greedy"
        )[0]
        return jnp.stack([act(0), act(1)], -1)

    network = ActionValues(SMALL, 2, 1, False)

    def values_of(params: Any, obs: Any) -> Any:
        everything = lambda n, obs: n.values(n.encode(obs), False)[0][..., 0]
        return network.apply(params, obs, method=everything)

    obs = probes.observations()
    actions = judge(state.learner, obs)
    flat = obs.reshape(count, -1, 2)
    values = program(jax.vmap(values_of))(state.learner.params, flat).max(-1)
    values = values.reshape(count, probes.LONGEST, 2)
    for i, name in enumerate(probes.NAMES):
        probe = probes.PROBES[name]
        length = int(probe.length)
        if name == "memory":
            continue  # it has none
        if probe.action or probe.match:
            wanted = probe.action + probe.match * probes.CUES
            np.testing.assert_array_equal(actions[i, length - 1], wanted > 0, err_msg=name)
        expected = probes.optimal_values(name, GAMMA)
        np.testing.assert_allclose(values[i, :length], expected, atol=0.1, err_msg=name)


@pytest.mark.parametrize("double", [False, True])
def test_the_first_gradient_steps_are_those_of_numpy(double: bool):
    env = walk.make()
    config = dataclasses.replace(TINY, double=double, target_period=1, gradient_steps=1)
    hp = traced(RainbowHyperparameters(learning_rate=1e-2, max_grad_norm=1e9, target_rate=0.1))
    learner = rainbow(env, 4, 8, config, hp)
    chunk = make_chunk(learner, vectorize(env, 4), 8)
    before = program(chunk.init)(random.key(0), hp, env.params)
    # Another target network, else both choices are one.
    other = jax.tree.map(
        lambda x: x + np.float32(0.1) * np.cos(np.arange(x.size, dtype=np.float32).reshape(x.shape)),
        before.learner.target,
    )
    before = dataclasses.replace(before, learner=dataclasses.replace(before.learner, target=other))
    after, metrics = program(chunk.run)(before, hp, (), env.params, np.float32(10), np.int32(1))

    @program
    def drawn(key: Any, store: Any) -> Any:
        """The window that the step drew, and its two observations."""
        key_update = jax.random.split(key, 4)[3]
        key_draw = jax.random.split(jax.random.fold_in(key_update, 0), 4)[0]
        window = draw(Layout(), key_draw, store, config.batch).window
        return window, *(observation(Layout(), window, k) for k in (0, 1))

    window, obs, next_obs = drawn(before.key, after.store)
    action, reward, terminated = (x[:, 0] for x in (window.action, window.reward, window.terminated))

    def layers(params: Any) -> Any:
        p = params["params"]
        parts = ("advantage_hidden", "advantage")
        return [(np.float64(p[part]["kernel"]), np.float64(p[part]["bias"])) for part in parts]

    def forward(params: Any, obs: Any) -> Any:
        (w, b), (v, c) = layers(params)
        hidden = np.maximum(np.float64(obs) @ w + b, 0.0)
        return hidden, hidden @ v + c

    old, rows = jax.device_get(before.learner), np.arange(config.batch)
    hidden, q = forward(old.params, obs)
    # The target network is renewed before the step.
    mixed = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, old.target, old.params)
    slow = forward(mixed, next_obs)[1]
    chosen = (forward(old.params, next_obs)[1] if double else slow).argmax(-1)
    wanted = reward + np.where(terminated, 0.0, 0.99 * slow[rows, chosen])
    error = q[rows, action] - wanted
    np.testing.assert_allclose(metrics["td_error"], abs(error).mean(), rtol=1e-5)
    huber = np.where(abs(error) < 1, 0.5 * error**2, abs(error) - 0.5)
    np.testing.assert_allclose(metrics["loss"], huber.mean(), rtol=1e-5)
    pull = np.zeros_like(q)
    pull[rows, action] = np.clip(error, -1, 1) / config.batch
    through = (pull @ layers(old.params)[1][0].T) * (hidden > 0)
    gradient = [np.float64(obs).T @ through, through.sum(0), hidden.T @ pull, pull.sum(0)]
    size = np.sqrt(sum((g**2).sum() for g in gradient))
    np.testing.assert_allclose(metrics["grad_norm"], size, rtol=1e-4)
    # Adam's first step is the learning rate times the gradient's sign, but for eps.
    expected = [
        x - 1e-2 * g / (abs(g) + 1e-5)
        for x, g in zip([x for pair in layers(old.params) for x in pair], gradient, strict=True)
    ]
    new = jax.device_get(after.learner)
    for x, y in zip([x for pair in layers(new.params) for x in pair], expected, strict=True):
        np.testing.assert_allclose(x, y, atol=2e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), new.target, mixed)


def test_the_rate_of_exploration_follows_the_clock():
    hp = RainbowHyperparameters(epsilon_start=1.0, epsilon_end=0.2, exploration=0.5)
    at = lambda step, hp=hp: float(epsilon_after(RainbowConfig(warm_up=0), hp, step, 100.0))
    np.testing.assert_allclose([at(0.0), at(25.0), at(50.0), at(100.0)], [1.0, 0.6, 0.2, 0.2], rtol=1e-6)
    assert at(0.0, dataclasses.replace(hp, exploration=0.0)) == pytest.approx(0.2)
    at_once = dataclasses.replace(hp, exploration=0.0)  # but not before the warm-up is over
    sudden = lambda step: float(epsilon_after(RainbowConfig(warm_up=20), at_once, step, 100.0))
    np.testing.assert_allclose([sudden(0.0), sudden(19.0), sudden(20.0)], [1.0, 1.0, 0.2], rtol=1e-6)
    late = lambda step: float(epsilon_after(RainbowConfig(warm_up=20), hp, step, 100.0))
    np.testing.assert_allclose(
        [late(0.0), late(19.0), late(45.0), late(70.0)], [1.0, 1.0, 0.6, 0.2], rtol=1e-6
    )


@pytest.mark.parametrize(("mode", "epsilon"), [("explore", 0.3), ("sample", 0.1)])
def test_actions_are_explored_at_the_rate_and_their_probabilities_told(mode: Mode, epsilon: float):
    """Exploring at the rate of the moment, sampled from at one of its own."""
    env = walk.make()
    learner = rainbow(env, 4, 8, TINY)
    hp = traced(RainbowHyperparameters(epsilon_start=0.3, epsilon_end=0.5, epsilon_evaluation=0.1))
    init = program(learner.init)
    actor = learner.actor(init(random.key(0), hp))
    count, wrong = 20_000, epsilon / 2
    act = program(partial(learner.act, key=random.key(1)), "mode")
    seen = np.zeros((count, 2), np.float32), np.zeros(count, bool), ()
    greedy = act(actor, *seen, mode="greedy")[0]
    action, _, policy = act(actor, *seen, mode=mode)
    assert len(set(greedy.tolist())) == 1
    rate = float((action != greedy).mean())
    assert abs(rate - wrong) < 5 * np.sqrt(wrong * (1 - wrong) / count)
    if mode == "explore":  # an exploration of no length has ended before the first step
        over = init(random.key(0), dataclasses.replace(hp, exploration=jnp.float32(0)))
        assert float(over.epsilon) == pytest.approx(0.5)
    expected = np.where(action == greedy, np.log(1 - wrong), np.log(wrong))
    np.testing.assert_allclose(policy.log_prob, expected, rtol=1e-5)


def test_nothing_is_learned_while_the_buffer_warms_up_and_the_target_is_renewed_in_time():
    env = walk.make()
    config = dataclasses.replace(TINY, warm_up=64, target_period=3)
    learner = rainbow(env, 4, 8, config)
    hp = traced(learner.default_hp)
    chunk = make_chunk(learner, vectorize(env, 4), 8)
    run = program(chunk.run)
    state = program(chunk.init)(random.key(0), hp, env.params)
    first = state.learner
    steps = []
    for _ in range(4):
        before = state.learner
        state, metrics = run(state, hp, (), env.params, jnp.float32(4), jnp.int32(1))
        steps.append(int(state.learner.steps))
        if steps[-1] == 0:
            assert_equal((state.learner.params, state.learner.optimiser), (first.params, first.optimiser))
            assert float(metrics["loss"]) == float(metrics["td_error"]) == 0.0  # of steps that were not taken
        # Before every third step; before the first there was nothing to renew.
        renewed = any(step % 3 == 0 for step in range(max(1, int(before.steps)), steps[-1]))
        same = jax.tree.map(lambda a, b: bool((a == b).all()), state.learner.target, before.target)
        assert all(jax.tree.leaves(same)) != renewed
    assert steps == [0, 2, 4, 6]
    assert float(metrics["replay_fill"]) == 1.0


@pytest.mark.core
def test_a_chunk_copies_no_storage_with_runs_side_by_side_or_alone():
    """The cost of an update must not depend on the size of the buffer."""
    env = walk.make()
    learner = rainbow(env, 4, 8, dataclasses.replace(TINY, capacity=4 * 8 * 125))
    hp = traced(learner.default_hp)
    chunk = make_chunk(learner, vectorize(env, 4), 8)
    for runs, shape in ((1, "1000,4"), (3, "3,1000,4")):
        many = chunk if runs == 1 else over_runs(chunk, [RunAxis("seed", runs)])
        keys = random.key(0) if runs == 1 else jax.random.split(random.key(0), runs)
        state = jax.eval_shape(many.init, keys, hp, env.params)
        lowered = jax.jit(many.run, donate_argnums=0).lower(
            state, hp, (), env.params, jnp.float32(9), jnp.int32(9)
        )
        text = lowered.compile().as_text() or ""
        assert f"[{shape}" in text
        assert not re.findall(rf"\[{shape}[^\]]*\]\S* copy\(", text)


def test_runs_side_by_side_with_hyperparameters_of_their_own_are_the_runs_alone():
    env, runs = walk.make(), 3
    learner = rainbow(env, 4, 8, dataclasses.replace(TINY, warm_up=64))
    hps = [traced(RainbowHyperparameters(epsilon_end=end, exploration=end)) for end in (0.1, 0.5, 0.9)]
    chunk = make_chunk(learner, vectorize(env, 4), 8)
    many = over_runs(chunk, [RunAxis("seed", runs, hp=True)])
    keys = split(random.key(5), runs)
    length = jnp.float32(5), jnp.int32(5)

    def go(chunk: Any, key: Any, hp: Any) -> Any:
        state = jax.jit(chunk.init)(key, hp, env.params)
        return jax.device_get(jax.jit(chunk.run)(state, hp, (), env.params, *length))

    together, metrics = go(many, keys, jax.tree.map(lambda *x: np.stack(x), *hps))
    for i in range(runs):
        alone, own = go(chunk, keys[i], hps[i])
        # What was drawn and done is the same to the bit, but sums may be taken in another order.
        assert_equal(jax.tree.map(lambda x, i=i: x[i], together.store), alone.store)
        close = lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-4, atol=1e-6)
        jax.tree.map(close, together.learner.params, alone.learner.params)
        jax.tree.map(close, metrics, own)


def config(**changes: Any) -> TrainConfig[Any, Any]:
    learner = {"capacity": 128, "batch": 8, "gradient_steps": 1, "warm_up": 16, "network": {"hidden": (8,)}}
    return walk.config("dqn", num_envs=4, rollout_length=8, learner=learner, **changes)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: Any) -> Any:
    """A run whose checkpoints lie where the buffer is half full, exactly full, just wrapped, and later."""
    out = tmp_path_factory.mktemp("dqn") / "run"
    c = dataclasses.replace(config(updates=5), rows=10, checkpoints=10, keep=10)
    return train(c, out), out, c


@pytest.mark.parametrize("step", [2, 4, 5])
@pytest.mark.core("2")
def test_a_run_resumed_with_its_buffer_is_the_run_that_went_on(whole: Any, step: int):
    result, out, c = whole
    assert result.states[0].store.reward.shape == (1, 32, 4)
    assert c.updates == 10
    again = train(c, out, resume=True, step=step)
    assert_equal(again.states, result.states)
    assert again.eval_return == result.eval_return


def test_an_update_that_diverges_is_not_taken_over_but_its_rollout_is_kept():
    env = walk.make(nan_rate=1.0)
    learner = rainbow(env, 4, 8, TINY)
    hp = traced(learner.default_hp)
    chunk = make_chunk(learner, vectorize(env, 4), 8)
    before = program(chunk.init)(random.key(0), hp, env.params)
    after, _ = program(chunk.run)(before, hp, (), env.params, jnp.float32(3), jnp.int32(2))
    assert int(after.diverged) == 0
    assert bool(before.learner.sound)
    assert_equal(after.learner, dataclasses.replace(before.learner, sound=jnp.bool_(False)))
    assert int(after.store.filled) == 16


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"capacity": 2**40}, "capacity is 1099511627776, in whole rollouts"),
        ({"capacity": "x"}, "learner.capacity is 'x'; it must be a whole number"),
        ({"network": None}, "learner.network is None; it must be of type ActionValuesConfig"),
        ({"batch": 0}, "learner.batch is 0; it must be a whole number of at least 1"),
        ({"loss": "hubber"}, "learner.loss is 'hubber', which is not known: did you mean huber"),
        ({"capacity": 4}, r"capacity is 4; it must be at least batch \(8\) and warm_up \(0\)"),
        (
            {"capacity": 32},
            "capacity is 32, which is 8 steps of each of 4 environments; windows of 1 steps and",
        ),
        ({"capacity": 64, "batch": 61}, "capacity is 64, in which 60 windows of 1 steps .* batch is 61"),
        ({"capacity": 512, "batch": 33}, "warm_up is 0, after which 32 steps are stored, fewer than batch"),
        (
            {"network": ActionValuesConfig(encoder="minatar")},
            r"encoder is 'minatar' but observations have shape \(2,\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(changes: Any, message: str):
    with pytest.raises(ValueError, match=message):
        rainbow(walk.make(), 4, 8, dataclasses.replace(TINY, **changes))


def test_continuous_actions_and_objectives_are_refused():
    with pytest.raises(ValueError, match="this learner takes Discrete actions only"):
        rainbow(probes.probe_env(continuous=True), 4, 8)
    with pytest.raises(ValueError, match="objective is 'ppo-clip'; this learner has a loss of its own"):
        rainbow(walk.make(), 4, 8, objective=ppo_clip())


@pytest.mark.parametrize(
    "name", ["gamma", "target_rate", "epsilon_start", "epsilon_end", "exploration", "learning_rate"]
)
def test_a_hyperparameter_out_of_its_range_is_refused_by_name(name: str):
    for value in (-0.1, math.nan) if name == "learning_rate" else (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=rf"^hp\.{name} is {value}; it must"):
            config(hp={name: value})
