"""Meta-gradients against finite differences, block by block, and the paths that are easily cut."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import program

from jaxrl_envs import make
from jaxrl_envs.vector import vectorize
from jaxrl_evolve import random
from jaxrl_evolve.clock import Clock
from jaxrl_evolve.learners.ppo import PPOConfig, PPOHyperparameters, ppo
from jaxrl_evolve.meta import gradient_life
from jaxrl_evolve.meta.config import MetaTrainConfig
from jaxrl_evolve.meta.experiment import build_meta
from jaxrl_evolve.meta.gradient import gradient_programs
from jaxrl_evolve.networks.network import NetworkConfig
from jaxrl_evolve.objectives.lpg import LPGConfig, init_parameters, lpg
from jaxrl_evolve.objectives.time_config import HorizonRange, TimeFeatures
from jaxrl_evolve.runs.chunk import make_chunk, make_update
from jaxrl_evolve.runs.rollout import rollout
from jaxrl_evolve.training.experiment import traced

SETTINGS = LPGConfig(
    width=6,
    predictions=3,
    embedding=4,
    start="random",
    time=TimeFeatures(("fraction", "log_horizon"), HorizonRange(40.0, 400.0)),
)
first_eta = program(partial(init_parameters, SETTINGS))
BLOCKS = {
    "phi": ("embed_kernel", "embed_bias", "embed_out_kernel", "embed_out_bias"),
    "core": ("core_input", "core_memory", "core_bias", "core_candidate_bias"),
    "policy head": ("policy_kernel", "policy_bias"),
    "prediction head": ("prediction_kernel", "prediction_bias"),
    "time": ("core_time",),
}


def returned(updates: int) -> Any:
    """Two forms of ``eta -> what the policy earns after some updates``.

    The first is made of the parts that meta-training is made of. It samples as it goes, so as a function it
    jumps wherever an action changes, and its derivative leaves that out. The second replays what was sampled at
    one ``eta``; it has the same derivative there, and no jumps.
    """
    env = make("grid/random-small", level_seed=3)
    config = PPOConfig(epochs=1, minibatches=1, optimiser="sgd", network=NetworkConfig(encoder="tabular"))
    hp = traced(PPOHyperparameters(learning_rate=5.0, learning_rate_end=1.0, max_grad_norm=1e3))
    learner = ppo(env, 8, 10, config, objective=lpg(SETTINGS))
    venv = vectorize(env, 8)
    one_update = make_update(learner, venv, 10)
    # A start at which policy and predictions differ from state to state: at zero some paths have no slope.

    @jax.jit
    def start() -> Any:
        state = make_chunk(learner, venv, 10).init(random.key(2), hp, env.params)
        drawn = jax.tree.map(lambda x: 0.5 * jax.random.normal(random.key(5), x.shape), state.learner.params)
        state = dataclasses.replace(state, learner=dataclasses.replace(state.learner, params=drawn))
        return state, jax.random.normal(random.key(4), (10, 8))

    state, weights = start()

    def sampling(eta: Any) -> Any:
        after = state
        for _ in range(updates):
            after = one_update(after, hp, eta, env.params, jnp.float32(4.0))[0]
        t = rollout(random.key(9), learner, after.learner, venv, after.envs, (), env.params, 10)[2]
        return (t.policy.log_prob * weights).mean(), jax.lax.stop_gradient(t)

    @jax.jit
    def lived(eta: Any) -> Any:
        after, seen = state, []
        for _ in range(updates):
            key_rollout = jax.random.split(after.key, 4)[2]
            seen.append(rollout(key_rollout, learner, after.learner, venv, after.envs, (), env.params, 10)[2])
            after = one_update(after, hp, eta, env.params, jnp.float32(4.0))[0]
        return seen, sampling(eta)[1]

    def replaying(eta: Any) -> Any:
        seen, tested = lived(eta)

        def value(eta: Any) -> Any:
            agent = state.learner
            for i, t in enumerate(seen):
                clock = Clock.at(i * 80.0, 4.0 * 80.0)
                agent = learner.update(random.key(0), agent, t, hp, eta, clock)[0]
            log_probs = jax.nn.log_softmax(agent.params["policy"])
            return (log_probs[tested.obs, tested.action] * weights).mean()

        return value

    return lambda eta: sampling(eta)[0], replaying


@pytest.fixture(scope="module")
def parts() -> Any:
    eta = jax.tree.map(lambda x: 1.5 * x + 0.05, first_eta(random.key(1)))
    sampling, replaying = returned(2)
    gradient = program(jax.grad(sampling))(eta)
    value = jax.jit(replaying(eta))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-7),
        gradient,
        program(jax.grad(value))(eta),
    )
    return eta, value, gradient


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.core("phi")
def test_the_gradient_is_that_of_finite_differences(parts: Any, block: str):
    eta, value, gradient = parts
    rng = np.random.default_rng(0)
    for name in BLOCKS[block]:
        direction = rng.normal(size=eta[name].shape).astype(np.float32)
        slope = float((gradient[name] * direction).sum())
        step = 0.02 / np.linalg.norm(direction)
        moved = [float(value({**eta, name: eta[name] + s * step * direction})) for s in (1, -1, 2, -2)]
        # Five points: the error falls with the fourth power of the step.
        numeric = (8 * (moved[0] - moved[1]) - (moved[2] - moved[3])) / (12 * step)
        scale = float(np.linalg.norm(gradient[name]) * np.linalg.norm(direction))
        assert abs(slope - numeric) < 0.02 * abs(numeric) + 0.01 * scale, (name, slope, numeric)


def test_every_block_is_reached_by_return_alone(parts: Any):
    """Regression: with inputs held constant, the target of the predictions has no gradient at any order."""
    _, _, gradient = parts
    for block, names in BLOCKS.items():
        size = np.sqrt(sum(float(np.square(gradient[name]).sum()) for name in names))
        assert size > 1e-6, block


def test_a_single_update_cannot_teach_the_predictions():
    """Nobody reads a prediction's target before the next update, so here zero is right."""
    gradient = program(jax.grad(returned(1)[0]))(first_eta(random.key(1)))
    for name in BLOCKS["prediction head"]:
        np.testing.assert_array_equal(gradient[name], 0.0)
    assert np.abs(gradient["policy_kernel"]).max() > 0


def config(**changes: Any) -> MetaTrainConfig[Any, Any, Any]:
    return MetaTrainConfig.preset(
        "ta-lpg",
        "grid/random-small",
        **{
            "estimator": "meta-gradient",
            "generations": 4,
            "num_envs": 8,
            "rollout_length": 10,
            "horizons": {"low": 3, "high": 6},
            "gradient": {"lifetimes": 4, "inner_updates": 2},
            "settings": {"width": 4},
            **changes,
        },
    )


@pytest.fixture(scope="module")
def trained() -> Any:
    c = config()
    experiment = build_meta(c)
    programs = gradient_programs(c, experiment)
    hp = traced(c.hp)
    states = [jax.jit(programs.init)(random.key(0), hp)]
    generation, history = jax.jit(programs.generation), []
    for _ in range(12):
        state, metrics = generation(states[-1], hp)
        states.append(state)
        history.append(metrics)
    return c, jax.device_get(states), jax.device_get(history)


def test_lives_age_retire_and_begin_anew(trained: Any):
    c, states, _ = trained
    ages = np.array([state.lives.train.updates for state in states])
    retire = np.array([state.lives.retire for state in states])
    assert set(np.diff(ages, axis=0)[ages[1:] > 0]) == {c.gradient.inner_updates}
    for before, age, after in zip(retire[:-1], ages[:-1], ages[1:], strict=True):
        over = age + 2 * c.gradient.inner_updates > before
        np.testing.assert_array_equal(after == 0, over)
    assert (ages[1:] == 0).any(0).all()
    horizons = np.array([state.lives.horizon for state in states])
    assert np.all((ages + c.gradient.inner_updates <= horizons) | (ages == 0))
    assert np.unique((ages[1:] == 0).sum(1)).size > 1, "all lives end together"


@pytest.fixture(scope="module")
def one_life(trained: Any) -> Any:
    """What a life is made of, the first of the lives, ``(eta, life) -> gradient``, and what one meta-update of it saw:
    its loss, per-step log-probabilities and advantages, and the critic's error on that rollout before and after it is
    improved.
    """
    c, states, _ = trained
    parts, hp = gradient_life.life_parts(c, build_meta(c)), traced(c.hp)
    bare = parts._replace(
        config=dataclasses.replace(
            c,
            gradient=dataclasses.replace(
                c.gradient,
                policy_entropy=0.0,
                prediction_entropy=0.0,
                policy_target=0.0,
                prediction_target=0.0,
            ),
        )
    )
    life = jax.tree.map(lambda x: x[0], states[0].lives)
    better = gradient_life._with_better_critic

    def seen(eta: Any, life: Any) -> Any:
        caught: list[Any] = []

        def catching(parts: Any, life: Any, t: Any) -> Any:
            after, advantage, error = better(parts, life, t)
            # Of the same target that it was improved for: a new one would have moved with it.
            values = [parts.critic.value(own.critic, t.obs, ()) for own in (life, after)]
            left = 0.5 * jnp.square(values[1] - (values[0] + advantage)).mean()
            caught.extend([t, advantage, (error, left)])
            return after, advantage, error

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gradient_life, "_with_better_critic", catching)
            loss, _ = gradient_life._meta_loss(bare, eta, life, hp)
        return loss, caught[0].policy.log_prob, caught[1], caught[2]

    single = jax.jit(lambda eta, life: gradient_life.lived(parts, eta, life, hp)[0])
    return parts, life, single, jax.jit(seen)(states[0].eta, life)


def test_the_critic_learns(trained: Any, one_life: Any):
    """Regression: its parameters move, and its error falls on the data of one life."""
    _, states, history = trained
    first, later = states[0].lives.critic, states[1].lives.critic
    assert np.abs(first["value"] - later["value"]).max() > 0
    assert all(np.isfinite(float(m["critic_loss"])) for m in history)
    before, after = one_life[-1][-1]
    assert after < 0.8 * before and before > 1e-4


def test_the_meta_loss_is_the_mean_of_per_step_products(one_life: Any):
    """Regression: with a last axis too many each step would be credited with the mean of all."""
    loss, log_prob, advantage = map(np.asarray, one_life[-1][:3])
    assert log_prob.shape == advantage.shape == (10, 8)
    a = advantage.astype(np.float64)
    a = (a - a.mean()) / np.sqrt(a.var() + 1e-8)
    np.testing.assert_allclose(loss, -(log_prob * a).mean(), rtol=1e-4, atol=1e-6)
    assert abs(loss) > 1e-3  # the product of the means is zero


def test_the_gradient_of_many_lives_is_the_mean_of_single_ones_and_is_descended(trained: Any, one_life: Any):
    _, states, history = trained
    single = one_life[2]
    lives = [jax.tree.map(lambda x, i=i: x[i], states[0].lives) for i in range(4)]
    each = [single(states[0].eta, life) for life in lives]
    mean = {name: np.mean([np.asarray(own[name]) for own in each], 0) for name in each[0]}
    size = np.sqrt(sum(np.square(leaf).sum() for leaf in mean.values()))
    np.testing.assert_allclose(history[0]["gradient_norm"], size, rtol=1e-4)
    for name, leaf in mean.items():
        moved = np.asarray(states[1].eta[name]) - np.asarray(states[0].eta[name])
        clear = np.abs(leaf) > 1e-3 * np.abs(leaf).max()
        assert (moved * leaf)[clear].max(initial=-1.0) < 0, name


def test_what_is_computed_again_has_the_plain_gradient(trained: Any, one_life: Any):
    c, states, _ = trained
    parts, life, single, _ = one_life
    experiment = build_meta(c)
    plain = parts._replace(update=make_update(experiment.learner, experiment.venv, c.rollout_length))
    once = jax.jit(lambda eta, life: gradient_life.lived(plain, eta, life, traced(c.hp))[0])
    again, once = single(states[0].eta, life), once(states[0].eta, life)
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(once))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-6 * scale), again, once)


def test_metrics_and_parameters_are_finite_and_move(trained: Any):
    _, states, history = trained
    for metrics in history:
        assert float(metrics["failed"]) == 0.0
        assert float(metrics["gradient_norm"]) > 0.0
    moved = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), states[0].eta, states[-1].eta)
    assert min(moved.values()) > 0.0
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(states[-1].eta))


def test_lives_that_are_too_short_and_memories_are_refused():
    c = config(horizons={"low": 1, "high": 6})
    with pytest.raises(ValueError, match="horizons.low is 1; a meta-gradient through 2 updates needs"):
        gradient_programs(c, build_meta(c))
    with pytest.raises(ValueError, match="gradient.lifetimes is 0; it must be a whole number of at least 1"):
        config(gradient={"lifetimes": 0})
