"""Several objectives in one run: whose gradient each sample has, what is reported, and agents that learn by them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import walk
from compiled import program
from same import assert_close
from test_objectives import NOW, SHAPE, Numbers

from jaxrl_envs import variants
from jaxrl_evolve import PolicyOutput, Trajectory, random
from jaxrl_evolve.clock import Clock
from jaxrl_evolve.learners.learner import traced
from jaxrl_evolve.learners.ppo import ppo
from jaxrl_evolve.learners.ppo_config import PPOConfig, PPOHyperparameters
from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.objectives import Objective, a2c, lpg, ppo_clip
from jaxrl_evolve.objectives.by_variant import by_variant
from jaxrl_evolve.objectives.drift.frame import drift_objective
from jaxrl_evolve.objectives.objective import ObjectiveBatch, ObjectiveOutputs
from jaxrl_evolve.objectives.time_config import HorizonRange, TimeFeatures

PAIR = {"clip": ppo_clip(), "a2c": a2c(normalise_advantage=True)}


def numbered(batch: ObjectiveBatch, number: Any) -> ObjectiveBatch:
    info = {"objective": jnp.asarray(number, jnp.int32)}
    return replace(batch, trajectory=replace(batch.trajectory, info=info))


def given(n: Numbers) -> Any:
    """A batch and outputs, and gradients by logits and values of what is minimised."""

    def outputs(logits: Any, value: Any) -> ObjectiveOutputs:
        return n.outputs(logits, value)

    def gradients(objective: Objective, eta: Any, number: Any) -> Any:
        batch = numbered(n.batch(), number)
        loss = lambda x: objective.loss(eta, batch, outputs(*x), NOW)
        return jax.value_and_grad(loss, has_aux=True)((jnp.asarray(n.logits), jnp.asarray(n.value)))

    return gradients


def test_each_sample_has_the_gradient_of_its_own_objective():
    """In a minibatch of both, of one alone, and with samples that are nobody's."""
    n, both = Numbers(), by_variant(PAIR)
    gradients = given(n)
    number = np.random.default_rng(1).integers(0, 3, SHAPE)  # 2 is nobody's

    @program
    def whole() -> Any:
        alone = [gradients(one, (), number) for one in PAIR.values()]
        one_each = [gradients(both, ((), ()), np.full(SHAPE, k)) for k in (0, 1)]
        return alone, one_each, gradients(both, ((), ()), number)

    alone, one_each, ((total, metrics), mixed) = whole()
    for k, ((value, told), gradient) in enumerate(alone):
        assert_close(one_each[k][1], gradient)
        np.testing.assert_allclose(one_each[k][0][0], value, rtol=1e-6)
        for name, x in told.items():
            np.testing.assert_allclose(one_each[k][0][1][name], x, rtol=1e-6)
    for leaf in (0, 1):
        own = [np.asarray(gradient[leaf]) for _, gradient in alone]
        mask = number.reshape(SHAPE + (1,) * (own[0].ndim - 2))
        expected = np.where(mask == 0, own[0], np.where(mask == 1, own[1], 0.0))
        np.testing.assert_allclose(mixed[leaf], expected, rtol=1e-5, atol=1e-8)
        assert abs(own[0] - own[1]).max() > 1e-3 or leaf == 1
    share = [(number == k).mean() for k in (0, 1)]
    (first, second) = (told for (_, told), _ in alone)
    np.testing.assert_allclose(total, share[0] * alone[0][0][0] + share[1] * alone[1][0][0], rtol=1e-5)
    np.testing.assert_allclose(metrics["approx_kl"], share[0] * first["approx_kl"], rtol=1e-5)
    weighed = share[0] * first["value_loss"] + share[1] * second["value_loss"]
    np.testing.assert_allclose(metrics["value_loss"], weighed, rtol=1e-5)


def test_an_objective_that_breaks_down_does_so_for_its_own_samples_only():
    broken = Objective(
        lambda key: (), lambda eta, b, out, clock: (jnp.log(-(out.value.mean() ** 2)), {}), "broken"
    )
    both, gradients = by_variant({"clip": ppo_clip(), "broken": broken}), given(Numbers())
    (total, _), found = program(lambda: gradients(both, ((), ()), np.zeros(SHAPE)))()
    assert np.isfinite(total) and all(np.isfinite(x).all() for x in found)
    (total, _), _ = program(lambda: gradients(both, ((), ()), np.eye(*SHAPE)))()
    assert not np.isfinite(total)


def test_learned_objectives_keep_their_own_parameters():
    init = lambda key: jax.random.normal(key, (), jnp.float32)
    drift = lambda eta, log_ratio, advantage, clip, time: eta**2 * jnp.square(log_ratio)
    learned = drift_objective("learned", drift, TimeFeatures(), init, horizons=HorizonRange(1, 9, "updates"))
    both = by_variant({"a": learned, "b": learned})
    eta = both.init(random.key(0))
    assert len(eta) == 2 and float(eta[0]) != float(eta[1])
    assert both.horizons == learned.horizons and both.name == "a,b"
    number = np.eye(*SHAPE)

    weights = program(jax.grad(lambda eta: jnp.square(given(Numbers())(both, eta, number)[1][0]).sum()))(eta)
    assert all(abs(float(x)) > 1e-6 for x in weights)  # a meta-gradient reaches both


def test_what_is_refused_of_objectives():
    with pytest.raises(ValueError, match="objectives is empty; there must be at least one, by its name"):
        by_variant({})
    with pytest.raises(
        ValueError, match="objectives has 'lpg', which is .*; it must be an Objective, whose loss"
    ):
        by_variant({"clip": ppo_clip(), "lpg": lpg()})
    n = Numbers()
    with pytest.raises(ValueError, match="info has no 'objective', which says by which objective an episode"):
        by_variant(PAIR).loss(((), ()), n.batch(), n.outputs(), NOW)


@pytest.mark.core
def test_agents_learn_by_them():
    """An update of PPO in minibatches: with one objective everywhere it is that one's, with two that are equal the plain one's."""
    steps, slots, rng = 8, 4, np.random.default_rng(0)
    env = variants(walk.make(), [*PAIR], "objective")
    config, hp = (
        PPOConfig(epochs=1, minibatches=2, network=NetworkConfig(hidden=(4,))),
        PPOHyperparameters(learning_rate=1e-2),
    )
    flags = rng.random((3, steps, slots)) < 0.2
    obs, then = rng.normal(size=(2, steps, slots, 2)).astype(np.float32)
    action, reward = rng.integers(0, 2, (steps, slots)), rng.normal(size=(steps, slots)).astype(np.float32)
    # Far from what the policy says, so that clipping tells the objectives apart.
    log_prob = (np.log(0.5) + rng.normal(size=(steps, slots))).astype(np.float32)
    clock = Clock(jnp.float32(0), jnp.float32(8), jnp.float32(0))

    def updated(objective: Objective, eta: Any, number: Any) -> Any:
        learner = ppo(env, slots, steps, config, hp, objective)
        fields: Any = jax.tree.map(jnp.asarray, (obs, jnp.int32(action), reward, *flags, then))
        info = {"objective": jnp.asarray(number, jnp.int32)}
        t = Trajectory(*fields, PolicyOutput(jnp.asarray(log_prob)), info=info)
        state = learner.init(random.key(0), traced(hp))
        return learner.update(random.key(1), state, t, traced(hp), eta, clock)[0].params  # type: ignore[misc]

    mixed = rng.integers(0, 2, (steps, slots))

    @program
    def whole() -> Any:
        both, twice = by_variant(PAIR), by_variant({"one": PAIR["a2c"], "other": PAIR["a2c"]})
        plain = [updated(one, (), mixed) for one in PAIR.values()]
        numbers = jnp.stack([np.zeros_like(mixed), np.ones_like(mixed), mixed])
        of_both = jax.vmap(lambda number: updated(both, ((), ()), number))(numbers)
        return plain, of_both, updated(twice, ((), ()), mixed)

    plain, found, of_equals = whole()
    *alone, of_both = (jax.tree.map(lambda x, i=i: x[i], found) for i in range(3))
    assert_close(alone, plain)
    assert_close(of_equals, plain[1])
    apart = lambda a, b: max(abs(x - y).max() for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True))
    assert apart(plain[0], plain[1]) > 1e-4 and min(apart(of_both, one) for one in plain) > 1e-4
