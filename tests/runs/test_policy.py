"""A trained policy as a function: the same actions as the learner's own, one at a time and many."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import jax
import numpy as np
import probes
import pytest
import same
from policies import LEARNERS, N, made, observations

from jaxrl_evolve import random
from jaxrl_evolve.runs.evaluation import make_evaluation
from jaxrl_evolve.runs.policy import make_policy


@pytest.mark.parametrize("mode", ["greedy", "sample"])
@pytest.mark.parametrize("name", LEARNERS)
def test_a_policy_acts_as_its_learner_does(name: str, mode: Any):
    env, learner, state, policy = made(name, mode)
    act = jax.jit(learner.act, static_argnames="mode")
    memory, carry, actor, acted = learner.initial_memory(N), None, learner.actor(state), []
    for step in range(3):
        seen, key = observations(env.observation_space, N, step), jax.random.key(step)
        first = np.arange(N) == 2 if step == 2 else np.full((N,), step == 0)
        wanted, memory, _ = act(actor, seen, first, memory, random.fused(key), mode=mode)
        if step == 2:  # an episode has ended in the third environment
            carry = carry._replace(first=np.arange(N) == 2)
        found, carry = policy(seen, carry, key)
        same.assert_equal((found, carry.memory), (wanted, memory))
        assert carry.first.dtype == bool and not carry.first.any()
        acted.append(np.asarray(found))
    assert len(np.unique(acted)) > 1


def test_a_policy_is_written_on_one_line_without_its_weights():
    policy = made("memory")[3]
    numbers = sum(np.size(leaf) for leaf in jax.tree.leaves(policy.actor))
    assert re.fullmatch(rf"Policy\(greedy, \w+\[[\d, ]*\] -> int32\[\], {numbers:,} numbers\)", repr(policy))


def test_one_observation_is_a_batch_of_one_without_its_axis():
    env, _, _, policy = made("memory")
    seen = observations(env.observation_space, 4, 0).astype(np.float64)
    one, many = None, None
    for step in range(3):
        action, one = policy(seen[step].tolist(), one)
        actions, many = policy(seen[step][None], many)
        assert action.shape == () and action == actions[0]
        same.assert_equal(one, jax.tree.map(lambda x: np.asarray(x)[0], many))
    assert one.memory.shape == (2, 4) and np.abs(one.memory).max() > 0

    def played(carry: Any, obs: Any) -> Any:
        action, carry = policy(obs, carry)
        return carry, action

    carry, _ = jax.jit(lambda obs: jax.lax.scan(played, policy.start(), obs))(seen[:3])
    np.testing.assert_allclose(carry.memory, one.memory, rtol=1e-6)


def test_an_evaluation_that_is_played_by_the_policy_is_the_evaluation():
    env, learner, state, policy = made("memory", "sample")
    probe = dataclasses.replace(probes.PROBES["memory"], length=3.0)
    params = jax.tree.map(np.float32, probe)

    def act(actor: Any, obs: Any, first: Any, memory: Any, key: Any, mode: Any = "explore") -> Any:
        del actor, mode
        action, carry = policy(obs, policy.start(N)._replace(memory=memory, first=first), key)
        return action, carry.memory, ()

    evaluate = lambda learner: jax.jit(make_evaluation(env, learner, N, 10, "sample"))(
        random.key(3), state, params
    )
    expected = evaluate(learner)
    same.assert_equal(evaluate(learner._replace(act=act)), expected)
    assert len(set(np.asarray(expected.returns).tolist())) > 1


def test_what_a_policy_cannot_act_on_is_refused():
    env, learner, state, policy = made("pixels", "sample")
    frame, key = np.zeros((2, 3), np.uint8), jax.random.key(0)
    two = policy(np.stack([frame, frame]), None, key)[1]
    for call, message in [
        (lambda: policy(frame[0], None, key), r"shape \(3,\); it must be \(2, 3\), or \(N, 2, 3\) for"),
        (lambda: policy(frame / 255, None, key), "observation has dtype float64; it must be uint8"),
        (lambda: policy(frame), "key is None; it must be one of jax's random keys"),
        (lambda: policy(frame, None, 7), "key is 7; it must be"),
        (lambda: policy(frame, two, key), "carry is of 2 environments, but observation of a single env"),
        (lambda: policy(frame[None], two, key), "of 2 environments, but observation of 1 env"),
        (lambda: make_policy(env, learner, state, "explore"), "mode is 'explore'.*greedy, sample"),
    ]:
        with pytest.raises(ValueError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)
