"""What of one update depends on the clock, on a rate or on a bound: in closed form, by one step of plain gradient descent."""

import dataclasses
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_sequence import WORDS, built, some_answers
from test_sequence_edges import rollout

from jaxrl_evolve import random
from jaxrl_evolve.clock import Clock
from jaxrl_evolve.learners.learner import traced
from jaxrl_evolve.learners.reference import Reference
from jaxrl_evolve.learners.sequence_config import SequenceConfig, SequenceHyperparameters
from jaxrl_evolve.learners.sequence_losses import loss_of
from jaxrl_evolve.trajectory import PolicyOutput

CLOCK = Clock.at(20, 100)


@cache
def sppo(eta_schedule: str, reference: str) -> tuple[Any, Any]:
    """A state, and an update of it on a rollout whose answers were drawn alike."""
    settings = {"eta_schedule": eta_schedule, "reference": reference, "reference_every": 3}
    learner, _ = built("sppo", epochs=1, minibatches=1, optimiser="sgd", soft=True, **settings)
    t = rollout()
    t = dataclasses.replace(t, policy=PolicyOutput(jnp.full(t.reward.shape, -np.log(WORDS), jnp.float32)))
    state = jax.jit(learner.init)(random.key(1), traced(learner.default_hp))
    update = jax.jit(lambda state, hp: learner.update(random.key(0), state, t, hp, (), CLOCK))
    return state, lambda state, **hp: update(state, traced(SequenceHyperparameters(**hp)))


def flat(params: Any) -> np.ndarray:
    return np.concatenate([np.asarray(x).ravel() for x in jax.tree.leaves(params)])


@pytest.mark.parametrize(("schedule", "reference", "eta"), [("line", "average", 1.7), ("root", "every", 1.0)])
def test_an_update_regresses_on_win_rates_by_the_step_of_its_time(schedule: str, reference: str, eta: float):
    state, update = sppo(schedule, reference)
    alike = jax.tree.map(jnp.zeros_like, state.params)
    state = dataclasses.replace(state, params=alike, reference=Reference.of(alike))
    after, told = update(state, eta=2.0, eta_end=0.25, entropy_coef=0.5)
    total = np.asarray(rollout().reward).sum(0).reshape(8, 4)
    mine, others = total[:, :, None], total[:, None]
    rate = ((mine > others) + 0.5 * (mine == others) - 0.5 * np.eye(4)).sum(-1) / 3
    assert rate.std() > 0.1
    expected = eta**2 * np.square(rate - 0.5).mean() - 0.5 * np.log(WORDS)
    np.testing.assert_allclose(told["loss"], expected, rtol=1e-5)
    pairs = 8 * (4 * 3 // 2)
    assert told["queries"] == after.queries.total == pairs


def test_a_step_is_as_long_as_the_rate_of_its_time_and_the_bound_of_the_norm():
    state, update = sppo("line", "average")
    for bound in (0.01, np.inf):
        after, told = update(state, learning_rate=8.0, learning_rate_end=0.5, max_grad_norm=bound)
        rate = 8.0 * (1 - 0.2 * 0.5)
        assert told["grad_norm"] > 0.1
        moved = np.linalg.norm(flat(after.params) - flat(state.params))
        np.testing.assert_allclose(moved, rate * min(bound, told["grad_norm"]), rtol=1e-4)
        np.testing.assert_allclose(told["learning_rate"], rate, rtol=1e-6)


def test_an_average_takes_up_the_share_that_is_set():
    state, update = sppo("line", "average")
    before = jax.tree.map(lambda x: x + 1.0, state.params)
    after, _ = update(dataclasses.replace(state, reference=Reference.of(before)), reference_rate=0.25)
    expected = 0.75 * flat(before) + 0.25 * flat(after.params)
    np.testing.assert_allclose(flat(after.reference.actor), expected, rtol=1e-5, atol=1e-6)


def test_a_reference_is_renewed_by_every_third_update_alone():
    state, update = sppo("root", "every")
    policies = [flat(state.params)]
    for renewed in (0, 0, 3, 3, 3, 6):
        state, _ = update(state, learning_rate=0.1)
        policies.append(flat(state.params))
        assert (policies[-1] != policies[-2]).any()
        np.testing.assert_array_equal(flat(state.reference.actor), policies[renewed])


@pytest.mark.parametrize("loss", ["clip", "ipo"])
def test_entropy_lowers_the_loss_by_its_mean_over_what_was_asked(loss: Any):
    config = SequenceConfig(group=4, loss=loss)
    log_prob, answers = some_answers(config)
    entropy = jnp.asarray(np.random.default_rng(2).random(log_prob.shape), jnp.float32)
    of = lambda x, coef: loss_of(config, SequenceHyperparameters(entropy_coef=coef), log_prob, x, answers)[0]
    asked = np.asarray(answers.asked)
    bonus = np.asarray(entropy)[asked].mean()
    np.testing.assert_allclose(of(entropy, 0.3), of(entropy, 0.0) - 0.3 * bonus, rtol=1e-5)
    np.testing.assert_allclose(jax.grad(of)(entropy, 0.3), -0.3 * asked / asked.sum(), rtol=1e-5)
