"""Proximal policy optimisation (Schulman et al. 2017) as a learner; A2C is a setting of it.

One update: values of the rollout are computed in one batch, rewards scaled, advantages estimated with
correct bootstrapping at truncation, then ``epochs`` passes over shuffled minibatches minimise the
`Objective`. The clipped surrogate is only the default: anything with the interface can take its place.
"""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import optax
import tyro
from flax import struct
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from jaxrl_envs.contract import Env
from jaxrl_envs.fusion import computed_once
from jaxrl_evolve.clock import Clock, linear_schedule
from jaxrl_evolve.experience.minibatches import make_minibatches
from jaxrl_evolve.experience.normalisation import ReturnScale, RunningMoments
from jaxrl_evolve.experience.returns import gae
from jaxrl_evolve.learners.learner import Learner, Mode
from jaxrl_evolve.learners.optimiser import clipped_step, init_optimiser
from jaxrl_evolve.networks.actor_critic import Network, NetworkConfig, make_network
from jaxrl_evolve.objectives import (
    AnyObjective,
    ObjectiveBatch,
    ObjectiveOutputs,
    RuleObjective,
    TargetObjective,
    ppo_clip,
)
from jaxrl_evolve.trajectory import PolicyOutput, Trajectory

Scalar = Annotated[
    float | Array,
    tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="FLOAT",
        instance_from_str=lambda words: float(words[0]),
        is_instance=lambda x: isinstance(x, (int, float)),
        str_from_instance=lambda x: [str(x)],
    ),
]
"""A number, or a traced float32 scalar in its place; a plain number on the command line."""


@struct.dataclass
class PPOHyperparameters:
    """What a sweep can vary without compiling anew: traced float32 scalars.

    Every ``*_end`` is the fraction of its quantity left at the horizon, reached in a straight line: 1 keeps
    it constant, 0 anneals it away.
    """

    learning_rate: Scalar = 2.5e-4
    """Step size."""
    learning_rate_end: Scalar = 0.0
    """Fraction of the learning rate left at the horizon."""
    gamma: Scalar = 0.99
    """Discount factor."""
    gae_lambda: Scalar = 0.95
    """Trace parameter of the advantage estimate."""
    clip: Scalar = 0.2
    """Range of the probability ratio (and of the value, where clipped)."""
    clip_end: Scalar = 1.0
    """Fraction of the ratio's range left at the horizon."""
    value_coef: Scalar = 0.5
    """Weight of the value loss."""
    entropy_coef: Scalar = 0.01
    """Weight of the entropy bonus."""
    entropy_end: Scalar = 1.0
    """Fraction of the entropy bonus left at the horizon."""
    max_grad_norm: Scalar = 0.5
    """Largest norm of the whole gradient."""
    adam_eps: Scalar = 1e-5
    """Adam's denominator offset."""
    prediction_coef: Scalar = 0.5
    """Weight of the prediction loss, where the objective has one."""


@dataclasses.dataclass(frozen=True)
class PPOConfig:
    """Static settings of PPO: a change compiles anew."""

    epochs: int = 4
    """Passes over each rollout."""
    minibatches: int = 4
    """Gradient steps per pass."""
    shuffle: Literal["auto", "blocks", "samples", "envs"] = "auto"
    """What a minibatch is drawn from: blocks of environments at one time step, single samples, or whole
    environments. 'auto' is 'envs' with a recurrent network and 'blocks' otherwise."""
    normalise_observations: bool = False
    """Whether observations are normalised by running moments."""
    normalise_returns: bool = False
    """Whether rewards are divided by the running scale of returns."""
    normalise_advantage: bool = True
    """Whether advantages are normalised within each minibatch (read by the default objective)."""
    clip_value: bool = True
    """Whether the value loss is clipped (read by the default objective)."""
    optimiser: Literal["adam", "sgd"] = "adam"
    """Rule of the gradient steps; either clips the gradient's norm first."""
    network: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)
    """Shape of the actor-critic network."""

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"epochs is {self.epochs}; it must be at least 1")
        if self.network.encoder == "tabular" and self.normalise_observations:
            raise ValueError(
                "normalise_observations is True, but network.encoder is 'tabular': the number of a state is no "
                "quantity, so it must be False"
            )
        if self.network.memory != "none" and self.shuffle in ("blocks", "samples"):
            raise ValueError(
                f"shuffle is {self.shuffle!r}; a recurrent network needs whole sequences, so only 'envs' or "
                "'auto' is allowed"
            )


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


def next_values(
    network: Network, params: Any, trajectory: Trajectory, value: Array, next_memory: Any
) -> Float[Array, "T N"]:
    """The critic's estimate of every true successor, as far as it can matter.

    Where an episode goes on, the successor is the next step's observation, whose value is known. It is only
    computed for all when some step of the rollout was truncated, and always for the last step.
    """

    def all_steps() -> Array:
        return network.value(params, trajectory.next_obs, next_memory)

    def last_step() -> Array:
        last = jax.tree.map(lambda x: x[-1:], (trajectory.next_obs, next_memory))
        return jnp.concatenate([value[1:], network.value(params, *last)])

    return jax.lax.cond(trajectory.truncated.any(), all_steps, last_step)


def ppo(
    env: Env,
    num_envs: int,
    rollout_length: int,
    config: PPOConfig | None = None,
    hp: PPOHyperparameters | None = None,
    objective: AnyObjective | None = None,
) -> Learner:
    """A PPO learner.

    Args:
        env: read for its spaces only.
        num_envs: parallel environments ``N``.
        rollout_length: steps per update ``T``.
        config: static settings.
        hp: default hyperparameters.
        objective: what to minimise; the clipped surrogate by default.

    Raises:
        ValueError: if the minibatches don't divide the rollout, the network can't serve the spaces, or the
            objective needs a learner of its own.
    """
    if isinstance(objective, RuleObjective):
        raise ValueError(
            f"objective is {objective.name!r}, an update rule that only agents of the algorithm disco learn by"
        )
    config = PPOConfig() if config is None else config
    hp = PPOHyperparameters() if hp is None else hp
    minimised = objective or ppo_clip(config.normalise_advantage, config.clip_value)
    targeted = minimised if isinstance(minimised, TargetObjective) else None
    predictions = targeted.predictions if targeted else 0
    network = make_network(config.network, env.observation_space, env.action_space, predictions)
    shuffle = config.shuffle
    if shuffle == "auto":
        shuffle = "envs" if network.recurrent else "blocks"
    minibatches = make_minibatches(shuffle, rollout_length, num_envs, config.minibatches)

    def init(key: Array, hp: PPOHyperparameters) -> PPOState:
        params = network.init(key)
        return PPOState(
            params=params,
            optimiser=init_optimiser(config.optimiser, ravel_pytree(params)[0]),
            observations=RunningMoments.of_shape(env.observation_space.shape)
            if config.normalise_observations
            else (),
            returns=ReturnScale.for_slots(num_envs) if config.normalise_returns else (),
        )

    def seen(state: PPOState, obs: Any) -> Any:
        return state.observations.normalise(obs) if config.normalise_observations else obs

    def actor(state: PPOState) -> PPOState:
        return replace(state, params=network.actor(state.params), optimiser=(), returns=())

    def act(
        actor: PPOState, obs: Any, first: Array, memory: Any, key: Array, mode: Mode = "explore"
    ) -> tuple[Array, Any, PolicyOutput]:
        obs, value, before = seen(actor, obs), None, memory
        if network.recurrent and mode == "explore":
            # Values depend on the memory of this moment; recomputing them later would unroll it again.
            distribution, value, memory = network.policy_and_value(actor.params, obs, first, memory)
        else:
            distribution, memory = network.policy(actor.params, obs, first, memory)
        # What was done is a fact: a gradient of log_prob must not reach into how it came about.
        action = jax.lax.stop_gradient(distribution.mode() if mode == "greedy" else distribution.sample(key))
        log_prob = distribution.log_prob(action)
        return action, memory, PolicyOutput(log_prob, value, distribution, before)

    def next_memory(state: PPOState, trajectory: Trajectory) -> Any:
        """Memory after each step, ``[T, N, ...]``."""
        if not network.recurrent:
            return ()
        memory = trajectory.policy.memory
        last = network.policy_and_value(state.params, trajectory.obs[-1], trajectory.first[-1], memory[-1])[2]
        return jnp.concatenate([memory[1:], last[None]])

    def outputs_of(params: Any, trajectory: Trajectory, memory: Any) -> ObjectiveOutputs:
        # Once, above all, is the gradient: else every hidden unit's kernel would compute the loss's again.
        distribution, value, prediction = computed_once(
            network.unroll(params, trajectory.obs, trajectory.first, memory)
        )
        log_prob = distribution.log_prob(trajectory.action)
        return ObjectiveOutputs(distribution, log_prob, distribution.entropy(), value, prediction)

    def assess(state: PPOState, trajectory: Trajectory, hp: PPOHyperparameters) -> tuple[Array, Array, Array]:
        """Values, advantages and value targets ``[T, N]``; zeros where the objective reads none."""
        reward, after = trajectory.reward, next_memory(state, trajectory)
        if targeted:
            zeros = jnp.zeros_like(reward)
            return zeros, zeros, zeros
        value = trajectory.policy.value
        if not network.recurrent:
            # The stored observations in one batch: far cheaper than one small product per step.
            value = network.value(state.params, trajectory.obs, ())
        assert value is not None
        successors = next_values(network, state.params, trajectory, value, after)
        ends = (trajectory.terminated, trajectory.ended)
        advantage, target = gae(reward, value, successors, *ends, hp.gamma, hp.gae_lambda)
        return value, advantage, target

    def targets_of(state: PPOState, batch: ObjectiveBatch, eta: Any, clock: Clock) -> Any:
        """What a learned objective makes of the whole rollout; its inputs are not part of the loss's
        gradient, but whoever differentiates the whole update sees them.
        """
        if targeted is None:
            return ()
        t = batch.trajectory
        outputs = outputs_of(state.params, t, t.policy.memory[0] if network.recurrent else ())
        if predictions:
            successors = network.predict(state.params, t.next_obs, next_memory(state, t))
            outputs = replace(outputs, next_prediction=successors)
        return targeted.targets(eta, batch, outputs, clock)

    def update(
        key: Array, state: PPOState, trajectory: Trajectory, hp: PPOHyperparameters, eta: Any, clock: Clock
    ) -> tuple[PPOState, dict[str, Array]]:
        raw_obs, reward = trajectory.obs, trajectory.reward
        returns = state.returns
        if config.normalise_returns:
            returns = returns.merge(reward, trajectory.ended, hp.gamma)
            reward = returns.scale(reward)
        trajectory = replace(
            trajectory, obs=seen(state, raw_obs), reward=reward, next_obs=seen(state, trajectory.next_obs)
        )
        value, advantage, target = assess(state, trajectory, hp)
        trajectory = replace(trajectory, policy=replace(trajectory.policy, value=value))
        rollout = ObjectiveBatch(trajectory, advantage, target, hp)
        rollout = replace(rollout, targets=targets_of(state, rollout, eta, clock))
        learning_rate = linear_schedule(clock, hp.learning_rate, hp.learning_rate_end)

        def loss(params: Any, batch: ObjectiveBatch, memory: Any, clock: Clock) -> tuple[Array, Any]:
            return minimised.loss(eta, batch, outputs_of(params, batch.trajectory, memory), clock)

        def gradient_step(carry: Any, xs: tuple[Array, Array]) -> Any:
            params, optimiser_state = carry
            rows, epoch = xs
            batch = replace(minibatches.take(replace(rollout, hp=()), rows), hp=hp)
            memory = minibatches.take_slots(trajectory.policy.memory[0], rows) if network.recurrent else ()
            (total, metrics), gradient = jax.value_and_grad(loss, has_aux=True)(
                params, batch, memory, replace(clock, epoch=epoch)
            )
            flat, unravel = ravel_pytree(gradient)
            step, size, optimiser_state = clipped_step(
                config.optimiser, optimiser_state, flat, learning_rate, hp.max_grad_norm, hp.adam_eps
            )
            metrics = {"loss": total, "grad_norm": size, **metrics}
            params = optax.apply_updates(params, unravel(step))
            # One vector per step instead of one array per metric: fewer kernels in the innermost loop.
            return (params, optimiser_state), (jnp.stack(list(metrics.values())), metrics)

        rows = minibatches.permutations(key, config.epochs)
        epochs = jnp.repeat(jnp.arange(config.epochs, dtype=jnp.float32) / config.epochs, config.minibatches)
        names: list[str] = []

        def scan_body(carry: Any, xs: Any) -> Any:
            carry, (vector, metrics) = gradient_step(carry, xs)
            names[:] = list(metrics)
            return carry, vector

        (params, optimiser_state), history = jax.lax.scan(
            scan_body, (state.params, state.optimiser), (rows, epochs)
        )
        metrics = dict(zip(names, history.mean(0), strict=True))
        metrics["learning_rate"] = jnp.asarray(learning_rate, jnp.float32)
        if not targeted:
            metrics["explained_variance"] = 1.0 - (target - value).var() / (target.var() + 1e-8)
        observations = state.observations
        if config.normalise_observations:
            observations = observations.merge(raw_obs)
        return PPOState(params, optimiser_state, observations, returns), metrics

    return Learner("ppo", init, actor, act, update, network.initial_memory, minimised.init, hp)
