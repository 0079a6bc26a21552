"""Parallelised Q-learning (Gallici et al. 2024, arXiv 2407.04811): without replay and without a target network.

One update: the lambda-returns of the rollout's greedy values (Peng's Q(lambda)), then passes over it in minibatches, each a step towards
them. Time limits bootstrap from the true successor. Learning is kept stable by the normalisation of the network's layers alone.
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
from jaxrl_evolve.experience.minibatches import Minibatches, check_minibatches, make_minibatches
from jaxrl_evolve.experience.returns import gae
from jaxrl_evolve.learners.exploration import epsilon_greedy, falling_epsilon
from jaxrl_evolve.learners.learner import Learner, Mode
from jaxrl_evolve.learners.optimiser import norm
from jaxrl_evolve.learners.pqn_config import PQNConfig, PQNHyperparameters
from jaxrl_evolve.networks.action_values import ActionValues, check_action_values, scaled
from jaxrl_evolve.networks.network import no_memory
from jaxrl_evolve.objectives.objective import AnyObjective, no_parameters
from jaxrl_evolve.settings.checks import check
from jaxrl_evolve.trajectory import PolicyOutput, Trajectory

_RADAM = optax.scale_by_radam()


@struct.dataclass
class PQNState:
    """State of a PQN learner.

    Attributes:
        params: of the network.
        optimiser: moments of rectified Adam (Liu et al. 2020).
        epsilon: probability of a random action in the next rollout, float32 scalar.
        epsilon_end: that of the end, by which `sample` acts at any time, float32 scalar.
    """

    params: Any
    optimiser: Any
    epsilon: Float[Array, ""]
    epsilon_end: Float[Array, ""]


class _Actor(NamedTuple):
    """Of a `PQNState`, what acting reads."""

    params: Any
    epsilon: Array
    epsilon_end: Array


class _Parts(NamedTuple):
    """What the functions of one learner read, all static.

    Attributes:
        config: static settings.
        space: of observations.
        network: action values.
        minibatches: of a rollout.
        steps_per_update: environment steps of one rollout.
    """

    config: PQNConfig
    space: Space
    network: ActionValues
    minibatches: Minibatches
    steps_per_update: int

    def values(self, params: Any, obs: Any) -> Float[Array, "B A"]:
        """Of all actions."""
        read = lambda network, images: network.values(network.encode(images), False)[0][..., 0]
        return cast(Array, self.network.apply(params, scaled(self.space, obs), method=read))

    def along(self, params: Any, obs: Any) -> Float[Array, "T N A"]:
        """Of all actions at every step of a rollout."""
        shape = jax.tree.leaves(obs)[0].shape[:2]
        values = self.values(params, jax.tree.map(lambda x: x.reshape((-1, *x.shape[2:])), obs))
        return values.reshape((*shape, -1))


def _epsilon(hp: PQNHyperparameters, done: Array | float) -> Float[Array, ""]:
    """Probability of a random action after such a share of the horizon."""
    return falling_epsilon(hp.epsilon_start, hp.epsilon_end, hp.exploration, done)


def _init(parts: _Parts, key: Array, hp: PQNHyperparameters) -> PQNState:
    obs = scaled(parts.space, jnp.zeros((1, *parts.space.shape), parts.space.dtype))
    params = parts.network.init(key, obs, jnp.zeros((1,), jnp.int32), method=ActionValues.everything)
    return PQNState(params, _RADAM.init(params), _epsilon(hp, 0.0), jnp.array(hp.epsilon_end, jnp.float32))


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
    return epsilon_greedy(jax.random.split(key), greedy, epsilon, parts.network.actions, memory)


def _targets(parts: _Parts, params: Any, t: Trajectory, hp: PQNHyperparameters) -> Float[Array, "T N"]:
    """Peng's Q(lambda): lambda-returns of the values of the best actions."""
    value = parts.along(params, t.obs).max(-1)
    after = parts.along(params, t.next_obs).max(-1)
    _, targets = gae(t.reward, value, after, t.terminated, t.ended, hp.gamma, hp.q_lambda)
    return targets


def _loss(parts: _Parts, params: Any, batch: Any) -> tuple[Float[Array, ""], dict[str, Array]]:
    """Half the mean squared error of the taken actions' values."""
    obs, action, target = batch
    values = parts.along(params, obs)
    value = jnp.take_along_axis(values, action[..., None], -1)[..., 0]
    error = value - target
    return 0.5 * jnp.square(error).mean(), {"td_error": jnp.abs(error).mean(), "q_mean": value.mean()}


def _update(
    parts: _Parts,
    key: Array,
    state: PQNState,
    trajectory: Trajectory,
    hp: PQNHyperparameters,
    eta: Any,
    clock: Clock,
) -> tuple[PQNState, dict[str, Array]]:
    del eta
    t, cut = trajectory, parts.minibatches
    learning_rate = jnp.asarray(linear_schedule(clock, hp.learning_rate, hp.learning_rate_end), jnp.float32)
    data = (t.obs, t.action, _targets(parts, state.params, t, hp))

    def step(carry: tuple[Any, Any], rows: Array) -> tuple[tuple[Any, Any], dict[str, Array]]:
        params, optimiser = carry
        loss = lambda params: _loss(parts, params, cut.take(data, rows))
        (value, metrics), gradient = jax.value_and_grad(loss, has_aux=True)(params)
        size = norm(ravel_pytree(gradient)[0])
        share = jnp.minimum(1.0, hp.max_grad_norm / jnp.maximum(size, 1e-30))
        move, optimiser = _RADAM.update(jax.tree.map(lambda g: share * g, gradient), optimiser)
        params = jax.tree.map(lambda p, m: p - learning_rate * m, params, move)
        return (params, optimiser), {"loss": value, "grad_norm": size, **metrics}

    rows = cut.permutations(key, parts.config.epochs)
    (params, optimiser), history = jax.lax.scan(step, (state.params, state.optimiser), rows)
    metrics = {name: values.mean() for name, values in history.items()}
    metrics |= {"epsilon": state.epsilon, "learning_rate": learning_rate}
    epsilon = _epsilon(hp, (clock.step + parts.steps_per_update) / clock.horizon)
    last = jnp.asarray(hp.epsilon_end, jnp.float32)
    return PQNState(params, optimiser, epsilon, last), metrics


def pqn(
    env: Env,
    num_envs: int,
    rollout_length: int,
    config: PQNConfig | None = None,
    hp: PQNHyperparameters | None = None,
    objective: AnyObjective | None = None,
) -> Learner:
    """A PQN learner.

    Args:
        env: read for its spaces only.
        num_envs: parallel environments ``N``.
        rollout_length: steps per update ``T``.
        config: static settings.
        hp: default hyperparameters.
        objective: must be None; PQN has a loss of its own.

    Raises:
        ValueError: a setting is not allowed, minibatches do not divide the rollout, an objective is given, actions are not
            discrete, or the network can't read the observations.
    """
    config = PQNConfig() if config is None else config
    hp = PQNHyperparameters() if hp is None else hp
    check(config, "config")
    check(hp, "hp")
    if objective is not None:
        raise ValueError(f"objective is {objective.name!r}; PQN has a loss of its own")
    if not isinstance(env.action_space, Discrete):
        raise ValueError(f"action_space is {env.action_space}; PQN takes Discrete actions only")
    check_action_values(config.network, env.observation_space)
    check_minibatches("samples", rollout_length, num_envs, config.minibatches)
    network = ActionValues(config.network, env.action_space.n, 1, False)
    cut = make_minibatches("samples", rollout_length, num_envs, config.minibatches)
    parts = _Parts(config, env.observation_space, network, cut, num_envs * rollout_length)
    return Learner(
        name="pqn",
        init=partial(_init, parts),
        actor=lambda state: _Actor(state.params, state.epsilon, state.epsilon_end),
        act=partial(_act, parts),
        update=partial(_update, parts),
        initial_memory=no_memory,
        init_objective=no_parameters,
        default_hp=hp,
        adopt=lambda state, other: replace(state, params=other.params),
    )
