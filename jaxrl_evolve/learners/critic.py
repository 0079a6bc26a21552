"""What the critic says of a rollout: values, those of the true successors, advantages and targets."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxrl_evolve.experience.returns import gae
from jaxrl_evolve.networks.network import Network
from jaxrl_evolve.trajectory import Trajectory


def assess(
    network: Network, params: Any, trajectory: Trajectory, hp: Any, critic: bool = True
) -> tuple[Float[Array, "T N"], Float[Array, "T N"], Float[Array, "T N"]]:
    """Values, advantages and value targets of a rollout.

    Args:
        network: actor and critic.
        params: its parameters, those that acted.
        trajectory: leaves ``[T, N, ...]``, observations as the network reads them.
        hp: with ``gamma`` and ``gae_lambda``.
        critic: whether anything reads them; else they are zeros.
    """
    reward, after = trajectory.reward, next_memory(network, params, trajectory)
    if not critic:
        zeros = jnp.zeros_like(reward)
        return zeros, zeros, zeros
    value = trajectory.policy.value
    if not network.recurrent:
        # The stored observations in one batch: far cheaper than one small product per step.
        value = network.value(params, trajectory.obs, ())
    assert value is not None
    successors = next_values(network, params, trajectory, value, after)
    ends = (trajectory.terminated, trajectory.ended)
    advantage, target = gae(reward, value, successors, *ends, hp.gamma, hp.gae_lambda)
    return value, advantage, target


def next_values(
    network: Network, params: Any, trajectory: Trajectory, value: Array, after: Any
) -> Float[Array, "T N"]:
    """The critic's estimate of every true successor, as far as it can matter.

    Where an episode goes on, the successor is the next step's observation, whose value is known. It is only
    computed for all when some step of the rollout was truncated, and always for the last step.

    Args:
        network: actor and critic.
        params: its parameters.
        trajectory: leaves ``[T, N, ...]``.
        value: of its observations.
        after: memory after each step, of `next_memory`.
    """

    def all_steps() -> Array:
        return network.value(params, trajectory.next_obs, after)

    def last_step() -> Array:
        last = jax.tree.map(lambda x: x[-1:], (trajectory.next_obs, after))
        return jnp.concatenate([value[1:], network.value(params, *last)])

    return jax.lax.cond(trajectory.truncated.any(), all_steps, last_step)


def td_errors(
    advantage: Float[Array, "T N"], ended: Bool[Array, "T N"], gamma: Any, lam: Any
) -> Float[Array, "T N"]:
    """One-step errors of the values that the advantages of `gae` are sums of."""
    following = jnp.concatenate([advantage[1:], jnp.zeros_like(advantage[:1])])
    return advantage - jnp.where(ended, 0.0, gamma * lam * following)


def first_memory(network: Network, trajectory: Trajectory) -> Any:
    """Memory before a rollout, leaves ``[N, ...]``."""
    return jax.tree.map(lambda x: x[0], trajectory.policy.memory) if network.recurrent else ()


def next_memory(network: Network, params: Any, trajectory: Trajectory) -> Any:
    """Memory after each step of a rollout, leaves ``[T, N, ...]``."""
    if not network.recurrent:
        return ()
    memory = trajectory.policy.memory
    inputs = jax.tree.map(lambda x: x[-1], (trajectory.obs, trajectory.first, memory))
    last = network.policy_and_value(params, *inputs)[2]
    return jax.tree.map(lambda x, end: jnp.concatenate([x[1:], end[None]]), memory, last)
