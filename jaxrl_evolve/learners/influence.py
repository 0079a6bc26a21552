"""How far each slot of a rollout would move the policy, if it alone were learned from."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrl_evolve.learners.critic import first_memory
from jaxrl_evolve.networks.network import Network
from jaxrl_evolve.trajectory import Trajectory

_TOGETHER = 8  # slots whose gradients are held at a time


def influence_of(
    network: Network, params: Any, trajectory: Trajectory, advantage: Float[Array, "T N"]
) -> Float[Array, " N"]:
    """The squared norm of the policy's gradient on each slot: of the mean of ``A log pi(a | o)`` over its steps.

    That is the gradient that PPO's first step begins with. Advantages are normalised over the whole rollout, as a batch's are: by slot they
    would make a slot without any signal as loud as the others. Parameters that only the critic reads don't count.

    Args:
        network: actor and critic.
        params: its parameters, those that acted.
        trajectory: leaves ``[T, N, ...]``, observations as the network reads them.
        advantage: of its actions.
    """
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    memory = first_memory(network, trajectory)
    steps = (trajectory.obs, trajectory.first, trajectory.action, advantage)
    by_slot = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), steps)

    def one(slot: Any) -> Array:
        (obs, first, action, gain), start = slot
        obs, first, action, gain = jax.tree.map(lambda x: x[:, None], (obs, first, action, gain))
        start = jax.tree.map(lambda x: x[None], start)

        def surrogate(params: Any) -> Array:
            distribution = network.unroll(params, obs, first, start)[0]
            return (gain * distribution.log_prob(action)).mean()

        gradient = network.actor(jax.grad(surrogate)(params))
        return sum((jnp.square(x).sum() for x in jax.tree.leaves(gradient)), jnp.float32(0.0))

    return jax.lax.map(one, (by_slot, memory), batch_size=min(_TOGETHER, advantage.shape[1]))
