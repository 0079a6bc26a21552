"""Segments that reward models are asked about: what is seen of an episode's last step, and which steps their features are normalised by."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_envs import Box, Env
from jaxrl_evolve import PolicyOutput, Trajectory, random
from jaxrl_evolve.experience.held_episodes import beginnings
from jaxrl_evolve.experience.layout import Layout
from jaxrl_evolve.experience.replay import add, init_replay
from jaxrl_evolve.learners.reward_model_config import RewardModelPPOConfig
from jaxrl_evolve.learners.reward_sessions import Sessions
from jaxrl_evolve.preferences.episodes import Watch
from jaxrl_evolve.preferences.oracles import max_reward
from jaxrl_evolve.preferences.reward_model import RewardModel

LENGTH, SEGMENT, ROWS = 4, 3, 16
"""Steps of an episode, of a segment, and of the buffer."""


def sessions(segment: int = SEGMENT, whole: bool = False) -> Sessions:
    """Whose criterion is the time that was arrived at, summed over a segment."""
    config = RewardModelPPOConfig(
        segment=segment,
        queries=40,
        sessions=2,
        candidates=2,
        model_hidden=(4,),
        select="uniform",
        whole=whole,
    )
    nothing = cast(Any, None)
    env = Env("lives", nothing, nothing, (), Box(-1.0, 100.0, (3,)), Box(-1.0, 1.0, (1,)))
    watch = Watch(segment, criteria=lambda obs, action, reward, after: after[1:2])
    return Sessions(config, env, max_reward(), watch, RewardModel(4, (4,), 1), 0)


def stored(rollout: int, segment: int = SEGMENT, rows: int = ROWS) -> Any:
    """A buffer of so many rows, of 16 steps of two slots with episodes of four steps: observations are ``(episode, time, slot)``, those of slot 0 terminate, a time limit cuts those of slot 1."""
    layout, step = Layout(segment), jnp.arange(ROWS)
    flag = (step % LENGTH == LENGTH - 1)[:, None] & jnp.asarray([True, False])
    place = jnp.stack([step // LENGTH, step % LENGTH], -1)[:, None].repeat(2, 1)
    obs = jnp.concatenate([place, jnp.zeros((ROWS, 1, 1), int).repeat(2, 1).at[:, 1].set(1)], -1)
    obs = obs.astype(jnp.float32)
    reward, after = jnp.ones((ROWS, 2)), obs.at[..., 1].add(1.0)
    t = Trajectory(obs, reward[..., None], reward, flag, flag[:, ::-1], flag, after, PolicyOutput(reward))
    part = lambda i: jax.tree.map(lambda x: x[i * rollout : (i + 1) * rollout], t)
    replay = init_replay(layout, part(0), rows * 2)
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


@pytest.mark.parametrize(
    ("rows", "first"), [(32, 0), (16, 4), (12, 8)], ids=["with room", "just full", "written over"]
)
def test_whole_episodes_are_drawn_from_their_first_step_to_their_end_of_whatever_kind(rows: int, first: int):
    """That of a full ring's oldest row is not known to be one; of slot 1, all ends are time limits. What is drawn has room for two steps more."""
    replay = stored(4, LENGTH + 2, rows)
    begins = np.argwhere(np.asarray(beginnings(Layout(LENGTH + 2), replay)))
    assert {(row % LENGTH, slot) for row, slot in begins.tolist()} == {(0, 0), (0, 1)}
    features, alive, phi = jax.device_get(
        jax.jit(sessions(LENGTH + 2, whole=True).segments, static_argnums=2)(random.key(0), replay, 256)
    )
    episode, time, slot = features[:, 0, :3].astype(int).T
    assert alive[:, :LENGTH].all() and not alive[:, LENGTH:].any() and (time == 0).all()
    there = [(e, s) for e in range(first // LENGTH, ROWS // LENGTH) for s in (0, 1)]
    counts = [((episode == e) & (slot == s)).sum() for e, s in there]
    assert sum(counts) == 256 and min(counts) > 256 / len(there) / 2  # none is left out, and none preferred
    np.testing.assert_array_equal(phi.length, LENGTH)
    # What was arrived at: a terminated step has no successor in replay.
    np.testing.assert_array_equal(phi.criteria[:, 0], np.where(slot == 1, 1 + 2 + 3 + 4, 1 + 2 + 3 + 3))


def test_an_episode_that_is_longer_or_not_over_is_not_whole():
    assert not beginnings(Layout(LENGTH - 1), stored(4)).any()
    running = stored(2, LENGTH, 32)
    running = running.replace(ending=jnp.where(jnp.arange(32)[:, None] < LENGTH, running.ending, 0))
    begins = np.argwhere(np.asarray(beginnings(Layout(LENGTH), running)))
    np.testing.assert_array_equal(begins, [[0, 0], [0, 1]])


def test_of_no_whole_episode_nothing_is_asked():
    made, replay = sessions(LENGTH, whole=True), stored(4, LENGTH)
    none = replay.replace(ending=jnp.zeros_like(replay.ending))
    assert np.isnan(made.segments(random.key(0), none, 8)[2].total).all()
    _, asked = made.ask(random.key(0), made.init(random.key(0)), made.nothing_asked(), none)
    assert (int(asked.labels), int(asked.sessions)) == (0, 1)


def test_an_episode_is_not_compared_with_itself():
    """Two that are held: half of all pairs are of one and the same, which would tie, and are not asked about."""
    made = sessions(LENGTH, whole=True)
    replay = stored(4, LENGTH, 32)
    here = jnp.arange(32)[:, None] < LENGTH
    replay = replay.replace(ending=jnp.where(here, replay.ending, 0))
    replay = replay.replace(reward=replay.reward.at[:, 1].set(0.0))
    _, asked = made.ask(random.key(0), made.init(random.key(0)), made.nothing_asked(), replay)
    count = int(asked.labels)
    assert 8 < count <= 20 and (np.asarray(asked.pairs.label[:count]) != 0.5).all()


@pytest.mark.parametrize("whole", [False, True])
def test_labels_that_a_session_found_no_pairs_for_are_asked_in_the_next(whole: bool):
    """Of 40 labels in two sessions: none in the first, where nothing is a finite number, all in the second; never more than were meant until then."""
    made = sessions(LENGTH if whole else 2, whole)
    made = made._replace(config=dataclasses.replace(made.config, candidates=4))
    fine = stored(4, LENGTH if whole else 2, 32)
    # Every episode has rewards of its own, so that no two are the same.
    fine = fine.replace(reward=jnp.arange(64, dtype=jnp.float32).reshape(32, 2))
    lost = fine.replace(reward=jnp.full_like(fine.reward, jnp.nan))
    ask = jax.jit(made.ask)
    for first, expected in ((lost, (0, 40)), (fine, (20, 40))):
        taught, asked = ask(random.key(0), made.init(random.key(0)), made.nothing_asked(), first)
        counts = [int(asked.labels)]
        _, asked = ask(random.key(1), taught, asked, fine)
        assert (*counts, int(asked.labels)) == expected
        assert bool(asked.pairs.alive[:40].any((1, 2)).all())  # no place is left out, none is written twice
