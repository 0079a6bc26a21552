"""Proximal policy optimisation (Schulman et al. 2017) as a learner; A2C is a setting of it.

One update: values of the rollout are computed in one batch, rewards scaled, advantages estimated with
correct bootstrapping at truncation, then ``epochs`` passes over shuffled minibatches minimise the
`Objective`. The clipped surrogate is only the default: anything with the interface can take its place.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from jaxrl_envs.contract import Env
from jaxrl_envs.fusion import computed_once
from jaxrl_evolve.clock import Clock, linear_schedule
from jaxrl_evolve.experience.minibatches import Minibatches, make_minibatches
from jaxrl_evolve.experience.normalisation import ReturnScale, RunningMoments
from jaxrl_evolve.learners.critic import assess, first_memory, next_memory
from jaxrl_evolve.learners.learner import Learner, Mode
from jaxrl_evolve.learners.optimiser import clipped_step, init_optimiser
from jaxrl_evolve.learners.ppo_config import PPOConfig, PPOHyperparameters
from jaxrl_evolve.networks.network import MakeNetwork, Network
from jaxrl_evolve.networks.table import make_network
from jaxrl_evolve.objectives import (
    AnyObjective,
    Objective,
    ObjectiveBatch,
    ObjectiveOutputs,
    RuleObjective,
    TargetObjective,
    ppo_clip,
)
from jaxrl_evolve.objectives.check import pair
from jaxrl_evolve.settings.checks import check
from jaxrl_evolve.trajectory import PolicyOutput, Trajectory


@struct.dataclass
class PPOState:
    """State of a PPO learner.

    Attributes:
        params: network parameters.
        optimiser: state of `clipped_step` over the raveled parameters.
        observations: running moments of observations, or ``()``.
        returns: running scale of returns, or ``()``.
    """

    params: Any
    optimiser: Any
    observations: Any
    returns: Any


class _Parts(NamedTuple):
    """What the functions of one learner read, all static.

    Attributes:
        config: static settings.
        num_envs: parallel environments ``N``.
        observation_shape: of one observation.
        network: actor, critic and predictions.
        objective: what is minimised.
        minibatches: how a rollout is cut.
    """

    config: PPOConfig
    num_envs: int
    observation_shape: tuple[int, ...]
    network: Network
    objective: Objective | TargetObjective
    minibatches: Minibatches


def ppo(
    env: Env,
    num_envs: int,
    rollout_length: int,
    config: PPOConfig | None = None,
    hp: PPOHyperparameters | None = None,
    objective: AnyObjective | None = None,
    network: MakeNetwork | None = None,
) -> Learner:
    """A PPO learner.

    Args:
        env: read for its spaces only.
        num_envs: parallel environments ``N``.
        rollout_length: steps per update ``T``.
        config: static settings.
        hp: default hyperparameters.
        objective: what to minimise; the clipped surrogate by default.
        network: factory of actor and critic; the one that ``config.network.kind`` names by default. A factory,
            not a network: it is told of the spaces and of the predictions that the objective wants.

    Raises:
        ValueError: a setting is not allowed, the minibatches don't divide the rollout, the network can't serve the
            spaces, or the objective needs a learner of its own.
    """
    config = PPOConfig() if config is None else config
    hp = PPOHyperparameters() if hp is None else hp
    check(config, "config")
    check(hp, "hp")
    if isinstance(objective, RuleObjective):
        raise ValueError(
            f"objective is {objective.name!r}, an update rule that only agents of the algorithm disco learn by"
        )
    minimised = objective or ppo_clip(config.normalise_advantage, config.clip_value)
    predictions = minimised.predictions if isinstance(minimised, TargetObjective) else 0
    spaces = (env.observation_space, env.action_space)
    net = make_network(config.network, *spaces, predictions, network)
    minibatches = make_minibatches(
        config.drawn_from(net.recurrent), rollout_length, num_envs, config.minibatches
    )
    parts = _Parts(config, num_envs, env.observation_space.shape, net, minimised, minibatches)
    return Learner(
        name="ppo",
        init=partial(_init, parts),
        actor=partial(_actor, parts),
        act=partial(_act, parts),
        update=partial(_update, parts),
        initial_memory=net.initial_memory,
        init_objective=minimised.init,
        default_hp=hp,
        adopt=_adopt,
    )


def _init(parts: _Parts, key: Array, hp: PPOHyperparameters) -> PPOState:
    del hp
    config, params = parts.config, parts.network.init(key)
    return PPOState(
        params=params,
        optimiser=init_optimiser(config.optimiser, ravel_pytree(params)[0]),
        observations=RunningMoments.of_shape(parts.observation_shape)
        if config.normalise_observations
        else (),
        returns=ReturnScale.for_slots(parts.num_envs) if config.normalise_returns else (),
    )


def _adopt(state: PPOState, other: PPOState) -> PPOState:
    # What each slot's return is by now belongs to the other run's episodes.
    scaled = state.returns and other.returns
    returns = replace(state.returns, moments=other.returns.moments) if scaled else other.returns
    return replace(state, params=other.params, observations=other.observations, returns=returns)


def _actor(parts: _Parts, state: PPOState) -> PPOState:
    return replace(state, params=parts.network.actor(state.params), optimiser=(), returns=())


def _act(
    parts: _Parts, actor: PPOState, obs: Any, first: Array, memory: Any, key: Array, mode: Mode = "explore"
) -> tuple[Array, Any, PolicyOutput]:
    network = parts.network
    obs, value, before = _seen(parts, actor, obs), None, memory
    if network.recurrent and mode == "explore":
        # Values depend on the memory of this moment; recomputing them later would unroll it again.
        distribution, value, memory = network.policy_and_value(actor.params, obs, first, memory)
    else:
        distribution, memory = network.policy(actor.params, obs, first, memory)
    # What was done is a fact: a gradient of log_prob must not reach into how it came about.
    action = jax.lax.stop_gradient(distribution.mode() if mode == "greedy" else distribution.sample(key))
    log_prob = distribution.log_prob(action)
    return action, memory, PolicyOutput(log_prob, value, distribution, before)


def _update(
    parts: _Parts,
    key: Array,
    state: PPOState,
    trajectory: Trajectory,
    hp: PPOHyperparameters,
    eta: Any,
    clock: Clock,
) -> tuple[PPOState, dict[str, Array]]:
    raw = trajectory
    returns, trajectory = _scaled(parts, state, trajectory, hp)
    value, advantage, target = assess(
        parts.network, state.params, trajectory, hp, isinstance(parts.objective, Objective)
    )
    trajectory = replace(trajectory, policy=replace(trajectory.policy, value=value))
    rollout = ObjectiveBatch(trajectory, advantage, target, hp)
    rollout = replace(rollout, targets=_targets(parts, state, rollout, eta, clock))
    learning_rate = linear_schedule(clock, hp.learning_rate, hp.learning_rate_end)
    params, optimiser, metrics = _minimise(parts, key, state, rollout, learning_rate, eta, clock)
    metrics["learning_rate"] = jnp.asarray(learning_rate, jnp.float32)
    if isinstance(parts.objective, Objective):
        metrics["explained_variance"] = 1.0 - (target - value).var() / (target.var() + 1e-8)
    observations = state.observations
    if parts.config.normalise_observations:
        observations = observations.merge(raw.obs)
    return PPOState(params, optimiser, observations, returns), metrics


def _seen(parts: _Parts, state: PPOState, obs: Any) -> Any:
    """Observations as the network reads them."""
    return state.observations.normalise(obs) if parts.config.normalise_observations else obs


def _scaled(
    parts: _Parts, state: PPOState, trajectory: Trajectory, hp: PPOHyperparameters
) -> tuple[Any, Trajectory]:
    """The scale of returns with this rollout in it, and the rollout as the learner reads it."""
    returns, reward = state.returns, trajectory.reward
    if parts.config.normalise_returns:
        returns = returns.merge(reward, trajectory.ended, hp.gamma)
        reward = returns.scale(reward)
    obs, next_obs = _seen(parts, state, trajectory.obs), _seen(parts, state, trajectory.next_obs)
    return returns, replace(trajectory, obs=obs, reward=reward, next_obs=next_obs)


def _targets(parts: _Parts, state: PPOState, batch: ObjectiveBatch, eta: Any, clock: Clock) -> Any:
    """What a learned objective makes of the whole rollout; its inputs are not part of the loss's
    gradient, but whoever differentiates the whole update sees them.
    """
    network, objective, t = parts.network, parts.objective, batch.trajectory
    if not isinstance(objective, TargetObjective):
        return ()
    outputs = _outputs(network, state.params, t, first_memory(network, t))
    if network.predict is not None and objective.predictions:
        successors = network.predict(state.params, t.next_obs, next_memory(network, state.params, t))
        outputs = replace(outputs, next_prediction=successors)
    return objective.targets(eta, batch, outputs, clock)


def _outputs(network: Network, params: Any, trajectory: Trajectory, memory: Any) -> ObjectiveOutputs:
    # Once, above all, is the gradient: else every hidden unit's kernel would compute the loss's again.
    distribution, value, prediction = computed_once(
        network.unroll(params, trajectory.obs, trajectory.first, memory)
    )
    log_prob = distribution.log_prob(trajectory.action)
    return ObjectiveOutputs(distribution, log_prob, distribution.entropy(), value, prediction)


def _minimise(
    parts: _Parts,
    key: Array,
    state: PPOState,
    rollout: ObjectiveBatch,
    learning_rate: Array,
    eta: Any,
    clock: Clock,
) -> tuple[Any, Any, dict[str, Array]]:
    """Passes over the rollout: parameters, optimiser, and means of the metrics over all steps."""
    epochs, names = parts.config.epochs, list[str]()

    def step(carry: Any, xs: tuple[Array, Array]) -> tuple[Any, Array]:
        rows, epoch = xs
        now = replace(clock, epoch=epoch)
        carry, metrics = _gradient_step(parts, carry, rollout, rows, learning_rate, eta, now)
        names[:] = list(metrics)
        # One vector per step instead of one array per metric: fewer kernels in the innermost loop.
        return carry, jnp.stack(list(metrics.values()))

    rows = parts.minibatches.permutations(key, epochs)
    fractions = jnp.repeat(jnp.arange(epochs, dtype=jnp.float32) / epochs, parts.config.minibatches)
    (params, optimiser), history = jax.lax.scan(step, (state.params, state.optimiser), (rows, fractions))
    return params, optimiser, dict(zip(names, history.mean(0), strict=True))


def _gradient_step(
    parts: _Parts,
    carry: tuple[Any, Any],
    rollout: ObjectiveBatch,
    rows: Array,
    learning_rate: Array,
    eta: Any,
    clock: Clock,
) -> tuple[tuple[Any, Any], dict[str, Array]]:
    """One minibatch's step of parameters and optimiser."""
    params, optimiser = carry
    network, minibatches, hp = parts.network, parts.minibatches, rollout.hp
    batch = replace(minibatches.take(replace(rollout, hp=()), rows), hp=hp)
    memory = minibatches.take_slots(first_memory(network, rollout.trajectory), rows)

    def loss(params: Any) -> tuple[Array, dict[str, Array]]:
        outputs = _outputs(network, params, batch.trajectory, memory)
        given = parts.objective.loss(eta, batch, outputs, clock)
        return pair(f"objective {parts.objective.name!r}: loss", given)

    (total, metrics), gradient = jax.value_and_grad(loss, has_aux=True)(params)
    flat, unravel = ravel_pytree(gradient)
    step, size, optimiser = clipped_step(
        parts.config.optimiser, optimiser, flat, learning_rate, hp.max_grad_norm, hp.adam_eps
    )
    metrics = {"loss": total, "grad_norm": size, **metrics}
    return (optax.apply_updates(params, unravel(step)), optimiser), metrics
