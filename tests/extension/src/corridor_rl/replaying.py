"""Q-learning (Watkins 1989) with linear action values, from a replay buffer that the run keeps."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl_envs import Discrete, Env
from jaxrl_evolve import Algorithm, AnyObjective, Clock, Learner, PolicyOutput, Preset, Store, Trajectory
from jaxrl_evolve.experience.layout import Layout
from jaxrl_evolve.experience.n_step import n_step
from jaxrl_evolve.experience.replay import Replay, add, draw, init_replay, observation

LAYOUT = Layout(ahead=1)  # windows of one step: the observation, the action, and the successor


@dataclasses.dataclass(frozen=True)
class QConfig:
    """Static settings: a change compiles anew. The field docstrings are the command's help."""

    capacity: int = 4_096
    """Transitions that the buffer holds."""
    batch: int = 256
    """Transitions of one step."""


@struct.dataclass
class QHyperparameters:
    """Traced numbers: a sweep varies them in one program."""

    learning_rate: float = 0.5
    """Step size."""
    gamma: float = 0.9
    """Discount factor."""
    epsilon: float = 0.3
    """Probability of a random action."""


@struct.dataclass
class QState:
    """Weights ``[features, actions]``, and the exploration rate that acting needs."""

    weights: jax.Array
    epsilon: jax.Array


def features(obs: jax.Array) -> jax.Array:
    """A constant and the observation, ``[..., 1 + D]``."""
    return jnp.concatenate([jnp.ones((*obs.shape[:-1], 1), jnp.float32), obs], -1)


def q_learning(
    env: Env,
    num_envs: int,
    rollout_length: int,
    config: QConfig,
    hp: QHyperparameters,
    objective: AnyObjective | None = None,
) -> Learner:
    """The learner; what it keeps is its `Store`."""
    if objective is not None:
        raise ValueError(f"objective is {objective.name!r}; Q-learning has a loss of its own")
    if not isinstance(env.action_space, Discrete):
        raise ValueError(f"action_space is {env.action_space}; Q-learning takes Discrete actions only")
    actions = env.action_space.n

    def init(key: jax.Array, hp: QHyperparameters) -> QState:
        del key
        size = 1 + env.observation_space.shape[0]
        return QState(jnp.zeros((size, actions), jnp.float32), jnp.asarray(hp.epsilon, jnp.float32))

    def act(
        actor: QState, obs: jax.Array, first: jax.Array, memory: Any, key: jax.Array, mode: str = "explore"
    ) -> tuple[jax.Array, Any, PolicyOutput]:
        action = (features(obs) @ actor.weights).argmax(-1).astype(jnp.int32)
        if mode != "greedy":
            key_random, key_action = jax.random.split(key)
            drawn = jax.random.randint(key_action, action.shape, 0, actions, jnp.int32)
            action = jnp.where(jax.random.uniform(key_random, action.shape) < actor.epsilon, drawn, action)
        return action, memory, PolicyOutput(jnp.zeros(first.shape, jnp.float32))

    def update(
        key: jax.Array,
        state: QState,
        trajectory: Trajectory,
        hp: QHyperparameters,
        eta: Any,
        clock: Clock,
        store: Replay,
    ) -> tuple[QState, dict[str, jax.Array], Replay]:
        del trajectory, eta, clock  # the rollout is in the store already
        window = draw(LAYOUT, key, store, config.batch).window
        step = n_step(window, 1, hp.gamma)
        x = features(observation(LAYOUT, window, 0))
        after = (features(observation(LAYOUT, window, step.offset)) @ state.weights).max(-1)
        target = step.reward + jnp.where(step.discount > 0, step.discount * after, 0.0)
        chosen = jax.nn.one_hot(window.action[:, 0], actions, dtype=jnp.float32)
        error = (target - (x @ state.weights * chosen).sum(-1)) / config.batch
        weights = state.weights + hp.learning_rate * x.T @ (error[:, None] * chosen)
        metrics = {"loss": 0.5 * jnp.square(error * config.batch).mean()}
        return QState(weights, jnp.asarray(hp.epsilon, jnp.float32)), metrics, store

    store = Store(lambda example: init_replay(LAYOUT, example, config.capacity), partial(add, LAYOUT))
    nothing = lambda _: ()
    return Learner("corridor-q", init, lambda state: state, act, update, nothing, nothing, hp, store)


def preset(env: str) -> Preset:
    del env
    return Preset(16, 4, "full", QConfig(), QHyperparameters())


Q_LEARNING = Algorithm(q_learning, QConfig, QHyperparameters, preset, "Q-learning from a replay buffer")
