"""Learners whose rewards are a model's, which is learned from preferences between segments while they learn from it.

On PPO it is reinforcement learning from preferences (Christiano et al. 2017, arXiv 1706.03741), on SAC it is PEBBLE (Lee et al. 2021, arXiv 2106.05091)
without its unsupervised beginning. The environment's rewards are seen by the oracle alone. Those of steps in replay are told by the model of now
whenever they are drawn, which is what writing them all anew after every session would give.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array

from jaxrl_envs.contract import Env
from jaxrl_envs.parameters import limits
from jaxrl_evolve import random
from jaxrl_evolve.clock import Clock
from jaxrl_evolve.experience.layout import check_capacity
from jaxrl_evolve.experience.relabelling import Relabelled, Rewards
from jaxrl_evolve.experience.replay import Drawn, Replay, add, init_replay
from jaxrl_evolve.learners.learner import Learner, Store, Update, UpdateFromStore, paid_otherwise
from jaxrl_evolve.learners.ppo import ppo
from jaxrl_evolve.learners.ppo_config import PPOHyperparameters
from jaxrl_evolve.learners.reward_model_config import PebbleConfig, RewardModelConfig, RewardModelPPOConfig
from jaxrl_evolve.learners.reward_sessions import Asked, Sessions, Taught, features_of
from jaxrl_evolve.learners.sac import sac
from jaxrl_evolve.learners.sac_config import SACHyperparameters
from jaxrl_evolve.learners.spo_environment import example_of
from jaxrl_evolve.objectives.objective import AnyObjective
from jaxrl_evolve.preferences.check import check_oracle
from jaxrl_evolve.preferences.episodes import Watch, kinds_of, watched
from jaxrl_evolve.preferences.named import oracle_from_name
from jaxrl_evolve.preferences.oracle import Oracle
from jaxrl_evolve.preferences.reward_model import RewardModel
from jaxrl_evolve.preferences.summary import random_summaries
from jaxrl_evolve.settings.checks import check
from jaxrl_evolve.trajectory import Trajectory


@struct.dataclass
class RewardModelState:
    """State of a learner with a reward model.

    Attributes:
        learner: of the learner inside.
        model: the reward model.
    """

    learner: Any
    model: Taught


@struct.dataclass
class Compared:
    """What is kept: steps with the environment's rewards, for the oracle to judge, and what it said."""

    replay: Replay
    asked: Asked


class _Parts(NamedTuple):
    """What the functions of one learner read, all static."""

    inner: Learner
    sessions: Sessions


def _init(parts: _Parts, key: Array, hp: Any) -> RewardModelState:
    key_inner, key_model = jax.random.split(key)
    return RewardModelState(parts.inner.init(key_inner, hp), parts.sessions.init(key_model))


def _update(
    parts: _Parts,
    key: Array,
    state: RewardModelState,
    trajectory: Trajectory,
    hp: Any,
    eta: Any,
    clock: Clock,
    store: Compared,
) -> tuple[RewardModelState, dict[str, Array], Compared]:
    key_session, key_inner = jax.random.split(key)
    sessions, inner = parts.sessions, parts.inner
    due = sessions.due(store.asked, store.replay, clock)
    model, asked = sessions.hold(key_session, state.model, store.asked, store.replay, due)
    if inner.store is None:
        told = sessions.rewards(model, sessions.features(trajectory.obs, trajectory.action))
        # Before anything was asked, a model says nothing.
        reward = jnp.where(asked.labels > 0, told, 0.0)
        updated = cast(Update, inner.update)(
            key_inner, state.learner, dataclasses.replace(trajectory, reward=reward), hp, eta, clock
        )
        # Nor is anything learned then: normalised, what a critic errs by without rewards would look like advantages.
        nothing = (state.learner, jax.tree.map(jnp.zeros_like, updated[1]))
        learned, metrics = jax.tree.map(partial(jnp.where, asked.labels > 0), updated, nothing)
    else:
        held = Relabelled(store.replay, model, asked.labels > 0)
        learned, metrics, _ = cast(UpdateFromStore, inner.update)(
            key_inner, state.learner, trajectory, hp, eta, clock, held
        )
    found = {
        "queries": asked.labels.astype(jnp.float32),
        "sessions": asked.sessions.astype(jnp.float32),
        "model_loss": asked.loss,
        "model_accuracy": asked.accuracy,
        "model_scale": model.scale,
    }
    return RewardModelState(learned, model), {**metrics, **found}, Compared(store.replay, asked)


def _relabel(sessions: Sessions, key: Array, drawn: Drawn, store: Relabelled) -> Rewards:
    """Rewards of steps in replay by the model of now."""
    del key
    window = drawn.window
    steps = window.reward.shape[1]
    features = sessions.features(jax.tree.map(lambda x: x[:, :steps], window.frames), window.action)
    reward = sessions.rewards(store.told, features)
    return Rewards(reward, jnp.ones(reward.shape[:1], bool), {})


def _sessions(
    config: RewardModelConfig, env: Env, num_envs: int, start: int, oracle: Oracle | None, watch: Watch | None
) -> Sessions:
    """Raises ValueError: labels can't be dealt to sessions, episodes may be longer than what is asked about, the oracle is none, or observations are stacks."""
    if config.queries % config.sessions:
        raise ValueError(
            f"learner.queries is {config.queries}; it must be a multiple of learner.sessions, {config.sessions}"
        )
    horizon = _most_steps(config, env)
    watch = watched(env.action_space, horizon, config.criteria) if watch is None else watch
    oracle = oracle_from_name(config.preference) if oracle is None else oracle
    model = RewardModel(features_of(env), config.model_hidden, config.members)
    if config.check_oracle:
        kinds = kinds_of(watch, example_of(env, num_envs))
        check_oracle(oracle, random_summaries(random.key(0), 256, kinds))
    return Sessions(config, env, oracle, watch, model, start)


def _most_steps(config: RewardModelConfig, env: Env) -> int:
    """Of what is asked about: of segments, or of whole episodes as long as they may be."""
    known = [int(np.asarray(leaf).max()) for _, leaf in limits(env.params)]
    if not config.whole or not known:
        return config.segment
    if config.segment < min(known):
        raise ValueError(
            f"learner.segment is {config.segment}; with learner.whole it must be at least the {min(known)} steps that an episode of {env.name} may have"
        )
    return min(known)


def _learner(name: str, inner: Learner, sessions: Sessions, store: Store) -> Learner:
    parts, nothing = _Parts(inner, sessions), sessions.nothing_asked
    return paid_otherwise(
        inner,
        name,
        init=partial(_init, parts),
        actor=lambda state: inner.actor(state.learner),
        update=partial(_update, parts),
        store=Store(
            lambda example: Compared(store.init(example), nothing()),
            lambda held, trajectory: dataclasses.replace(held, replay=store.add(held.replay, trajectory)),
        ),
        adopt=None if inner.adopt is None else partial(_adopt, inner),
    )


def _adopt(inner: Learner, state: RewardModelState, other: RewardModelState) -> RewardModelState:
    assert inner.adopt is not None
    return RewardModelState(inner.adopt(state.learner, other.learner), other.model)


def reward_model(
    env: Env,
    num_envs: int,
    rollout_length: int,
    config: RewardModelPPOConfig | None = None,
    hp: PPOHyperparameters | None = None,
    objective: AnyObjective | None = None,
    oracle: Oracle | None = None,
    watch: Watch | None = None,
) -> Learner:
    """PPO on the rewards of a model that is learned from preferences; segments are those of the last rollouts.

    Args:
        env: the environment; observations are flattened for the reward model.
        num_envs: parallel environments ``N``.
        rollout_length: steps per update ``T``.
        config: static settings.
        hp: default hyperparameters.
        objective: of PPO.
        oracle: who prefers; the one that ``config.preference`` names by default.
        watch: what is seen of a segment; as in `spo.self_play` by default.

    Raises:
        ValueError: a setting is not allowed, or the oracle is none.
    """
    config = RewardModelPPOConfig() if config is None else config
    hp = PPOHyperparameters() if hp is None else hp
    check(config, "config")
    sessions = _sessions(config, env, num_envs, 0, oracle, watch)
    inner = ppo(env, num_envs, rollout_length, config, hp, objective)
    # The last rollout, and what a segment may have of those before.
    capacity = (rollout_length + config.segment + 1) * num_envs
    layout = sessions.layout
    store = Store(lambda example: init_replay(layout, example, capacity), partial(add, layout))
    return _learner("reward-model", inner, sessions, store)


def pebble(
    env: Env,
    num_envs: int,
    rollout_length: int,
    config: PebbleConfig | None = None,
    hp: SACHyperparameters | None = None,
    objective: AnyObjective | None = None,
    oracle: Oracle | None = None,
    watch: Watch | None = None,
) -> Learner:
    """SAC on the rewards of a model that is learned from preferences, of all that is in replay.

    Args:
        env: see `reward_model`.
        num_envs: parallel environments ``N``.
        rollout_length: steps per update ``T``.
        config: static settings.
        hp: default hyperparameters.
        objective: must be None; SAC has losses of its own.
        oracle: see `reward_model`.
        watch: see `reward_model`.

    Raises:
        ValueError: a setting is not allowed, the replay buffer is too small for a segment, or the oracle is none.
    """
    config = PebbleConfig() if config is None else config
    hp = SACHyperparameters() if hp is None else hp
    check(config, "config")
    sessions = _sessions(config, env, num_envs, config.warm_up, oracle, watch)
    check_capacity(sessions.layout, config.capacity, num_envs, rollout_length)
    inner = sac(env, num_envs, rollout_length, config, hp, objective, partial(_relabel, sessions))
    assert inner.store is not None
    return _learner("pebble", inner, sessions, inner.store)
