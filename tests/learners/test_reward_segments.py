"""Segments that reward models are asked about: what is seen of an episode's last step, and which steps their features are normalised by."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_envs import Box, Env
from jaxrl_evolve import PolicyOutput, Trajectory, random
from jaxrl_evolve.experience.replay import Layout, add, init_replay
from jaxrl_evolve.learners.reward_model_config import RewardModelPPOConfig
from jaxrl_evolve.learners.reward_sessions import Sessions
from jaxrl_evolve.preferences.episodes import Watch
from jaxrl_evolve.preferences.oracles import max_reward
from jaxrl_evolve.preferences.reward_model import RewardModel

LENGTH, SEGMENT, ROWS = 4, 3, 16
"""Steps of an episode, of a segment, and of the buffer."""


def sessions() -> Sessions:
    """Whose criterion is the time that was arrived at, summed over a segment."""
    config = RewardModelPPOConfig(
        segment=SEGMENT, queries=40, sessions=2, candidates=2, model_hidden=(4,), select="uniform"
    )
    nothing = cast(Any, None)
    env = Env("lives", nothing, nothing, (), Box(-1.0, 100.0, (3,)), Box(-1.0, 1.0, (1,)))
    watch = Watch(SEGMENT, criteria=lambda obs, action, reward, after: after[1:2])
    return Sessions(config, env, max_reward(), watch, RewardModel(4, (4,), 1), 0)


def stored(rollout: int) -> Any:
    """Two slots with episodes of four steps: observations are ``(episode, time, slot)``, those of slot 0 terminate, a time limit cuts those of slot 1."""
    layout, step = Layout(SEGMENT), jnp.arange(ROWS)
    flag = (step % LENGTH == LENGTH - 1)[:, None] & jnp.asarray([True, False])
    place = jnp.stack([step // LENGTH, step % LENGTH], -1)[:, None].repeat(2, 1)
    obs = jnp.concatenate([place, jnp.zeros((ROWS, 1, 1), int).repeat(2, 1).at[:, 1].set(1)], -1)
    obs = obs.astype(jnp.float32)
    reward, after = jnp.ones((ROWS, 2)), obs.at[..., 1].add(1.0)
    t = Trajectory(obs, reward[..., None], reward, flag, flag[:, ::-1], flag, after, PolicyOutput(reward))
    part = lambda i: jax.tree.map(lambda x: x[i * rollout : (i + 1) * rollout], t)
    replay = init_replay(layout, part(0), ROWS * 2)
    for i in range(ROWS // rollout):
        replay = jax.jit(partial(add, layout))(replay, part(i))
    return replay


@pytest.mark.parametrize(("rollout", "held"), [(8, 4), (2, 2)], ids=["held", "forgotten"])
def test_the_last_step_of_an_episode_is_not_judged_by_the_next_one(rollout: int, held: int):
    """A terminated step has no successor in replay, one that was cut has it while it is held; where there is none, the last lived observation is seen."""
    features, alive, phi = jax.device_get(
        jax.jit(sessions().segments, static_argnums=2)(random.key(0), stored(rollout), 512)
    )
    seen = set()
    for x, lives, end, criterion in zip(features, alive, phi.end, phi.criteria[:, 0], strict=True):
        episode, time, slot = (int(number) for number in x[0, :3])
        last = min(time + SEGMENT, LENGTH) - 1
        assert lives.sum() == last - time + 1
        if slot == 1 and time > 1:
            assert np.isnan(criterion)  # a time limit inside is no doing of who acts
            continue
        # The successor of the last step, whose time is one more, of all that did not end and of ends that are held.
        there = last < LENGTH - 1 or (slot == 1 and episode >= ROWS // LENGTH - held)
        arrived = [*range(time + 1, last + 1), last + there]
        np.testing.assert_array_equal(end, (episode, arrived[-1]))
        assert criterion == sum(arrived)
        seen.add((episode, time, slot))
    assert (
        len(seen) == 13 + 7
    )  # starts with three steps ahead of them; after those of slot 1 with a time above 1 comes a cut


def test_features_are_normalised_by_living_steps_alone():
    """Segments that end early, or that nobody is asked about, hold steps of no segment; as samples they would pull the moments to whatever stands there."""
    made = sessions()
    replay = stored(8)
    # In both slots tasks end at every second step, after which two of three steps of most segments lie beyond.
    ends = jnp.broadcast_to((jnp.arange(ROWS) % 2 == 1)[:, None], (ROWS, 2))
    sign = jnp.where(jnp.arange(ROWS) % 4 < 2, 0.1, -0.1)[:, None]
    frame = jnp.stack([jnp.full((ROWS, 2), 1.25), jnp.broadcast_to(1.25 + sign, (ROWS, 2))], -1)
    frame = jnp.concatenate([frame, jnp.zeros((ROWS, 2, 1))], -1)
    replay = replay.replace(frame=frame, ending=jnp.where(ends, -1, 0))
    taught, asked, count = made.init(random.key(0)), made.nothing_asked(), 0
    for session in range(2):
        key = random.key(session)
        _, alive, _ = made.segments(jax.random.split(key)[0], replay, 2 * 2 * 20)
        taught, asked = made.ask(key, taught, asked, replay)
        count += int(alive.sum())
        assert alive.mean() < 0.7
    moments = taught.moments
    assert float(moments.count) == count and int(asked.labels) == 40
    np.testing.assert_allclose(moments.mean[0], 1.25, rtol=1e-6)
    np.testing.assert_allclose(moments.variance[0], 0.0, atol=1e-9)
    # Both signs live about as often.
    np.testing.assert_allclose(moments.mean[1], 1.25, atol=0.03)
    np.testing.assert_allclose(np.sqrt(moments.variance[1]), 0.1, rtol=0.05)
