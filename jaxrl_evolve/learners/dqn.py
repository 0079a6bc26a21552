"""Deep Q-learning (Mnih et al. 2015) from a replay buffer, with double estimates (van Hasselt et al. 2016).

One update: a rollout goes into the buffer, then ``gradient_steps`` batches are drawn from it. Targets bootstrap from the
true successor wherever the task did not end, at a time limit too. The exploration rate follows the clock, so the
training horizon stays data: `update` leaves in the state the rate that the next rollout acts by.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from jaxrl_envs.contract import Env
from jaxrl_envs.spaces import Discrete, Space
from jaxrl_evolve.clock import Clock, linear_schedule
from jaxrl_evolve.experience.replay import Replay, Transitions, add, init_replay, rows_for, sample
from jaxrl_evolve.learners.dqn_config import DQNConfig, DQNHyperparameters
from jaxrl_evolve.learners.learner import Learner, Mode, Store
from jaxrl_evolve.learners.optimiser import clipped_step, init_optimiser
from jaxrl_evolve.networks.action_values import ActionValues
from jaxrl_evolve.networks.layers import check_encoder
from jaxrl_evolve.networks.network import no_memory
from jaxrl_evolve.objectives.objective import AnyObjective, no_parameters
from jaxrl_evolve.settings.checks import check
from jaxrl_evolve.trajectory import PolicyOutput, Trajectory


@struct.dataclass
class DQNState:
    """State of a DQN learner.

    Attributes:
        params: of the network.
        target: parameters of the target network.
        optimiser: state of `clipped_step` over the raveled parameters.
        steps: gradient steps made, int32 scalar.
        epsilon: probability of a random action in the next rollout, float32 scalar.
        epsilon_end: that of the end, by which `sample` acts at any time, float32 scalar.
    """

    params: Any
    target: Any
    optimiser: Any
    steps: Int[Array, ""]
    epsilon: Float[Array, ""]
    epsilon_end: Float[Array, ""]


def epsilon_at(clock: Clock, hp: DQNHyperparameters, steps: Array | float = 0.0) -> Float[Array, ""]:
    """Probability of a random action ``steps`` environment steps after the clock's."""
    done = (clock.step + steps) / clock.horizon
    share = jnp.where(hp.exploration > 0, jnp.clip(done / jnp.maximum(hp.exploration, 1e-8), 0.0, 1.0), 1.0)
    return jnp.asarray(hp.epsilon_start + share * (hp.epsilon_end - hp.epsilon_start), jnp.float32)


def td_targets(
    batch: Transitions,
    next_values: Float[Array, "B A"],
    next_choice: Float[Array, "B A"],
    gamma: Array | float,
) -> Float[Array, " B"]:
    """``r + gamma q(s', argmax_a choice(s', a))``; the reward alone where the task ended.

    Args:
        batch: transitions.
        next_values: action values of the successors by the target network.
        next_choice: action values by whose maximum the action is chosen.
        gamma: discount factor.
    """
    best = jnp.take_along_axis(next_values, next_choice.argmax(-1, keepdims=True), -1)[:, 0]
    return batch.reward + jnp.where(batch.terminated, 0.0, gamma * best)


class _Actor(NamedTuple):
    """Of a `DQNState`, what acting reads."""

    params: Any
    epsilon: Array
    epsilon_end: Array


class _Parts(NamedTuple):
    """What the functions of one learner read, all static.

    Attributes:
        config: static settings.
        space: of observations.
        network: action values.
        steps_per_update: environment steps of one rollout.
    """

    config: DQNConfig
    space: Space
    network: ActionValues
    steps_per_update: int

    def values(self, params: Any, obs: Any) -> Float[Array, "B A"]:
        """Of all actions."""
        return cast(Array, self.network.apply(params, obs))


def _init(parts: _Parts, key: Array, hp: DQNHyperparameters) -> DQNState:
    params = parts.network.init(key, jnp.zeros((1, *parts.space.shape), parts.space.dtype))
    optimiser = init_optimiser("adam", ravel_pytree(params)[0])
    last = jnp.array(hp.epsilon_end, jnp.float32)
    epsilon = jnp.where(hp.exploration > 0, jnp.array(hp.epsilon_start, jnp.float32), last)
    # Another array of the same numbers: the state is donated, and no buffer can be twice.
    target = jax.tree.map(jnp.copy, params)
    return DQNState(params, target, optimiser, jnp.zeros((), jnp.int32), epsilon, last)


def _adopt(state: DQNState, other: DQNState) -> DQNState:
    return replace(state, params=other.params, target=other.params)


def _actor(state: DQNState) -> _Actor:
    return _Actor(state.params, state.epsilon, state.epsilon_end)


def _act(
    parts: _Parts,
    actor: _Actor,
    obs: Any,
    first: Array,
    memory: Any,
    key: Array,
    mode: Mode = "explore",
) -> tuple[Int[Array, " N"], Any, PolicyOutput]:
    del first
    greedy = parts.values(actor.params, obs).argmax(-1).astype(jnp.int32)
    if mode == "greedy":
        return greedy, memory, PolicyOutput(jnp.zeros(greedy.shape, jnp.float32))
    epsilon = actor.epsilon if mode == "explore" else actor.epsilon_end
    key_random, key_action = jax.random.split(key)
    actions = parts.network.actions
    drawn = jax.random.randint(key_action, greedy.shape, 0, actions, jnp.int32)
    action = jnp.where(jax.random.uniform(key_random, greedy.shape) < epsilon, drawn, greedy)
    probability = epsilon / actions + jnp.where(action == greedy, 1.0 - epsilon, 0.0)
    return action, memory, PolicyOutput(jnp.log(probability))


def _loss(
    parts: _Parts, params: Any, target: Any, batch: Transitions, gamma: Array
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """What the values of the taken actions are off by."""
    after = parts.values(target, batch.next_obs)
    choice = parts.values(params, batch.next_obs) if parts.config.double else after
    wanted = jax.lax.stop_gradient(td_targets(batch, after, choice, gamma))
    value = jnp.take_along_axis(parts.values(params, batch.obs), batch.action[:, None], -1)[:, 0]
    error = jnp.abs(value - wanted)
    small = jnp.minimum(error, 1.0) if parts.config.loss == "huber" else error
    loss = (0.5 * jnp.square(small) + (error - small)).mean()
    return loss, {"td_error": error.mean(), "q_mean": value.mean()}


def _gradient_step(
    parts: _Parts, state: DQNState, batch: Transitions, hp: DQNHyperparameters, learning_rate: Array
) -> tuple[DQNState, dict[str, Array]]:
    loss = lambda params: _loss(parts, params, state.target, batch, jnp.asarray(hp.gamma))
    (value, metrics), gradient = jax.value_and_grad(loss, has_aux=True)(state.params)
    flat, unravel = ravel_pytree(gradient)
    step, size, optimiser = clipped_step(
        "adam", state.optimiser, flat, learning_rate, hp.max_grad_norm, hp.adam_eps
    )
    params, steps = optax.apply_updates(state.params, unravel(step)), state.steps + 1
    renewed = jax.tree.map(
        lambda old, new: hp.target_decay * old + (1.0 - hp.target_decay) * new, state.target, params
    )
    due = steps % parts.config.target_period == 0
    target = jax.tree.map(lambda new, old: jnp.where(due, new, old), renewed, state.target)
    metrics = {"loss": value, "grad_norm": size, **metrics}
    return replace(state, params=params, target=target, optimiser=optimiser, steps=steps), metrics


def _update(
    parts: _Parts,
    key: Array,
    state: DQNState,
    trajectory: Trajectory,
    hp: DQNHyperparameters,
    eta: Any,
    clock: Clock,
    store: Replay,
) -> tuple[DQNState, dict[str, Array], Replay]:
    del trajectory, eta  # the rollout is in the store
    learning_rate = jnp.asarray(linear_schedule(clock, hp.learning_rate, hp.learning_rate_end), jnp.float32)

    def step(state: DQNState, key: Array) -> tuple[DQNState, dict[str, Array]]:
        return _gradient_step(parts, state, sample(key, store, parts.config.batch), hp, learning_rate)

    learned, history = jax.lax.scan(step, state, jax.random.split(key, parts.config.gradient_steps))
    # Computed and thrown away while the buffer warms up: under vmap a branch would be computed, too.
    ready = store.size >= parts.config.warm_up
    state = jax.tree.map(lambda new, old: jnp.where(ready, new, old), learned, state)
    metrics = {name: jnp.where(ready, values.mean(), 0.0) for name, values in history.items()}
    metrics |= {
        "epsilon": state.epsilon,
        "learning_rate": learning_rate,
        "replay_fill": store.filled.astype(jnp.float32) / store.steps.reward.shape[0],
    }
    epsilon, last = epsilon_at(clock, hp, parts.steps_per_update), jnp.asarray(hp.epsilon_end, jnp.float32)
    return replace(state, epsilon=epsilon, epsilon_end=last), metrics, store


def dqn(
    env: Env,
    num_envs: int,
    rollout_length: int,
    config: DQNConfig | None = None,
    hp: DQNHyperparameters | None = None,
    objective: AnyObjective | None = None,
) -> Learner:
    """A DQN learner.

    Args:
        env: read for its spaces only.
        num_envs: parallel environments ``N``.
        rollout_length: steps per update ``T``.
        config: static settings.
        hp: default hyperparameters.
        objective: must be None; DQN has a loss of its own.

    Raises:
        ValueError: a setting is not allowed, an objective is given, actions are not discrete, or the network can't
            read the observations.
    """
    config = DQNConfig() if config is None else config
    hp = DQNHyperparameters() if hp is None else hp
    check(config, "config")
    check(hp, "hp")
    if objective is not None:
        raise ValueError(f"objective is {objective.name!r}; DQN has a loss of its own")
    if not isinstance(env.action_space, Discrete):
        raise ValueError(f"action_space is {env.action_space}; DQN takes Discrete actions only")
    check_encoder(config.network, env.observation_space)
    network = ActionValues(config.network, env.observation_space, env.action_space.n)
    parts = _Parts(config, env.observation_space, network, num_envs * rollout_length)
    rows_for(
        config.capacity, num_envs, rollout_length
    )  # refuses what can't be counted, before anything compiles
    store = Store(lambda example: init_replay(example, config.capacity), add)
    return Learner(
        name="dqn",
        init=partial(_init, parts),
        actor=_actor,
        act=partial(_act, parts),
        update=partial(_update, parts),
        initial_memory=no_memory,
        init_objective=no_parameters,
        default_hp=hp,
        store=store,
        adopt=_adopt,
    )
