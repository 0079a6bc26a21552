"""Levels that an agent builds step by step, and what it learns from when it is told what they were worth.

An episode of the editor (`jaxrl_envs.contract.Builder`) makes one level. The whole worth of the level is paid by its last action.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrl_envs.contract import Builder
from jaxrl_evolve.learners.learner import Learner
from jaxrl_evolve.trajectory import Trajectory


class Built(NamedTuple):
    """What ``n`` episodes made.

    Attributes:
        levels: leaves ``[n, ...]``.
        episodes: leaves ``[steps, n, ...]``; nothing is paid yet.
    """

    levels: Any
    episodes: Trajectory


def build(
    key: Array, builder: Builder, learner: Learner, state: Any, count: int, actions: Any = None
) -> Built:
    """Build levels, exploring; or say once more what was done and seen when they were built.

    Args:
        key: all randomness.
        builder: of the levels.
        learner: who builds.
        state: its state, not changed here.
        count: levels, ``n``.
        actions: ``[steps, n, ...]``, what was done, with the same key and state. To keep these and play the episodes again takes far
            less memory than to keep what was seen.
    """
    editor, actor = builder.editor, learner.actor(state)
    key_start, key_steps = jax.random.split(key)
    obs, site = jax.vmap(editor.reset, in_axes=(0, None))(jax.random.split(key_start, count), editor.params)
    edit = jax.vmap(editor.step, in_axes=(0, 0, 0, None))

    def step(carry: Any, given: Any) -> tuple[Any, Trajectory]:
        site, obs, first, memory = carry
        keys, done = given
        action, memory, policy = learner.act(actor, obs, first, memory, keys[0], mode="explore")
        if done is not None:
            action, policy = done, replace(policy, log_prob=policy.distribution.log_prob(done))
        seen = edit(jax.random.split(keys[1], count), site, action, editor.params)
        reward, no = jnp.zeros((count,), jnp.float32), jnp.zeros((count,), bool)
        lived = Trajectory(obs, action, reward, no, no, first, seen.obs, policy)
        return (seen.state, seen.obs, no, memory), lived

    start = (site, obs, jnp.ones((count,), bool), learner.initial_memory(count))
    keys = jax.random.split(key_steps, (builder.steps, 2))
    after, episodes = jax.lax.scan(step, start, (keys, actions))
    return jax.lax.stop_gradient(Built(jax.vmap(builder.level)(after[0]), episodes))


def paid(episodes: Trajectory, worth: Float[Array, " n"]) -> Trajectory:
    """Episodes whose last action ends them, and is paid what the level was worth."""
    last = jnp.broadcast_to(
        (jnp.arange(episodes.length) == episodes.length - 1)[:, None], episodes.reward.shape
    )
    return replace(episodes, reward=jnp.where(last, worth[None], 0.0), terminated=last)
