"""REINFORCE with a learned baseline (Williams 1992; Sutton and Barto 2018, section 13.4)."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct

from jaxrl_envs import Env
from jaxrl_evolve import (
    Algorithm,
    AnyObjective,
    AtLeast,
    Between,
    Clock,
    Learner,
    NetworkConfig,
    PolicyOutput,
    Trajectory,
    lambda_returns,
    linear_schedule,
    make_network,
)


@dataclasses.dataclass(frozen=True)
class ReinforceConfig:
    """Static settings: a change compiles anew. The field docstrings are the command's help."""

    network: NetworkConfig = dataclasses.field(default_factory=lambda: NetworkConfig(hidden=(32,)))
    """Shape of the policy and its baseline."""


@struct.dataclass
class ReinforceHyperparameters:
    """Traced numbers: a sweep varies them in one program. What stands beside a type is what is allowed."""

    learning_rate: Annotated[float, AtLeast(0.0)] = 1e-2
    """Adam's step size."""
    learning_rate_end: Annotated[float, AtLeast(0.0)] = 0.0
    """Fraction of the learning rate left at the horizon."""
    gamma: Annotated[float, Between(0.0, 1.0)] = 0.99
    """Discount factor."""


@struct.dataclass
class ReinforceState:
    """Everything that is learned."""

    params: Any
    optimiser: Any


class Preset(NamedTuple):
    """The settings to start from: what `TrainConfig.preset` reads."""

    num_envs: int
    rollout_length: int
    resets: str
    config: ReinforceConfig
    hp: ReinforceHyperparameters


def reinforce(
    env: Env,
    num_envs: int,
    rollout_length: int,
    config: ReinforceConfig,
    hp: ReinforceHyperparameters,
    objective: AnyObjective | None = None,
) -> Learner:
    """The learner; ``num_envs`` and ``rollout_length`` are for algorithms that size arrays by them."""
    del num_envs, rollout_length
    if objective is not None:
        raise ValueError(f"objective is {objective.name!r}; REINFORCE has a loss of its own")
    network = make_network(config.network, env.observation_space, env.action_space)
    if network.recurrent:
        raise ValueError("network.memory is 'gru'; this REINFORCE has no memory, so it must be 'none'")
    optimiser = optax.scale_by_adam()

    def init(key: jax.Array, hp: ReinforceHyperparameters) -> ReinforceState:
        del hp
        params = network.init(key)
        return ReinforceState(params, optimiser.init(params))

    def actor(state: ReinforceState) -> Any:
        return network.actor(state.params)

    def act(
        actor: Any, obs: jax.Array, first: jax.Array, memory: Any, key: jax.Array, mode: str = "explore"
    ) -> tuple[jax.Array, Any, PolicyOutput]:
        distribution, memory = network.policy(actor, obs, first, memory)
        action = distribution.mode() if mode == "greedy" else distribution.sample(key)
        return action, memory, PolicyOutput(distribution.log_prob(action))

    def update(
        key: jax.Array,
        state: ReinforceState,
        trajectory: Trajectory,
        hp: ReinforceHyperparameters,
        eta: Any,
        clock: Clock,
    ) -> tuple[ReinforceState, dict[str, jax.Array]]:
        del key, eta
        t = trajectory
        # Episodes that a time limit or the end of the rollout cuts short go on in the baseline's estimate.
        beyond = network.value(state.params, t.next_obs, ())
        returns = lambda_returns(t.reward, beyond, t.terminated, t.ended, hp.gamma, 1.0)

        def loss(params: Any) -> tuple[jax.Array, dict[str, jax.Array]]:
            distribution, value, _ = network.unroll(params, t.obs, t.first, ())
            advantage = jax.lax.stop_gradient(returns - value)
            policy_loss = -(distribution.log_prob(t.action) * advantage).mean()
            value_loss = 0.5 * jnp.square(returns - value).mean()
            return policy_loss + value_loss, {"policy_loss": policy_loss, "value_loss": value_loss}

        (total, metrics), gradient = jax.value_and_grad(loss, has_aux=True)(state.params)
        step, optimiser_state = optimiser.update(gradient, state.optimiser)
        rate = linear_schedule(clock, hp.learning_rate, hp.learning_rate_end)
        params = jax.tree.map(lambda x, dx: x - rate * dx, state.params, step)
        return ReinforceState(params, optimiser_state), {"loss": total, **metrics}

    return Learner("corridor-reinforce", init, actor, act, update, network.initial_memory, lambda key: (), hp)


def preset(env: str) -> Preset:
    del env
    return Preset(16, 32, "full", ReinforceConfig(), ReinforceHyperparameters())


REINFORCE = Algorithm(
    reinforce, ReinforceConfig, ReinforceHyperparameters, preset, "REINFORCE with a learned baseline"
)
