"""Proximal policy optimisation (Schulman et al. 2017) as a learner; A2C is a setting of it.

One update: values of the rollout are computed in one batch, rewards scaled, advantages estimated with
correct bootstrapping at truncation, then ``epochs`` passes over shuffled minibatches minimise the
`Objective`. The clipped surrogate is only the default: anything with the interface can take its place.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from jaxrl_envs.contract import Env
from jaxrl_evolve.clock import Clock, linear_schedule
from jaxrl_evolve.experience.minibatches import make_minibatches
from jaxrl_evolve.experience.normalisation import ReturnScale, RunningMoments, check_normalised
from jaxrl_evolve.learners.critic import assess, td_errors
from jaxrl_evolve.learners.influence import influence_of
from jaxrl_evolve.learners.learner import Assessment, Learner, Mode
from jaxrl_evolve.learners.optimiser import init_optimiser
from jaxrl_evolve.learners.ppo_config import PPOConfig, PPOHyperparameters
from jaxrl_evolve.learners.ppo_step import Parts, PPOState, minimise, targets_of
from jaxrl_evolve.learners.representation import (
    adopted,
    begun,
    chosen_representation,
    init_representation,
)
from jaxrl_evolve.networks.network import MakeNetwork
from jaxrl_evolve.networks.table import make_network
from jaxrl_evolve.objectives import (
    AnyObjective,
    Objective,
    ObjectiveBatch,
    RuleObjective,
    TargetObjective,
    ppo_clip,
)
from jaxrl_evolve.objectives.actor_critic import ONE_SAMPLE
from jaxrl_evolve.objectives.representation import MakeRepresentation
from jaxrl_evolve.settings.checks import check
from jaxrl_evolve.trajectory import PolicyOutput, Trajectory


def ppo(
    env: Env,
    num_envs: int,
    rollout_length: int,
    config: PPOConfig | None = None,
    hp: PPOHyperparameters | None = None,
    objective: AnyObjective | None = None,
    network: MakeNetwork | None = None,
    representation: MakeRepresentation | None = None,
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
        representation: factory of what the features are trained for besides, weighed by ``hp.prediction_coef``; by
            default self-prediction, where ``config.predicted`` asks for it. A factory: it is told of the network.

    Raises:
        ValueError: a setting is not allowed, the minibatches don't divide the rollout, the network can't serve the
            spaces, the objective needs a learner of its own, or the representation does not fit.
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
    _check_sizes(config, rollout_length * num_envs, objective is None)
    if config.normalise_observations:
        check_normalised(spaces[0], own=network is not None)
    net = make_network(config.network, *spaces, predictions, network)
    minibatches = make_minibatches(
        config.drawn_from(net.recurrent), rollout_length, num_envs, config.minibatches
    )
    aside = chosen_representation(config, representation, net, env, rollout_length, minimised)
    parts = Parts(config, num_envs, env.observation_space.shape, net, minimised, minibatches, aside)
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
        assess=partial(_assess, parts) if isinstance(minimised, Objective) else None,
        influence=partial(_influence, parts) if isinstance(minimised, Objective) else None,
    )


def _check_sizes(config: PPOConfig, samples: int, own: bool) -> None:
    """Refuse minibatches of one sample, where the default objective would normalise its advantage."""
    if own and config.normalise_advantage and samples == config.minibatches:
        raise ValueError(f"minibatches is {config.minibatches}, as many as there are samples: {ONE_SAMPLE}")


def _init(parts: Parts, key: Array, hp: PPOHyperparameters) -> PPOState:
    del hp
    config, params = parts.config, parts.network.init(key)
    return PPOState(
        params=params,
        optimiser=init_optimiser(config.optimiser, ravel_pytree(params)[0]),
        observations=RunningMoments.of_shape(parts.observation_shape)
        if config.normalise_observations
        else (),
        returns=ReturnScale.for_slots(parts.num_envs) if config.normalise_returns else (),
        representation=init_representation(parts.representation, config.optimiser, key, params),
    )


def _adopt(state: PPOState, other: PPOState) -> PPOState:
    # What each slot's return is by now belongs to the other run's episodes.
    scaled = state.returns and other.returns
    returns = replace(state.returns, moments=other.returns.moments) if scaled else other.returns
    aside = adopted(state.representation, other.representation, other.params)
    normalisers = {"observations": other.observations, "returns": returns}
    return replace(state, params=other.params, representation=aside, **normalisers)


def _actor(parts: Parts, state: PPOState) -> PPOState:
    # Policy and critic in one read all parameters.
    params = state.params if parts.network.recurrent else parts.network.actor(state.params)
    return replace(state, params=params, optimiser=(), returns=(), representation=())


def _act(
    parts: Parts, actor: PPOState, obs: Any, first: Array, memory: Any, key: Array, mode: Mode = "explore"
) -> tuple[Array, Any, PolicyOutput]:
    network = parts.network
    obs, value, before = _seen(parts, actor, obs), None, memory
    if network.recurrent and mode == "explore":
        # Values depend on the memory of this moment; recomputing them later would unroll it again.
        distribution, value, memory = network.policy_and_value(actor.params, obs, first, memory)
    else:
        own = network.actor(actor.params) if network.recurrent else actor.params
        distribution, memory = network.policy(own, obs, first, memory)
    # What was done is a fact: a gradient of log_prob must not reach into how it came about.
    action = jax.lax.stop_gradient(distribution.mode() if mode == "greedy" else distribution.sample(key))
    log_prob = distribution.log_prob(action)
    return action, memory, PolicyOutput(log_prob, value, distribution, before)


def _update(
    parts: Parts,
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
    rollout = replace(rollout, targets=targets_of(parts, state, rollout, eta, clock))
    learning_rate = linear_schedule(clock, hp.learning_rate, hp.learning_rate_end)
    aside, given = begun(parts.representation, key, state.representation, state.params, trajectory)
    state = replace(state, representation=aside)
    trained, metrics = minimise(parts, key, state, rollout, given, learning_rate, eta, clock)
    metrics["learning_rate"] = jnp.asarray(learning_rate, jnp.float32)
    if isinstance(parts.objective, Objective):
        metrics["explained_variance"] = 1.0 - (target - value).var() / (target.var() + 1e-8)
    observations = state.observations
    if parts.config.normalise_observations:
        observations = observations.merge(raw.obs)
    params, optimiser, own, own_optimiser = trained
    if aside:
        aside = replace(aside, params=own, optimiser=own_optimiser)
    return PPOState(params, optimiser, observations, returns, aside), metrics


def _assess(parts: Parts, state: PPOState, trajectory: Trajectory, hp: PPOHyperparameters) -> Assessment:
    """The computation that begins an update, so that one program does it once for both."""
    returns, scaled = _scaled(parts, state, trajectory, hp)
    value, advantage, _ = assess(parts.network, state.params, scaled, hp)
    error = td_errors(advantage, trajectory.ended, hp.gamma, hp.gae_lambda)
    if not parts.config.normalise_returns:
        return Assessment(value, advantage, error)
    return Assessment(*(returns.unscale(x) for x in (value, advantage, error)))


def _influence(parts: Parts, state: PPOState, trajectory: Trajectory, hp: PPOHyperparameters) -> Array:
    _, scaled = _scaled(parts, state, trajectory, hp)
    _, advantage, _ = assess(parts.network, state.params, scaled, hp)
    return influence_of(parts.network, state.params, scaled, advantage)


def _seen(parts: Parts, state: PPOState, obs: Any) -> Any:
    """Observations as the network reads them."""
    return state.observations.normalise(obs) if parts.config.normalise_observations else obs


def _scaled(
    parts: Parts, state: PPOState, trajectory: Trajectory, hp: PPOHyperparameters
) -> tuple[Any, Trajectory]:
    """The scale of returns with this rollout in it, and the rollout as the learner reads it."""
    returns, reward = state.returns, trajectory.reward
    if parts.config.normalise_returns:
        if returns.running.shape != reward.shape[1:]:  # of other slots, such as a curriculum's scouts
            returns = replace(returns, running=jnp.zeros_like(reward[0]))
        returns = returns.merge(reward, trajectory.first, hp.gamma)
        reward = returns.scale(reward)
    obs, next_obs = _seen(parts, state, trajectory.obs), _seen(parts, state, trajectory.next_obs)
    return returns, replace(trajectory, obs=obs, reward=reward, next_obs=next_obs)
